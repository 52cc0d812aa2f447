import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluators.mean_windows import MeanWindows
from evaluators.windows import WINDOWS, WindowSizes
from stream.values import Reading
from tests.conformance.stateful_contract import StatefulContract

SIZES = WindowSizes(events=5, time_ms=60_000, fade=0.5)
# Of each update: seconds that pass, and the values that come; halves add up exactly.
UPDATES = st.lists(
    st.tuples(st.integers(0, 90), st.lists(st.integers(-20, 20), max_size=7)), max_size=9
)


@given(UPDATES)
@settings(max_examples=60, deadline=None)
def test_means_are_those_of_the_samples_in_each_window(updates):
    means, told, watermark_ms = MeanWindows(SIZES), [], 0
    for seconds, halves in updates:
        watermark_ms += 1000 * seconds
        means.advance(watermark_ms)
        value_S = np.array(halves, float) / 2
        means.update(value_S, np.ones(len(value_S)), np.full(len(value_S), watermark_ms))
        told += [(watermark_ms, value) for value in value_S.tolist()]
    weighed = {
        "total": [(1.0, value) for _, value in told],
        "events": [(1.0, value) for _, value in told[-5:]],
        "time": [(1.0, v) for ts, v in told if ts // 1000 > watermark_ms // 1000 - 60],
        "faded": [(0.5 ** (len(told) - 1 - i), value) for i, (_, value) in enumerate(told)],
    }
    for window in WINDOWS:
        weight = sum(one for one, _ in weighed[window])
        reading = means.reading(window)
        assert (reading is None) == (not weight)
        if reading is not None:
            assert reading.samples == pytest.approx(weight)
            assert reading.value == pytest.approx(
                sum(one * value for one, value in weighed[window]) / weight
            )


def test_a_sample_may_count_for_many():
    means = MeanWindows(SIZES)
    means.advance(0)
    means.update(np.array([3.0, 0.0]), np.array([4.0, 8.0]), np.zeros(2, np.int64))
    assert means.reading("events") == Reading(0.25, 12)


def test_nothing_is_held_before_the_first_sample():
    state = MeanWindows(SIZES).state_dict()
    assert state["values"]["ring_RW"].nbytes == 0


class TestMeanWindowsState(StatefulContract):
    @staticmethod
    def make():
        class Versioned(MeanWindows):
            def state_dict(self):
                return {"schema_version": 1, **super().state_dict()}

        return Versioned(SIZES)

    @staticmethod
    def drive(means: MeanWindows, step: int) -> object:
        rng = np.random.default_rng(step)
        means.advance(25_000 * step)
        means.update(rng.normal(size=3), np.ones(3), np.full(3, 25_000 * step))
        return [means.reading(window) for window in WINDOWS]
