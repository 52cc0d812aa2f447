"""Means of values that are not whole numbers, over the four windows.

# S samples of an update
"""

import numpy as np

from evaluators.row_windows import RowRing, RowSums, row_samples
from evaluators.windows import TimeBuckets, WindowSizes
from stream.values import Float64s, Int64s, Reading, State

_N, _SUM = 0, 1


class MeanWindows:
    """Quotients of two sums, such as values for each sample.

    `total` and `time` only ever add, `events` is added up when it is asked for: nothing is
    subtracted, so that rounding does not pile up. Memory: `sizes.events` x 16 bytes and 1 KiB,
    none before the first sample.

    Parameters
    ----------
    sizes : WindowSizes
        Of the windows.

    Examples
    --------
    >>> means = MeanWindows(WindowSizes(events=2, time_ms=60_000, fade=0.5))
    >>> means.advance(1_000)
    >>> means.update(np.array([1.0, 4.0, 5.0]), np.ones(3), np.full(3, 1_000))
    >>> means.reading("events"), means.reading("faded")
    (Reading(value=4.5, samples=2), Reading(value=4.142857142857143, samples=1.75))
    """

    def __init__(self, sizes: WindowSizes) -> None:
        self._fade = sizes.fade
        self._buckets = TimeBuckets(sizes.time_ms)
        self._sums = RowSums(2, np.float64, np.float64)
        self._values = RowRing(sizes.events, np.float64)
        self._weights = RowRing(sizes.events, np.float64)
        self._watermark_ms = 0
        self._n_samples = 0

    def advance(self, watermark_ms: int) -> None:
        """Move the end of the window `time`."""
        self._watermark_ms = watermark_ms
        self._sums.empty(self._buckets.advance(watermark_ms))

    def update(self, value_S: Float64s, weight_S: Float64s, ts_S: Int64s) -> None:
        """Take in samples, oldest first: what each adds to the sum, and for how much it counts."""
        if not len(value_S):
            return
        slot_S = self._buckets.slots(np.minimum(ts_S, self._watermark_ms))
        samples = row_samples(np.zeros(len(slot_S), np.int64), slot_S, 1, self._fade)
        for windows in (self._sums, self._values, self._weights):
            windows.grow(1)
        column_2S = np.repeat(np.array([[_N], [_SUM]]), len(slot_S), axis=1)
        self._sums.fade(samples)
        self._sums.add(samples, column_2S, np.stack((weight_S, value_S)))
        self._values.update(samples, value_S)
        self._weights.update(samples, weight_S)
        self._n_samples += len(value_S)

    def reading(self, window: str) -> Reading | None:
        """The sum of values over that of weights, which is the sample; None without one."""
        if not self._n_samples:
            return None
        if window == "events":
            weight, value = float(self._weights.values(0).sum()), self._values.values(0).sum()
        else:
            weight, value = self._sums.over(window, 0).tolist()
        if not weight:
            return None
        return Reading(float(value / weight), weight if window == "faded" else round(weight))

    def state_dict(self) -> State:
        return {
            "buckets": self._buckets.state_dict(),
            "sums": self._sums.state_dict(),
            "values": self._values.state_dict(),
            "weights": self._weights.state_dict(),
            "watermark_ms": self._watermark_ms,
            "n_samples": self._n_samples,
        }

    def load_state_dict(self, state: State) -> None:
        self._buckets.load_state_dict(state["buckets"])
        self._sums.load_state_dict(state["sums"])
        self._values.load_state_dict(state["values"])
        self._weights.load_state_dict(state["weights"])
        self._watermark_ms = state["watermark_ms"]
        self._n_samples = state["n_samples"]
