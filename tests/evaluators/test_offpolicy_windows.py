"""# S lists, X totals of each, R rows"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluators.offpolicy_estimates import N_PRODUCTS, TOTALS
from evaluators.offpolicy_windows import OffPolicyWindows
from evaluators.row_windows import row_samples
from evaluators.windows import WINDOWS, WindowSizes
from tests.conformance.stateful_contract import StatefulContract

SIZES = WindowSizes(events=20, time_ms=60_000, fade=0.9)
N_ROWS = 2


def random_totals(rng: np.random.Generator, n_lists: int) -> np.ndarray:
    totals_SX = rng.normal(1, 1, (n_lists, len(TOTALS)))
    totals_SX[:, 0] = 1
    totals_SX[:, 1] = rng.integers(1, 9, n_lists)
    return totals_SX


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 15), min_size=1, max_size=6))
@settings(deadline=None)
def test_moments_equal_a_loop_over_the_lists_of_each_window(seed, cuts):
    rng = np.random.default_rng(seed)
    windows = OffPolicyWindows(SIZES)
    seen: list[tuple[int, int, np.ndarray]] = []
    for cut in cuts:
        row_S, slot_S = np.sort(rng.integers(0, N_ROWS, cut)), rng.integers(-1, 3, cut)
        totals_SX = random_totals(rng, cut)
        if cut:
            windows.update(row_samples(row_S, slot_S, N_ROWS, SIZES.fade), totals_SX)
        seen += zip(row_S.tolist(), slot_S.tolist(), totals_SX, strict=True)
    for row in range(N_ROWS):
        own = [(slot, totals_X) for of_row, slot, totals_X in seen if of_row == row]
        weights = {
            "total": [1.0] * len(own),
            "events": [1.0 * (age < SIZES.events) for age in range(len(own))][::-1],
            "time": [1.0 * (slot >= 0) for slot, _ in own],
            "faded": [SIZES.fade**age for age in range(len(own))][::-1],
        }
        for over in WINDOWS:
            moments = windows.moments(over, row)
            if not sum(weights[over]):
                assert moments is None
                continue
            product_XX = sum(
                weight * np.outer(totals_X, totals_X)
                for weight, (_, totals_X) in zip(weights[over], own, strict=True)
            )
            np.testing.assert_allclose(
                moments.product_GG, product_XX[:N_PRODUCTS, :N_PRODUCTS], atol=1e-9
            )
            others = [moments.squared_weight, moments.hits]
            assert others == pytest.approx(product_XX[0, N_PRODUCTS:].tolist(), abs=1e-9)


def test_time_that_has_passed_is_dropped():
    windows = OffPolicyWindows(SIZES)
    rng = np.random.default_rng(0)
    windows.update(row_samples(np.zeros(4, int), np.full(4, 7), 1, 0.9), random_totals(rng, 4))
    windows.empty(np.array([7]))
    assert windows.moments("time", 0) is None
    assert windows.moments("total", 0) is not None


def test_memory_is_as_documented():
    windows = OffPolicyWindows(SIZES)
    rng = np.random.default_rng(0)
    for _ in range(9):
        windows.update(row_samples(np.zeros(9, int), np.full(9, 7), 1, 0.9), random_totals(rng, 9))
    state = windows.state_dict()
    arrays = [*state["sums"].values(), *state["last"].values()]
    assert sum(array.nbytes for array in arrays) <= 88 * SIZES.events + 23 * 1024 + 16


class TestOffPolicyWindows(StatefulContract):
    make = staticmethod(lambda: OffPolicyWindows(SIZES))

    @staticmethod
    def drive(windows: OffPolicyWindows, step: int) -> list:
        rng = np.random.default_rng(step)
        row_S = np.sort(rng.integers(0, min(1 + step, 3), 9))
        windows.empty(np.array([step % 5]))
        samples = row_samples(row_S, rng.integers(-1, 5, 9), min(1 + step, 3), SIZES.fade)
        windows.update(samples, random_totals(rng, 9))
        return [windows.moments(over, row) for over in WINDOWS for row in range(3)]
