import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.running_moments import GUARDED_FROM, MEMORY, REACH, RunningMoments
from tests.conformance.stateful_contract import StatefulContract

NUMBERS = st.floats(-1e6, 1e6) | st.just(math.nan)


def column(numbers: list[float]) -> np.ndarray:
    return np.array(numbers, np.float64).reshape(-1, 1)


@given(batches=st.lists(st.lists(NUMBERS, max_size=8), max_size=10))
def test_however_numbers_are_cut_into_batches_the_moments_are_those_of_all(batches):
    moments = RunningMoments(1)
    for batch in batches:
        moments.add(column(batch))
    there = [number for batch in batches for number in batch if not math.isnan(number)]
    expected = (np.mean(there), np.std(there)) if there else (0.0, 0.0)
    found = moments.mean_R[0], moments.deviation_R[0]
    largest = max(map(abs, there), default=1.0)
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-7 * largest + 1e-12)


@given(rows=st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=30))
def test_each_number_has_moments_of_its_own(rows):
    together = RunningMoments(2)
    together.add(np.array(rows))
    for r in range(2):
        alone = RunningMoments(1)
        alone.add(np.array(rows)[:, [r]])
        # numpy adds up columns and rows in another order.
        assert together.mean_R[r] == pytest.approx(alone.mean_R[0], rel=1e-12, abs=1e-9)
        assert together.deviation_R[r] == pytest.approx(alone.deviation_R[0], rel=1e-9, abs=1e-6)


@given(numbers=st.lists(st.floats(-1e15, 1e15), min_size=1, max_size=20))
def test_whatever_comes_is_scaled_to_a_finite_number_within_the_limit(numbers):
    moments = RunningMoments(1)
    moments.add(column(numbers))
    scaled = moments.scaled(column([*numbers, 1e15, -1e15, math.nan]), 5.0)
    assert np.isfinite(scaled).all()
    assert np.abs(scaled).max() <= 5.0
    assert scaled[-1] == 0.0


def test_before_anything_came_every_number_is_an_average_one():
    assert RunningMoments(1).scaled(column([1e9, -3.0]), 5.0).tolist() == [[0.0], [0.0]]


def test_one_broken_value_does_not_make_all_others_alike():
    rng = np.random.default_rng(0)
    moments = RunningMoments(1)
    moments.add(rng.normal(10, 2, (GUARDED_FROM, 1)))
    moments.add(column([1e15]))
    assert moments.deviation_R[0] < REACH
    assert moments.scaled(column([14.0]), 5.0)[0, 0] > 0.5


def test_a_new_scale_is_found_within_some_batches():
    rng = np.random.default_rng(0)
    moments = RunningMoments(1)
    moments.add(rng.normal(10, 2, (1_000, 1)))
    for _ in range(40):
        moments.add(rng.normal(10_000, 2_000, (250, 1)))
    assert moments.deviation_R[0] == pytest.approx(3_500, rel=0.5)


def test_old_numbers_fade_once_there_are_many():
    moments = RunningMoments(1)
    for _ in range(40):
        moments.add(np.tile([[0.0], [2.0]], (MEMORY // 2, 1)))
    for _ in range(12):
        moments.add(np.tile([[4.0], [6.0]], (MEMORY // 2, 1)))
    assert moments.mean_R[0] == pytest.approx(5.0, abs=0.01)


class TestRunningMomentsState(StatefulContract):
    @staticmethod
    def make() -> RunningMoments:
        return RunningMoments(2)

    @staticmethod
    def drive(stateful: RunningMoments, step: int) -> object:
        numbers = np.random.default_rng(step).normal(step, 1 + step, (5, 2))
        numbers[step % 5, 0] = np.nan
        scaled = stateful.scaled(numbers, 5.0)
        stateful.add(numbers)
        return scaled
