"""What a drift detector is fed: values that have as little as possible in common.

Detectors take their values for independent. Readings of a sliding window are not: two steps apart,
they are nearly the same samples, and a detector fed with them finds drifts in mere chance. So each
sample is fed once: ranking figures click by click and CTRs item by item, or as means of so many;
other figures that are means of samples as the mean of what came since the value before. Of the rest
(an AUC, a coverage) only the window itself is known, and is read now and then.
"""

import math
from typing import Protocol

import numpy as np

from evaluators.drift_settings import Feed, is_mean, is_told_singly
from stream.values import Float64s, Reading, State

_SCHEMA_VERSION = 1


class Readings(Protocol):
    """Where values come from; an evaluator is one."""

    def reading(self, metric: str, over: str, policy: str | None = None) -> Reading | None: ...

    def sample_values(self, metric: str, policy: str | None = None) -> Float64s | None:
        """Of each sample judged last, what it adds; None where samples are not known singly."""
        ...


class FedValues:
    """The values of one figure for one detector.

    A value is fed only while the figure has `min_samples` behind it over the rule's window; until
    then single samples are passed by, and means go on growing.

    Memory: 8 bytes for each sample of an unfinished mean.

    Parameters
    ----------
    figure : tuple
        Metric, window and policy.
    feed : Feed
        What one value stands for.
    min_samples : int
        Behind the figure over its window.
    """

    def __init__(self, figure: tuple[str, str, str | None], feed: Feed, min_samples: int) -> None:
        self._metric, self._over, self._policy = figure
        self._feed = feed
        self._min_samples = min_samples
        self._unfinished_N: Float64s = np.zeros(0)
        self._slot: int | None = None  # of the value before, on the grid of event time
        self._sum = 0.0
        self._n_samples = 0.0
        self._has_start = False

    def take(self, readings: Readings, ts_ms: int) -> list[float]:
        """The values that a batch has finished, oldest first; `ts_ms` is its watermark."""
        if not is_mean(self._metric):
            return self._window(readings, ts_ms)
        if self._feed.samples is not None and is_told_singly(self._metric):
            value_N = readings.sample_values(self._metric, self._policy)
            if value_N is not None:
                return self._blocks(readings, value_N, self._feed.samples)
        return self._since(readings, ts_ms)

    def state_dict(self) -> State:
        return {
            "schema_version": _SCHEMA_VERSION,
            "unfinished_N": self._unfinished_N,
            "slot": self._slot,
            "sum": self._sum,
            "n_samples": self._n_samples,
            "has_start": self._has_start,
        }

    def load_state_dict(self, state: State) -> None:
        self._unfinished_N = np.array(state["unfinished_N"])
        self._slot = state["slot"]
        self._sum = state["sum"]
        self._n_samples = state["n_samples"]
        self._has_start = state["has_start"]

    def _blocks(self, readings: Readings, value_N: Float64s, size: int) -> list[float]:
        """Means of so many samples, wherever batches end."""
        if not len(value_N) or self._usable(readings) is None:
            return []
        if size == 1:
            return [float(value) for value in value_N]
        value_N = np.concatenate((self._unfinished_N, value_N))
        n_whole = len(value_N) // size * size
        self._unfinished_N = value_N[n_whole:]
        # fsum: the mean of a block is the same, however batches cut it.
        return [math.fsum(block) / size for block in value_N[:n_whole].reshape(-1, size).tolist()]

    def _since(self, readings: Readings, ts_ms: int) -> list[float]:
        """The mean of the samples since the value before, if it is time for one."""
        total = readings.reading(self._metric, "total", self._policy)
        if total is None or not math.isfinite(total.value):
            return []
        n_samples, sum_ = float(total.samples), total.value * float(total.samples)
        n_new = n_samples - self._n_samples
        if not self._has_start or n_new < 0:
            self._start(n_samples, sum_, ts_ms)
            return []
        if n_new < (self._feed.samples or 1) or not self._is_due(ts_ms):
            return []
        if self._usable(readings) is None:
            return []
        value = (sum_ - self._sum) / n_new
        self._start(n_samples, sum_, ts_ms)
        return [value]

    def _window(self, readings: Readings, ts_ms: int) -> list[float]:
        """The figure over its window, if it is time for it."""
        if not self._has_start:
            self._start(0.0, 0.0, ts_ms)
            return []
        if not self._is_due(ts_ms) or (reading := self._usable(readings)) is None:
            return []
        self._start(0.0, 0.0, ts_ms)
        return [reading.value]

    def _usable(self, readings: Readings) -> Reading | None:
        """The figure over its window; None with too few samples."""
        reading = readings.reading(self._metric, self._over, self._policy)
        if reading is None or reading.samples < self._min_samples:
            return None
        return reading if math.isfinite(reading.value) else None

    def _is_due(self, ts_ms: int) -> bool:
        return self._slot is None or ts_ms // (self._feed.time_ms or 1) > self._slot

    def _start(self, n_samples: float, sum_: float, ts_ms: int) -> None:
        self._n_samples, self._sum, self._has_start = n_samples, sum_, True
        if self._feed.time_ms is not None:
            self._slot = ts_ms // self._feed.time_ms
