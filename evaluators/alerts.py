"""Alerts: rules that watch figures, and the life cycle each of them runs through.

The life cycle is that of Prometheus' alerting rules [1]_: inactive, pending while the condition
must last, firing, and resolved, which is inactive again. Rules step on a grid of event time.

References
----------
.. [1] Prometheus, rules/alerting.go, `AlertingRule.Eval`.
"""

import math
from dataclasses import dataclass
from typing import Protocol

from evaluators.alert_rules import AlertsConfig, Rule
from evaluators.reference import Reference
from stream.durations import Span
from stream.errors import CheckpointError
from stream.values import AlertState, Moment, Notice, Reading, Record, State

_SCHEMA_VERSION = 1


class Readings(Protocol):
    """Where rules read their figures; an evaluator is one."""

    def reading(self, metric: str, over: str, policy: str | None = None) -> Reading | None: ...


class Alerts:
    """Steps every rule, and tells each change of a state once.

    Rules step when the watermark passes a multiple of `evaluate_every`. A batch that passes
    several of them is one step, at the last: what the figures were in between is not known. A
    step is at that multiple in time and at the events taken in by the end of the batch. The
    first batch only sets the clock.

    A step without a reading, with one that is not finite, or with one of fewer than
    `min_samples` samples, is skipped by the rule: its state is held. Its durations go on, so that
    a condition which is true again after a gap has lasted through it.

    Parameters
    ----------
    config : AlertsConfig
        The rules and their grid.

    Examples
    --------
    >>> class Recall:
    ...     def reading(self, metric, over, policy=None):
    ...         return Reading(value=0.11, samples=500)
    >>> rule = {"name": "low", "kind": "below", "metric": "recall@20", "threshold": 0.18}
    >>> alerts = Alerts(AlertsConfig.model_validate({"rules": [rule]}))
    >>> [
    ...     [(notice.rule, notice.state, notice.ts_ms) for notice in alerts.step(Recall(), moment)]
    ...     for moment in (Moment(0, 59_000, 250, {}), Moment(1, 61_000, 500, {}))
    ... ]
    [[], [('low', 'firing', 60000)]]
    """

    def __init__(self, config: AlertsConfig) -> None:
        self._every_ms = config.evaluate_every
        self._watches = [_Watch(rule) for rule in config.rules]
        self._settings = [rule.model_dump(mode="json") for rule in config.rules]
        self._ts_ms: int | None = None

    def step(self, readings: Readings, moment: Moment) -> list[Notice]:
        """Step all rules if the watermark passed the grid; the changes, in the order of rules."""
        if not moment.watermark_ms:  # nothing has told the time yet
            return []
        before_ms = self._ts_ms
        ts_ms = moment.watermark_ms // self._every_ms * self._every_ms
        if before_ms is not None and ts_ms <= before_ms:
            return []
        self._ts_ms = ts_ms
        if before_ms is None:
            return []
        notices = (watch.step(readings, moment, ts_ms) for watch in self._watches)
        return [notice for notice in notices if notice is not None]

    @property
    def firing(self) -> list[str]:
        """Names of the rules that fire, in their order."""
        return [watch.rule.name for watch in self._watches if watch.cycle.state == "firing"]

    def states(self) -> dict[str, Record]:
        """How each rule stands, by name, and how often and how long it fired since start.

        `firing_ms` is event time and counts a rule that fires up to the last step.
        """
        return {watch.rule.name: watch.summary(self._ts_ms or 0) for watch in self._watches}

    def state_dict(self) -> State:
        return {
            "schema_version": _SCHEMA_VERSION,
            "settings": self._settings,
            "ts_ms": self._ts_ms,
            "rules": {watch.rule.name: watch.state_dict() for watch in self._watches},
        }

    def load_state_dict(self, state: State) -> None:
        if state["schema_version"] != _SCHEMA_VERSION:
            raise CheckpointError(
                f"alerts: the checkpoint's state has version {state['schema_version']}, expected "
                f"{_SCHEMA_VERSION}; resume with the release that wrote it"
            )
        # A state reached under other rules means something else and must not be gone on with.
        if state["settings"] != self._settings:
            names = [rule["name"] for rule in state["settings"]]
            raise CheckpointError(
                f"alerts: the checkpoint was made with other rules than the configuration has "
                f"(its own: {', '.join(names) or 'none'}); set them back or start from an empty "
                "checkpoint.dir"
            )
        self._ts_ms = state["ts_ms"]
        for watch in self._watches:
            watch.load_state_dict(state["rules"][watch.rule.name])


@dataclass(frozen=True, slots=True)
class _Place:
    """A step: its event time, and the events taken in by then."""

    ts_ms: int
    n_events: int


@dataclass(frozen=True, slots=True)
class _Levels:
    """What a value is compared with, and from what level on a rule that fires resolves."""

    threshold: float
    clear: float
    reference: float | None = None


