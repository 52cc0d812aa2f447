"""What a rule of kind `drift` sees between its steps: values, a detector, and what it found."""

import math

from evaluators.alert_rules import Rule
from evaluators.drift import Shift, made_detector
from evaluators.drift_feed import FedValues, Readings
from stream.values import Record, State

_SCHEMA_VERSION = 1


class DriftWatch:
    """Feeds a detector batch by batch, and keeps what it found for the rule's next step.

    Parameters
    ----------
    rule : Rule
        Of kind `drift`.

    Examples
    --------
    >>> import numpy as np
    >>> from stream.values import Reading
    >>> class Hits:
    ...     def __init__(self, hit): self.hit = hit
    ...     def reading(self, metric, over, policy=None): return Reading(self.hit, 1000)
    ...     def sample_values(self, metric, policy=None): return np.full(100, self.hit)
    >>> watch = DriftWatch(Rule(name="d", kind="drift", metric="recall@20", detector="adwin"))
    >>> for hit in (1.0, 1.0, 1.0, 0.0):
    ...     watch.feed(Hits(hit), ts_ms=1)
    >>> watch.told(), watch.taken_up(), watch.taken_up()
    ({'detector': 'adwin', 'detected': 'down', 'detections': 1}, True, False)
    """

    def __init__(self, rule: Rule) -> None:
        self._detector_name = rule.detector
        self._sides = rule.drift.sides
        self._detector = made_detector(rule.drift.parameters, self._sides)
        figure = (rule.metric, rule.over, rule.policy)
        self._source = FedValues(figure, rule.drift.fed, rule.min_samples)
        self._last: Shift | None = None
        self._is_new = False
        self._n_detections = 0

    def feed(self, readings: Readings, ts_ms: int) -> None:
        """Take in what a batch brought."""
        for value in self._source.take(readings, ts_ms):
            if not math.isfinite(value):
                continue
            shift = self._detector.update(value)
            if shift is not None and shift.side in self._sides:
                self._last, self._is_new = shift, True
                self._n_detections += 1

    def taken_up(self) -> bool:
        """Whether something was found that no step has taken up yet."""
        was_new, self._is_new = self._is_new, False
        return was_new

    @property
    def level(self) -> float | None:
        """What was normal before the last drift; None before the first."""
        return None if self._last is None else self._last.level

    def told(self) -> Record:
        """What the rule's notices say beside what all notices say."""
        return {
            "detector": self._detector_name,
            "detected": None if self._last is None else self._last.side,
            "detections": self._n_detections,
        }

    def state_dict(self) -> State:
        last = self._last
        return {
            "schema_version": _SCHEMA_VERSION,
            "source": self._source.state_dict(),
            "detector": self._detector.state_dict(),
            "last": None if last is None else {"side": last.side, "level": last.level},
            "is_new": self._is_new,
            "n_detections": self._n_detections,
        }

    def load_state_dict(self, state: State) -> None:
        self._source.load_state_dict(state["source"])
        self._detector.load_state_dict(state["detector"])
        self._last = None if state["last"] is None else Shift(**state["last"])
        self._is_new = state["is_new"]
        self._n_detections = state["n_detections"]
