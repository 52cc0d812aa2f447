import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learners.neighbour_table import NeighbourTable
from stream.errors import CheckpointError

N_ROWS = 6
PAIR = st.tuples(
    st.integers(0, N_ROWS - 1), st.integers(0, N_ROWS - 1), st.sampled_from([0.5, 1.0, 2.0])
)
BATCHES = st.lists(
    st.tuples(st.lists(PAIR, max_size=8), st.sets(st.integers(0, N_ROWS - 1), max_size=2)),
    max_size=8,
)


def make_table(n_neighbours: int) -> NeighbourTable:
    table = NeighbourTable(n_neighbours)
    table.grow(N_ROWS)
    return table


def add(table: NeighbourTable, *pairs: tuple[int, int, float]) -> None:
    row_P, neighbour_P = (np.array([pair[i] for pair in pairs], np.int64) for i in range(2))
    table.add(row_P, neighbour_P, np.array([pair[2] for pair in pairs], np.float64))


def held(table: NeighbourTable, row: int) -> dict[int, float]:
    neighbour_HN, weight_HN = table.neighbours(np.array([row]))
    entries = zip(neighbour_HN[0].tolist(), weight_HN[0].tolist(), strict=True)
    return {neighbour: weight for neighbour, weight in entries if weight}


@given(BATCHES)
def test_weights_are_exact_while_there_is_room(
    batches: list[tuple[list[tuple[int, int, float]], set[int]]],
) -> None:
    table = make_table(N_ROWS)
    expected: dict[int, dict[int, float]] = {row: {} for row in range(N_ROWS)}
    for pairs, recycled in batches:
        add(table, *pairs)
        for row, neighbour, weight in pairs:
            expected[row][neighbour] = expected[row].get(neighbour, 0.0) + weight
        if recycled:
            table.drop_rows(np.array(sorted(recycled), np.int32))
        for row in range(N_ROWS):
            for neighbour in recycled:
                expected[row].pop(neighbour, None)
            if row in recycled:
                expected[row] = {}
        assert {row: held(table, row) for row in range(N_ROWS)} == expected


def test_a_newcomer_takes_the_place_of_the_weakest_with_its_own_weight() -> None:
    table = make_table(2)
    add(table, (0, 1, 3.0), (0, 2, 2.0))
    add(table, (0, 3, 0.5), (0, 1, 1.0))
    assert held(table, 0) == {1: 4.0, 3: 0.5}


def test_of_too_many_newcomers_the_strongest_stay() -> None:
    table = make_table(2)
    add(table, (0, 1, 1.0), (0, 2, 3.0), (0, 3, 2.0), (4, 1, 1.0))
    assert held(table, 0) == {2: 3.0, 3: 2.0}
    assert held(table, 4) == {1: 1.0}


def test_the_place_of_a_recycled_neighbour_is_taken_first() -> None:
    table = make_table(2)
    add(table, (0, 1, 9.0), (0, 2, 1.0))
    table.drop_rows(np.array([1], np.int32))
    add(table, (0, 3, 0.5))
    assert held(table, 0) == {2: 1.0, 3: 0.5}


def test_a_recycled_row_met_again_is_a_new_neighbour() -> None:
    table = make_table(2)
    add(table, (0, 1, 9.0))
    table.drop_rows(np.array([1], np.int32))
    add(table, (0, 1, 0.5))
    assert held(table, 0) == {1: 0.5}


def test_growth_keeps_what_is_held() -> None:
    table = make_table(2)
    add(table, (5, 1, 9.0))
    table.grow(7)
    table.grow(100)
    add(table, (99, 5, 1.0))
    assert held(table, 5) == {1: 9.0}
    assert held(table, 99) == {5: 1.0}


def test_a_state_of_another_width_is_refused() -> None:
    with pytest.raises(CheckpointError, match="keeps 2 neighbours a row but the settings want 3"):
        NeighbourTable(3).load_state_dict(make_table(2).state_dict())