class _Watch:
    """One rule: its condition, its life cycle and, of a drop, its reference."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.cycle = _LifeCycle(rule)
        self._reference = Reference(rule.reference) if rule.reference is not None else None
        self._is_renewed = False
        self._n_judged = self._n_held = 0

    def summary(self, now_ms: int) -> Record:
        """How it stands; `steps_judged` and `steps_held` tell whether it could be read at all."""
        steps = {"steps_judged": self._n_judged, "steps_held": self._n_held}
        return self.cycle.summary(now_ms) | steps

    def step(self, readings: Readings, moment: Moment, ts_ms: int) -> Notice | None:
        rule, place = self.rule, _Place(ts_ms, moment.n_events)
        self._n_held += 1
        reading = readings.reading(rule.metric, rule.over, rule.policy)
        if reading is None or not math.isfinite(reading.value):
            return None
        if reading.samples < rule.min_samples:
            return None
        levels = self._levels(place)
        if levels is not None:
            self._n_held, self._n_judged = self._n_held - 1, self._n_judged + 1
        state = None
        if levels is not None:
            state = self.cycle.step(self._is_true(reading.value, levels), place)
        self._follow(place, reading.value, levels)
        if state is None or levels is None:
            return None
        record = self._record(state, moment, ts_ms) | _judged(reading, levels)
        if state in ("resolved", "inactive"):
            self._is_renewed = False
        return Notice(rule.name, state, ts_ms, record["since"], record)

    def state_dict(self) -> State:
        return {
            "cycle": self.cycle.state_dict(),
            "reference": None if self._reference is None else self._reference.state_dict(),
            "is_renewed": self._is_renewed,
            "steps": [self._n_judged, self._n_held],
        }

    def load_state_dict(self, state: State) -> None:
        self.cycle.load_state_dict(state["cycle"])
        if self._reference is not None:
            self._reference.load_state_dict(state["reference"])
        self._is_renewed = state["is_renewed"]
        self._n_judged, self._n_held = state["steps"]

    def _levels(self, place: _Place) -> _Levels | None:
        """What holds at this step; None for a drop whose reference is not known yet."""
        rule = self.rule
        if self._reference is None or rule.reference is None or rule.share is None:
            assert rule.threshold is not None, "required of every kind but drop"
            clear = rule.threshold if rule.clear is None else rule.clear
            return _Levels(rule.threshold, clear)
        at = rule.reference.along(place.ts_ms, place.n_events)
        if (fired := self.cycle.fired) is not None:
            fired_at = rule.reference.along(fired.ts_ms, fired.n_events)
            self._is_renewed = self._reference.renew(at, fired_at) or self._is_renewed
        level = self._reference.level(at)
        if level is None:
            return None
        clear_share = rule.share if rule.clear_share is None else rule.clear_share
        return _Levels((1.0 - rule.share) * level, (1.0 - clear_share) * level, level)

    def _is_true(self, value: float, levels: _Levels) -> bool:
        level = levels.clear if self.cycle.state == "firing" else levels.threshold
        return value > level if self.rule.kind == "above" else value < level

    def _follow(self, place: _Place, value: float, levels: _Levels | None) -> None:
        """Let the reference take in what was read, or stand still."""
        if self._reference is None or self.rule.reference is None:
            return
        if self.cycle.state == "inactive":
            self._reference.release()
        elif self.cycle.since == place and levels is not None and levels.reference is not None:
            self._reference.hold(levels.reference)
        self._reference.absorb(self.rule.reference.along(place.ts_ms, place.n_events), value)

    def _record(self, state: AlertState, moment: Moment, ts_ms: int) -> Record:
        rule = self.rule
        return {
            "seq": moment.seq,
            "name": f"alert:{rule.name}:{state}",
            "rule": rule.name,
            "kind": rule.kind,
            "state": state,
            "severity": rule.severity,
            "metric": rule.metric,
            "over": rule.over,
            "policy": rule.policy,
            "ts": ts_ms,
            "since": self.cycle.episode_ms,
            "renewed": self._is_renewed,
            "events": moment.n_events,
            "description": rule.description,
            "react": rule.react,
            "anchor": moment.anchor,
            "end": {file: dict(cursor) for file, cursor in moment.end.items()},
        }


def _judged(reading: Reading, levels: _Levels) -> Record:
    return {
        "value": float(reading.value),
        "threshold": levels.threshold,
        "clear": levels.clear,
        "reference": levels.reference,
        "samples": float(reading.samples),
    }


class _LifeCycle:
    """inactive -> pending -> firing -> inactive, told as resolved; pending may fall back."""

    def __init__(self, rule: Rule) -> None:
        self._for = rule.for_
        self._keep = rule.keep_firing_for
        self.state: AlertState = "inactive"
        # Of the present episode: where the condition became true, where the rule fired, and
        # where the condition became false while it fires.
        self.since: _Place | None = None
        self.fired: _Place | None = None
        self._false_since: _Place | None = None
        # Of the last episode, and of all of them.
        self.episode_ms = 0
        self._times_fired = 0
        self._first_firing_ms: int | None = None
        self._last_firing_ms: int | None = None
        self._last_resolved_ms: int | None = None
        self._firing_ms = 0

    def step(self, is_true: bool, place: _Place) -> AlertState | None:
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

    def _fire(self, place: _Place) -> None:
        self.fired, self.state = place, "firing"
        self._times_fired += 1
        self._last_firing_ms = place.ts_ms
        if self._first_firing_ms is None:
            self._first_firing_ms = place.ts_ms

    def _resolve(self, fired: _Place, place: _Place) -> None:
        self._firing_ms += place.ts_ms - fired.ts_ms
        self._last_resolved_ms = place.ts_ms
        self.since = self.fired = self._false_since = None
        self.state = "inactive"


def _has_passed(span: Span, since: _Place, now: _Place) -> bool:
    passed = span.along(now.ts_ms, now.n_events) - span.along(since.ts_ms, since.n_events)
    return passed >= span.size


def _stored(place: _Place | None) -> list[int] | None:
    return None if place is None else [place.ts_ms, place.n_events]


def _restored(place: list[int] | None) -> _Place | None:
    return None if place is None else _Place(*place)
