import numpy as np

from stream.joining.scored_rows import ScoredRows
from stream.values import Contexts
from tests.stream_values import make_contexts

NONE = np.zeros(0, np.int32)


def rows_of(contexts: Contexts) -> list[list[int]]:
    return [
        history[:length].tolist()
        for history, length in zip(contexts.history_CT, contexts.length_C, strict=True)
    ]


def test_histories_come_back_as_they_went_in():
    rows = ScoredRows()
    first = rows.add(make_contexts([[1, 2], [], [3]]), np.array([2, 0, 1], np.int32))
    second = rows.add(make_contexts([[4]]), np.array([0], np.int32))
    start, length = (np.concatenate(pair) for pair in zip(first, second, strict=True))
    found = rows.histories(start, length, np.zeros(4, np.int64))
    assert rows_of(found) == [[3], [1, 2], [], [4]]


def test_what_was_recycled_since_is_gone_and_what_came_after_stays():
    rows = ScoredRows()
    start, length = rows.add(make_contexts([[0, 1, 2], [1]]), np.arange(2, dtype=np.int32))
    rows.follow(3, np.array([1], np.int32), seq=4)
    seq = np.array([4, 5])
    assert rows_of(rows.histories(start, length, seq)) == [[0, 2], [1]]
    assert rows.still(np.array([1, 1, -1], np.int32), np.array([4, 5, 5])).tolist() == [-1, 1, -1]


def test_entries_that_are_kept_move_up():
    rows = ScoredRows()
    rows.add(make_contexts([[1, 2], [3, 4]]), np.arange(2, dtype=np.int32))
    rows.keep(np.array([2, 3]))
    found = rows.histories(np.array([0]), np.array([2]), np.zeros(1, np.int64))
    assert rows_of(found) == [[3, 4]]


def test_rows_go_on_from_their_state():
    rows, resumed = ScoredRows(), ScoredRows()
    start, length = rows.add(make_contexts([[0, 1]]), np.zeros(1, np.int32))
    rows.follow(2, np.array([0], np.int32), seq=1)
    resumed.add(make_contexts([[7, 7, 7]]), np.zeros(1, np.int32))
    resumed.load_state_dict(rows.state_dict())
    for one in (rows, resumed):
        one.follow(9, NONE, seq=2)
        assert rows_of(one.histories(start, length, np.zeros(1, np.int64))) == [[1]]
        assert one.still(np.array([8], np.int32), np.zeros(1, np.int64)).tolist() == [8]
