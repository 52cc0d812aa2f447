import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learners.reading import reading

# Rows whose bytes hold zeros and whose lowest bytes come in another order than they do.
ROWS = st.sampled_from([0, 1, 2, 254, 255, 256, 65_535, 2**24 - 1, 2**31 - 2])
HISTORIES = st.lists(st.lists(ROWS, max_size=5), max_size=8)


def padded(histories: list[list[int]], width: int) -> tuple[np.ndarray, np.ndarray]:
    history_HT = np.full((len(histories), width), -1, np.int32)
    for h, rows in enumerate(histories):
        history_HT[h, : len(rows)] = rows
    return history_HT, np.array([len(rows) for rows in histories], np.int32)


@given(histories=HISTORIES, call_positions=st.sampled_from([0, 4, 1_000]), more=st.integers(0, 2))
def test_each_state_asked_for_is_found_behind_what_it_knows(histories, call_positions, more):
    history_HT, length_H = padded(histories, max(map(len, histories), default=0) + more)
    asked = [(h, step) for h, rows in enumerate(histories) for step in range(len(rows) + 1)]
    history_N = np.array([h for h, _ in asked], np.int64)
    step_N = np.array([step for _, step in asked], np.int64)
    planned = reading(history_HT, length_H, (history_N, step_N), call_positions)
    known = [
        [row for row in rows[:step] if row >= 0]
        for history_CT in planned.history_of
        for rows in history_CT.tolist()
        for step in range(len(rows) + 1)
    ]
    assert [known[place] for place in planned.place_N.tolist()] == [
        histories[h][:step] for h, step in asked
    ]


@given(histories=HISTORIES)
def test_nothing_is_run_that_is_the_beginning_of_something_else(histories):
    history_HT, length_H = padded(histories, 5)
    ends = np.arange(len(histories)), length_H.astype(np.int64)
    planned = reading(history_HT, length_H, ends, call_positions=0)
    run = [
        tuple(row for row in rows if row >= 0)
        for history_CT in planned.history_of
        for rows in history_CT.tolist()
    ]
    distinct = {tuple(rows) for rows in histories}
    expected = [
        one
        for one in distinct
        if not any(other != one and other[: len(one)] == one for other in distinct)
    ]
    assert sorted(run) == sorted(expected)


@pytest.mark.parametrize("width", [0, 3])
def test_histories_without_an_item_are_one(width):
    history_HT, length_H = padded([[], [], []], width)
    planned = reading(history_HT, length_H, (np.arange(3), np.zeros(3, np.int64)), 100)
    assert [one.shape for one in planned.history_of] == [(1, 0)]
    assert planned.place_N.tolist() == [0, 0, 0]
