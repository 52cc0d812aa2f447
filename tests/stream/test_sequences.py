import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stream.sequences import ragged_indices, without_rows

LISTS = st.lists(st.lists(st.integers(0, 9), max_size=6), max_size=8)


@given(LISTS, st.sets(st.integers(0, 9)))
def test_rows_that_are_gone_leave_and_the_others_close_up(histories, gone):
    width = max(map(len, histories), default=0)
    history_CT = np.full((len(histories), width), -1, np.int32)
    for row, history in zip(history_CT, histories, strict=True):
        row[: len(history)] = history
    length_C = np.array([len(history) for history in histories], np.int32)
    is_gone_V = np.isin(np.arange(10), list(gone))
    kept_CT, kept_C = without_rows(history_CT, length_C, is_gone_V)
    expected = [[row for row in history if row not in gone] for history in histories]
    found = [row[:n].tolist() for row, n in zip(kept_CT, kept_C.tolist(), strict=True)]
    assert found == expected
    assert all((row[n:] == -1).all() for row, n in zip(kept_CT, kept_C.tolist(), strict=True))


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 5)), max_size=10))
def test_ragged_indices_are_the_ranges_end_to_end(groups):
    starts, lengths = (
        np.array(column, np.int64) for column in (zip(*groups, strict=True) if groups else ((), ()))
    )
    expected = [index for start, length in groups for index in range(start, start + length)]
    assert ragged_indices(starts, lengths).tolist() == expected
