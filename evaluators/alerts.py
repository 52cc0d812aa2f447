"""Alerts: rules that watch figures on a grid of event time, and may change on the way."""

import math
from dataclasses import dataclass
from typing import Protocol

from evaluators.alert_cycle import LifeCycle, Place
from evaluators.alert_rules import AlertsConfig, Rule
from evaluators.annotations import rendered
from evaluators.mutes import Mutes
from evaluators.reference import Reference
from evaluators.telling import Change, Telling
from evaluators.worse_than import Leads, WorseThan
from stream.errors import CheckpointError
from stream.notices import AlertState, Moment, Notice
from stream.values import Reading, Record, State

_SCHEMA_VERSION = 3


class Readings(Leads, Protocol):
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

    Rules of kind `worse_than` hear the samples of every batch, whether it is a step or not.
    After all rules have stepped it is known which of them fire, and so whose notices are muted.
    That a rule which goes on firing became muted, or is no longer, is a notice of its own.

    Parameters
    ----------
    config : AlertsConfig
        The rules and their grid, until others are put in force.

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
        self._config = config
        self._watches = [_Watch(rule) for rule in config.rules]
        self._mutes = _mutes_of(config)
        self._ts_ms: int | None = None

    @property
    def config(self) -> AlertsConfig:
        """The settings in force."""
        return self._config

    def step(self, readings: Readings, moment: Moment) -> list[Notice]:
        """Step all rules if the watermark passed the grid; the changes, in the order of rules."""
        for watch in self._watches:
            watch.feed(readings)
        if not moment.watermark_ms:  # nothing has told the time yet
            return []
        before_ms = self._ts_ms
        ts_ms = moment.watermark_ms // self._config.evaluate_every * self._config.evaluate_every
        if before_ms is not None and ts_ms <= before_ms:
            return []
        self._ts_ms = ts_ms
        if before_ms is None:
            return []
        steps = [(watch, watch.step(readings, moment, ts_ms)) for watch in self._watches]
        firing = self.firing
        notices = (
            watch.told(state, self._mutes.of(watch.rule.name, firing, ts_ms), moment, ts_ms)
            for watch, state in steps
        )
        return [notice for notice in notices if notice is not None]

    def reload(self, config: AlertsConfig, moment: Moment) -> list[Notice]:
        """Put other rules in force; what is told of those that are withdrawn, in their order.

        A rule whose settings are all equal goes on as if nothing had happened. A new or changed
        one starts afresh. One that is gone or changed, and was pending or fired, is told once: as
        inactive or resolved at the last step, with `withdrawn` in its record and no figures.
        Other mutes hold from the next step on.

        Steps stay in order and none is repeated: on a coarser grid the next one may be further
        away, on a finer one it is at the last multiple that the watermark has passed by then.

        Parameters
        ----------
        config : AlertsConfig
            The settings, of which everything is taken over.
        moment : Moment
            Where the stream stands; the batch's own step comes first.

        Returns
        -------
        list of Notice
            At most one for each rule that was in force.
        """
        kept = {watch.rule.name: watch for watch in self._watches if watch.rule in config.rules}
        withdrawn = (
            watch.withdraw(moment, self._ts_ms or 0)
            for watch in self._watches
            if watch.rule.name not in kept
        )
        notices = [notice for notice in withdrawn if notice is not None]
        self._config = config
        self._watches = [kept.get(rule.name) or _Watch(rule) for rule in config.rules]
        self._mutes = _mutes_of(config)
        return notices

    @property
    def firing(self) -> list[str]:
        """Names of the rules that fire, in their order."""
        return [watch.rule.name for watch in self._watches if watch.cycle.state == "firing"]

    def states(self) -> dict[str, Record]:
        """How each rule in force stands, by name, and how often and how long it fired.

        Counted from the start, or from when the rule was put in force as it is. `firing_ms` is
        event time and counts a rule that fires up to the last step.
        """
        return {watch.rule.name: watch.summary(self._ts_ms or 0) for watch in self._watches}

    def state_dict(self) -> State:
        return {
            "schema_version": _SCHEMA_VERSION,
            "settings": self._config.model_dump(mode="json"),
            "ts_ms": self._ts_ms,
            "rules": {watch.rule.name: watch.state_dict() for watch in self._watches},
        }

    def load_state_dict(self, state: State) -> None:
        if state["schema_version"] != _SCHEMA_VERSION:
            raise CheckpointError(
                f"alerts: the checkpoint's state has version {state['schema_version']}, expected "
                f"{_SCHEMA_VERSION}; resume with the release that wrote it"
            )
        # A state means something under its own rules alone: they come back with it.
        self._config = AlertsConfig.model_validate(state["settings"])
        self._watches = [_Watch(rule) for rule in self._config.rules]
        self._mutes = _mutes_of(self._config)
        self._ts_ms = state["ts_ms"]
        for watch in self._watches:
            watch.load_state_dict(state["rules"][watch.rule.name])


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
        self.cycle = LifeCycle(rule.for_, rule.keep_firing_for)
        self._reference = Reference(rule.reference) if rule.reference is not None else None
        self._rival = WorseThan(rule) if rule.kind == "worse_than" else None
        self._telling = Telling()
        self._judged: Record = _NOT_JUDGED  # what the last step that judged was about
        self._is_renewed = False
        self._n_judged = self._n_held = 0

    def summary(self, now_ms: int) -> Record:
        """How it stands; `steps_judged` and `steps_held` tell whether it could be read at all."""
        steps = {"steps_judged": self._n_judged, "steps_held": self._n_held}
        return self.cycle.summary(now_ms) | {"muted_by": list(self._telling.muted_by)} | steps

    def feed(self, readings: Readings) -> None:
        """Hear what the last batch was judged by."""
        if self._rival is not None:
            self._rival.feed(readings)

    def step(self, readings: Readings, moment: Moment, ts_ms: int) -> AlertState | None:
        rule, place = self.rule, Place(ts_ms, moment.n_events)
        self._n_held += 1
        reading = self._reading(readings)
        if reading is None or not math.isfinite(reading.value):
            return None
        if reading.samples < rule.min_samples:
            return None
        levels = self._levels(place)
        if levels is not None:
            self._n_held, self._n_judged = self._n_held - 1, self._n_judged + 1
        state = None
        if levels is not None:
            self._judged = _judged(reading, levels)
            state = self.cycle.step(self._is_true(reading.value, levels), place)
        self._follow(place, reading.value, levels)
        return state

    def told(
        self, state: AlertState | None, muted_by: list[str], moment: Moment, ts_ms: int
    ) -> Notice | None:
        """The notice of the state that a step reached, or of what mutes a rule that fires."""
        change: Change | None = None
        if state is not None:
            muted_by = self._telling.of_transition(state, muted_by)
        elif self.cycle.state == "firing":
            change = self._telling.of_firing(muted_by)
        if state is None and change is None:
            return None
        details = self._judged | {"muted_by": muted_by, "change": change or "state"}
        notice = self._notice(state or "firing", moment, ts_ms, details)
        if state in ("resolved", "inactive"):
            self._is_renewed = False
        return notice

    def withdraw(self, moment: Moment, ts_ms: int) -> Notice | None:
        """What is told of a rule that is no longer in force; None of one that is inactive."""
        if self.cycle.state == "inactive":
            return None
        state: AlertState = "resolved" if self.cycle.state == "firing" else "inactive"
        muted_by = self._telling.of_transition(state, self._telling.muted_by)
        details = {"muted_by": muted_by, "change": "state", "withdrawn": True}
        return self._notice(state, moment, ts_ms, _NOT_JUDGED | details)

    def state_dict(self) -> State:
        return {
            "cycle": self.cycle.state_dict(),
            "reference": None if self._reference is None else self._reference.state_dict(),
            "rival": None if self._rival is None else self._rival.state_dict(),
            "telling": self._telling.state_dict(),
            "judged": dict(self._judged),
            "is_renewed": self._is_renewed,
            "steps": [self._n_judged, self._n_held],
        }

    def load_state_dict(self, state: State) -> None:
        self.cycle.load_state_dict(state["cycle"])
        if self._reference is not None:
            self._reference.load_state_dict(state["reference"])
        if self._rival is not None:
            self._rival.load_state_dict(state["rival"])
        self._telling.load_state_dict(state["telling"])
        self._judged = dict(state["judged"])
        self._is_renewed = state["is_renewed"]
        self._n_judged, self._n_held = state["steps"]

    def _reading(self, readings: Readings) -> Reading | None:
        if self._rival is not None:
            return self._rival.reading(readings)
        return readings.reading(self.rule.metric, self.rule.over, self.rule.policy)

    def _levels(self, place: Place) -> _Levels | None:
        """What holds at this step; None for a drop whose reference is not known yet."""
        rule = self.rule
        if self._rival is not None:
            return _Levels(self._rival.threshold, self._rival.threshold)
        if self._reference is None or rule.reference is None or rule.share is None:
            assert rule.threshold is not None, "required of below and above"
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
        if self._rival is not None:
            return self._rival.is_worse
        level = levels.clear if self.cycle.state == "firing" else levels.threshold
        return value > level if self.rule.kind == "above" else value < level

    def _follow(self, place: Place, value: float, levels: _Levels | None) -> None:
        """Let the reference take in what was read, or stand still."""
        if self._reference is None or self.rule.reference is None:
            return
        if self.cycle.state == "inactive":
            self._reference.release()
        elif self.cycle.since == place and levels is not None and levels.reference is not None:
            self._reference.hold(levels.reference)
        self._reference.absorb(self.rule.reference.along(place.ts_ms, place.n_events), value)

    def _notice(self, state: AlertState, moment: Moment, ts_ms: int, details: Record) -> Notice:
        rule, is_transition = self.rule, details["change"] == "state"
        what = state if is_transition else details["change"]
        record: Record = {
            "seq": moment.seq,
            "name": f"alert:{rule.name}:{what}",
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
            "catching_up": moment.is_backlog,
            "description": rule.description,
            "labels": rule.all_labels,
            "runbook": rule.runbook,
            "react": rule.react,
            "anchor": moment.anchor,
            "end": {file: dict(cursor) for file, cursor in moment.end.items()},
            **({} if self._rival is None else self._rival.record()),
            **details,
        }
        record["annotations"] = rendered(rule.annotations, record)
        return Notice(rule.name, state, ts_ms, record["since"], record, is_transition)


_NOT_JUDGED: Record = dict.fromkeys(("value", "threshold", "clear", "reference", "samples"))


def _mutes_of(config: AlertsConfig) -> Mutes:
    return Mutes(config.inhibit, config.silences, config.labels_of_rules)


def _judged(reading: Reading, levels: _Levels) -> Record:
    return {
        "value": float(reading.value),
        "threshold": levels.threshold,
        "clear": levels.clear,
        "reference": levels.reference,
        "samples": float(reading.samples),
    }
