import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluators.row_windows import RowRing, RowSums, row_samples
from evaluators.windows import TIME_BUCKETS
from tests.conformance.stateful_contract import assert_same_bits

N_ROWS, N_COLUMNS = 3, 4
FADE = 0.9
SEEDS = st.integers(0, 2**32 - 1)
CUTS = st.lists(st.integers(0, 40), min_size=1, max_size=6)


class Samples:
    """Samples of three rows in order of arrival, each with slot, column and value."""

    def __init__(self, seed: int, n_samples: int) -> None:
        rng = np.random.default_rng(seed)
        self.row_S = rng.integers(0, N_ROWS, n_samples)
        self.slot_S = rng.integers(-1, 5, n_samples)
        self.column_S = rng.integers(0, N_COLUMNS, n_samples)
        self.value_S = rng.random(n_samples)

    def part(self, start: int, end: int) -> tuple:
        """Row samples of a run, with their columns and values by row."""
        order_S = start + np.argsort(self.row_S[start:end], kind="stable")
        samples = row_samples(self.row_S[order_S], self.slot_S[order_S], N_ROWS, FADE)
        return samples, self.column_S[order_S], self.value_S[order_S]


def sums_after(samples: Samples, cuts: list[int], with_values: bool = True) -> RowSums:
    sums = RowSums(N_COLUMNS, np.float64, np.float64)
    sums.grow(N_ROWS)
    end = 0
    for cut in cuts:
        rows, column_S, value_S = samples.part(end, end + cut)
        sums.fade(rows)
        sums.add(rows, column_S, value_S if with_values else None)
        end += cut
    return sums


@given(seed=SEEDS, cuts=CUTS)
@settings(deadline=None)
def test_sums_equal_a_loop_over_the_samples(seed, cuts):
    samples = Samples(seed, sum(cuts))
    expected = {name: np.zeros((N_ROWS, N_COLUMNS)) for name in ("total", "time", "faded")}
    columns = samples.row_S, samples.slot_S, samples.column_S, samples.value_S
    for row, slot, column, value in zip(*columns, strict=True):
        expected["total"][row, column] += value
        expected["time"][row, column] += value * (slot >= 0)
        expected["faded"][row] *= FADE
        expected["faded"][row, column] += value
    sums = sums_after(samples, cuts)
    for name, sum_RC in expected.items():
        for row in range(N_ROWS):
            assert sums.over(name, row).tolist() == pytest.approx(sum_RC[row].tolist(), abs=1e-12)


@given(seed=SEEDS, cuts=CUTS)
@settings(deadline=None)
def test_cutting_the_samples_into_updates_changes_no_bit_of_total_and_time(seed, cuts):
    samples = Samples(seed, sum(cuts))
    cut, whole = sums_after(samples, cuts), sums_after(samples, [sum(cuts)])
    for row in range(N_ROWS):
        for name in ("total", "time"):
            assert_same_bits(cut.over(name, row), whole.over(name, row))


def test_samples_without_values_are_counted():
    samples = Samples(seed=1, n_samples=50)
    sums = sums_after(samples, [20, 30], with_values=False)
    for row in range(N_ROWS):
        counts = np.bincount(samples.column_S[samples.row_S == row], minlength=N_COLUMNS)
        assert sums.over("total", row).tolist() == counts.tolist()


def test_several_values_of_a_sample_go_to_columns_of_their_own():
    sums = RowSums(3, np.float64, np.float64)
    sums.grow(1)
    rows = row_samples(np.zeros(2, np.int64), np.array([0, -1]), 1, 0.5)
    sums.add(rows, np.array([[0, 0], [1, 2]]), np.array([[1.0, 1.0], [5.0, 7.0]]))
    assert sums.over("total", 0).tolist() == [2.0, 5.0, 7.0]
    assert sums.over("time", 0).tolist() == [1.0, 5.0, 0.0]
    assert sums.over("faded", 0).tolist() == [1.5, 2.5, 7.0]


def test_an_emptied_slot_leaves_the_time_window_alone_at_0():
    sums = RowSums(1, np.int64, np.int32)
    sums.grow(2)
    rows = row_samples(np.array([0, 0, 1]), np.array([3, 4, 3]), 2, FADE)
    sums.add(rows, np.zeros(3, np.int64))
    sums.empty(np.array([3]))
    assert [sums.over("time", row).tolist() for row in range(2)] == [[1], [0]]
    assert [sums.over("total", row).tolist() for row in range(2)] == [[2], [1]]


def test_a_weight_that_faded_for_ages_becomes_0():
    sums = RowSums(2, np.float64, np.float64)
    sums.grow(1)
    rows = row_samples(np.zeros(100, np.int64), np.zeros(100, np.int64), 1, 0.1)
    sums.add(rows, np.zeros(100, np.int64))
    sums.fade(rows)
    assert sums.over("faded", 0).tolist() == [0.0, 0.0]


def test_a_bucket_of_small_integers_is_summed_in_large_ones():
    sums = RowSums(1, np.int64, np.int8)
    sums.grow(1)
    for slot in range(TIME_BUCKETS):
        sums.add(
            row_samples(np.zeros(100, np.int64), np.full(100, slot), 1, FADE), np.zeros(100, int)
        )
    assert sums.over("time", 0).tolist() == [6000]


def test_a_window_that_sums_do_not_have_is_refused():
    sums = RowSums(1, np.int64, np.int32)
    sums.grow(1)
    with pytest.raises(ValueError, match="expected total, time or faded, got events"):
        sums.over("events", 0)


@given(seed=SEEDS, cuts=CUTS, window_events=st.integers(1, 30))
@settings(deadline=None)
def test_a_ring_holds_the_last_values_of_each_row(seed, cuts, window_events):
    samples = Samples(seed, sum(cuts))
    ring = RowRing(window_events, np.float64)
    ring.grow(N_ROWS)
    end = 0
    for cut in cuts:
        rows, _, value_S = samples.part(end, end + cut)
        ring.update(rows, value_S)
        end += cut
        for row in range(N_ROWS):
            seen = samples.value_S[:end][samples.row_S[:end] == row]
            assert sorted(ring.values(row).tolist()) == sorted(seen[-window_events:].tolist())


def test_rows_that_are_added_leave_the_others_as_they_were():
    ring, sums = RowRing(3, np.float64), RowSums(1, np.float64, np.float64)
    rows = row_samples(np.array([0, 0]), np.array([0, 0]), 1, FADE)
    for windows in (ring, sums):
        windows.grow(1)
    ring.update(rows, np.array([0.25, 0.5]))
    sums.add(rows, np.zeros(2, np.int64))
    for windows in (ring, sums):
        windows.grow(4)
    assert ring.values(0).tolist() == [0.25, 0.5]
    assert ring.values(3).tolist() == []
    assert [sums.over("time", row).tolist() for row in range(4)] == [[2.0], [0.0], [0.0], [0.0]]
