import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluators.list_windows import ListRing, ListSums
from evaluators.windows import WINDOWS, WindowSizes
from tests.conformance.stateful_contract import StatefulContract

SIZES = WindowSizes(events=6, time_ms=60_000, fade=0.5)

# Of each update: seconds that pass, and lists that come.
UPDATES = st.lists(st.tuples(st.integers(0, 90), st.integers(0, 9)), max_size=12)


class Windows:
    """A ring with sums over it, driven as a judge drives them."""

    def __init__(self, sizes: WindowSizes = SIZES) -> None:
        self.ring = ListRing(sizes)
        self.sums = ListSums(2, sizes.events)

    def update(self, watermark_ms: int, value_NC: np.ndarray) -> None:
        self.sums.leave_time(self.ring.advance(watermark_ms))
        for start in range(0, len(value_NC), self.ring.max_step):
            part_NC = value_NC[start : start + self.ring.max_step]
            self.sums.add(self.ring.add(len(part_NC)), part_NC)

    def state_dict(self) -> dict:
        return {
            "schema_version": 1,
            "ring": self.ring.state_dict(),
            "sums": self.sums.state_dict(),
        }

    def load_state_dict(self, state: dict) -> None:
        self.ring.load_state_dict(state["ring"])
        self.sums.load_state_dict(state["sums"])


@given(updates=UPDATES, events=st.integers(1, 9))
@settings(max_examples=60, deadline=None)
def test_sums_are_those_of_the_lists_in_each_window(updates, events):
    sizes = WindowSizes(events=events, time_ms=60_000, fade=0.5)
    windows, rng = Windows(sizes), np.random.default_rng(0)
    ts, values, watermark_ms = [], [], 0
    for seconds, n_lists in updates:
        watermark_ms += seconds * 1000
        value_NC = rng.integers(0, 100, (n_lists, 2))
        windows.update(watermark_ms, value_NC)
        values += value_NC.tolist()
        ts += [watermark_ms] * n_lists
    value_NC = np.array(values, np.int64).reshape(-1, 2)
    is_recent_N = np.array(ts, np.int64) // 1000 > watermark_ms // 1000 - 60
    weight_N = 0.5 ** np.arange(len(ts) - 1, -1, -1)
    expected = {
        "total": value_NC.sum(axis=0),
        "events": value_NC[-events:].sum(axis=0),
        "time": value_NC[-events:][is_recent_N[-events:]].sum(axis=0),
        "faded": weight_N @ value_NC,
    }
    for window in WINDOWS:
        assert windows.sums.over(window) == pytest.approx(expected[window].tolist()), window


def test_a_window_that_nobody_knows_is_refused():
    with pytest.raises(KeyError, match="day"):
        Windows().sums.over("day")


class TestListWindowsState(StatefulContract):
    make = staticmethod(Windows)

    @staticmethod
    def drive(windows: Windows, step: int) -> object:
        value_NC = np.random.default_rng(step).integers(0, 9, (4, 2))
        windows.update(25_000 * step, value_NC)
        return [windows.sums.over(window) for window in WINDOWS]
