import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from learners.posting_index import PostingIndex

POSTINGS = st.sets(st.tuples(st.integers(0, 4), st.integers(0, 30)), max_size=60)


def add(index: PostingIndex, postings: list[tuple[int, int]], oldest_seq: int = 0) -> None:
    row_N, seq_N = np.array(postings, np.int64).reshape(-1, 2).T
    index.add(row_N.astype(np.int32), seq_N, oldest_seq)


def newest(index: PostingIndex, row: int, n: int, oldest_seq: int = 0) -> list[int]:
    _, seq_N = index.newest(np.array([row], np.int32), n, oldest_seq)
    return sorted(seq_N.tolist())


@given(postings=POSTINGS, n=st.integers(1, 40), oldest_seq=st.integers(0, 20))
def test_the_newest_live_sessions_of_a_row_are_found(
    postings: set[tuple[int, int]], n: int, oldest_seq: int
) -> None:
    index = PostingIndex()
    add(index, sorted(postings, key=lambda posting: posting[1]))
    for row in range(6):
        held = sorted(seq for held, seq in postings if held == row and seq >= oldest_seq)
        assert newest(index, row, n, oldest_seq)[-n:] == held[-n:]


def test_answers_do_not_depend_on_when_the_tail_was_merged() -> None:
    index, loaded = PostingIndex(), PostingIndex()
    postings = [(seq % 7, seq) for seq in range(20_000)]
    for start in range(0, 20_000, 900):
        add(index, postings[start : start + 900], oldest_seq=max(0, start - 5000))
    loaded.load(index.live_postings(oldest_seq=15_000))
    for row in range(7):
        expected = [seq for seq in range(15_000, 20_000) if seq % 7 == row]
        assert newest(index, row, 10_000, oldest_seq=15_000) == expected
        assert newest(loaded, row, 10_000, oldest_seq=15_000) == expected


def test_expired_postings_are_dropped_in_time() -> None:
    index = PostingIndex()
    for start in range(0, 100_000, 1000):
        add(index, [(seq % 7, seq) for seq in range(start, start + 1000)], max(0, start - 3000))
    assert len(index) < 3000 + 3 * 4096


def test_dropped_rows_and_sessions_hold_nothing() -> None:
    index = PostingIndex()
    add(index, [(1, 0), (1, 1), (2, 0), (2, 2), (3, 2)])
    index.drop_rows(np.array([2], np.int32))
    index.drop_sessions(np.array([1]))
    assert [newest(index, row, 9) for row in (1, 2, 3)] == [[0], [], [2]]
    assert index.holders(np.array([1, 3], np.int32)).tolist() == [0, 2]
