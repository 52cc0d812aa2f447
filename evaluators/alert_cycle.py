"""The life cycle of an alert: inactive, pending while its condition must last, and firing.

It is that of Prometheus' alerting rules [1]_. A rule that has fired and is inactive again is told
as resolved.

References
----------
.. [1] Prometheus, rules/alerting.go, `AlertingRule.Eval`.
"""

from dataclasses import dataclass

from stream.durations import Span
from stream.notices import AlertState
from stream.values import Record, State


@dataclass(frozen=True, slots=True)
class Place:
    """A step: its event time, and the events taken in by then."""

    ts_ms: int
    n_events: int


class LifeCycle:
    """inactive -> pending -> firing -> inactive, told as resolved; pending may fall back.

    `since` and `fired` are the places where the condition of the present episode became true and
    where its rule fired, None while there is none; `episode_ms` is the event time at which the
    last episode began, the present one included.

    Parameters
    ----------
    for_ : Span
        How long the condition must be true before the rule fires.
    keep_firing_for : Span
        How long it must be false before a rule that fires resolves.

    Examples
    --------
    >>> cycle = LifeCycle(for_=Span(time_ms=2_000), keep_firing_for=Span(time_ms=0))
    >>> [cycle.step(ts_ms < 3_000, Place(ts_ms, 0)) for ts_ms in (0, 1_000, 2_000, 3_000)]
    ['pending', None, 'firing', 'resolved']
    """

    def __init__(self, for_: Span, keep_firing_for: Span) -> None:
        self._for = for_
        self._keep = keep_firing_for
        self.state: AlertState = "inactive"
        self.since: Place | None = None
        self.fired: Place | None = None
        self._false_since: Place | None = None  # while it fires
        self.episode_ms = 0
        self._times_fired = 0
        self._first_firing_ms: int | None = None
        self._last_firing_ms: int | None = None
        self._last_resolved_ms: int | None = None
        self._firing_ms = 0

    def step(self, is_true: bool, place: Place) -> AlertState | None:
        """Move on; the state reached if it is another than before."""
        before = self.state
        if is_true:
            self._false_since = None
            if self.since is None:
                self.since, self.episode_ms, self.state = place, place.ts_ms, "pending"
            if self.fired is None and _has_passed(self._for, self.since, place):
                self._fire(place)
        elif self.fired is not None:
            self._false_since = self._false_since or place
            if _has_passed(self._keep, self._false_since, place):
                self._resolve(self.fired, place)
                return "resolved"
        elif self.since is not None:
            self.since, self.state = None, "inactive"
        return self.state if self.state != before else None

    def summary(self, now_ms: int) -> Record:
        """How it stands, and what it went through since start."""
        ongoing_ms = 0 if self.fired is None else now_ms - self.fired.ts_ms
        return {
            "state": self.state,
            "times_fired": self._times_fired,
            "first_firing_ts": self._first_firing_ms,
            "last_firing_ts": self._last_firing_ms,
            "last_resolved_ts": self._last_resolved_ms,
            "firing_ms": self._firing_ms + ongoing_ms,
        }

    def state_dict(self) -> State:
        return {
            "state": self.state,
            "since": _stored(self.since),
            "fired": _stored(self.fired),
            "false_since": _stored(self._false_since),
            "episode_ms": self.episode_ms,
            "times_fired": self._times_fired,
            "first_firing_ms": self._first_firing_ms,
            "last_firing_ms": self._last_firing_ms,
            "last_resolved_ms": self._last_resolved_ms,
            "firing_ms": self._firing_ms,
        }

    def load_state_dict(self, state: State) -> None:
        self.state = state["state"]
        self.since = _restored(state["since"])
        self.fired = _restored(state["fired"])
        self._false_since = _restored(state["false_since"])
        self.episode_ms = state["episode_ms"]
        self._times_fired = state["times_fired"]
        self._first_firing_ms = state["first_firing_ms"]
        self._last_firing_ms = state["last_firing_ms"]
        self._last_resolved_ms = state["last_resolved_ms"]
        self._firing_ms = state["firing_ms"]

    def _fire(self, place: Place) -> None:
        self.fired, self.state = place, "firing"
        self._times_fired += 1
        self._last_firing_ms = place.ts_ms
        if self._first_firing_ms is None:
            self._first_firing_ms = place.ts_ms

    def _resolve(self, fired: Place, place: Place) -> None:
        self._firing_ms += place.ts_ms - fired.ts_ms
        self._last_resolved_ms = place.ts_ms
        self.since = self.fired = self._false_since = None
        self.state = "inactive"


def _has_passed(span: Span, since: Place, now: Place) -> bool:
    passed = span.along(now.ts_ms, now.n_events) - span.along(since.ts_ms, since.n_events)
    return passed >= span.size


def _stored(place: Place | None) -> list[int] | None:
    return None if place is None else [place.ts_ms, place.n_events]


def _restored(place: list[int] | None) -> Place | None:
    return None if place is None else Place(*place)
