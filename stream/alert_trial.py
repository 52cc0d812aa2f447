"""Alert rules tried on figures that a run wrote down: what would have fired, when, for how long.

The rules go through the engine that runs in the loop, a step for each record of `metrics.jsonl`
that passes their grid. A record is written every `evaluator.emit_events`, which may be much coarser
than `alerts.evaluate_every`: what came and went between two records is not seen, and an alert
begins and ends at the next record. Reactions are not tried: what was learned stays as it was.
"""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from evaluators.alert_rules import AlertsConfig, Rule
from evaluators.alerts import Alerts
from stream.build import METRICS_FILE
from stream.durations import lasted_text
from stream.errors import UsageError
from stream.notices import Moment
from stream.reporting.alert_episodes import AlertLog, read_alerts
from stream.reporting.json_lines import JsonLines
from stream.sinks.segments import full_segments
from stream.values import Reading, Record


@dataclass(frozen=True, slots=True)
class Trial:
    """What rules came to.

    `states` is that of each rule at the end, as in `summary.json`; `notices` are the records that
    `alerts.jsonl` would have held, `log` the episodes that they tell of.
    `step_ms` is the usual distance of two records in event time, 0 of a single one. `notes` tell
    what the file lacks, and what the trial therefore cannot say.
    """

    path: Path
    states: dict[str, Record]
    notices: tuple[Record, ...]
    log: AlertLog
    n_records: int
    first_ms: int
    last_ms: int
    step_ms: int
    notes: tuple[str, ...]


class RecordedFigures:
    """A record of metrics as what rules read from.

    Examples
    --------
    >>> record = {"metrics": {"ctr": {"time": 0.1, "samples": {"time": 40}}}}
    >>> RecordedFigures(record).reading("ctr", "time")
    Reading(value=0.1, samples=40.0)
    """

    def __init__(self, record: Record) -> None:
        self._record = record

    def reading(self, metric: str, over: str, policy: str | None = None) -> Reading | None:
        parts = _mapping(self.figures(policy).get(metric))
        value, samples = parts.get(over), _mapping(parts.get("samples")).get(over)
        if not isinstance(value, int | float) or not isinstance(samples, int | float):
            return None
        return Reading(float(value), float(samples))

    def figures(self, policy: str | None) -> Record:
        """The figures of a policy's lists, or the champion's."""
        if policy is None:
            return _mapping(self._record.get("metrics"))
        return _mapping(self.policies.get(policy))

    @property
    def policies(self) -> Record:
        """The figures of each policy's lists."""
        return _mapping(self._record.get("policies"))


def try_rules(config: AlertsConfig, path: Path) -> Trial:
    """Step rules over the records of a file.

    Parameters
    ----------
    config : AlertsConfig
        The rules; at least one.
    path : Path
        A run's `metrics.jsonl`, or the run's folder.

    Raises
    ------
    UsageError
        If the file holds no record of metrics, or a rule's figure is in none of its records.
    """
    if path.is_dir():
        path = path / METRICS_FILE
    if not path.is_file() and not full_segments(path):
        raise UsageError(f"{path}: no such file; name the {METRICS_FILE} of a run, or its folder")
    lines = JsonLines(path)
    walk = _Walk(config)
    for record in lines:
        walk.take(record)
    if not walk.ts_ms:
        raise UsageError(f"{path}: {_nothing_text(lines, walk)}")
    if absent := [walk.absent_text(rule) for rule in config.rules if rule.name not in walk.known]:
        raise UsageError("\n".join(f"{path}: {text}" for text in absent))
    steps_ms = [after - before for before, after in zip(walk.ts_ms, walk.ts_ms[1:], strict=False)]
    step_ms = round(median(steps_ms)) if steps_ms else 0
    return Trial(
        path=path,
        states=walk.alerts.states(),
        notices=tuple(walk.notices),
        log=read_alerts(walk.notices),
        n_records=len(walk.ts_ms),
        first_ms=walk.ts_ms[0],
        last_ms=walk.ts_ms[-1],
        step_ms=step_ms,
        notes=(*_grid_notes(config, walk, step_ms), *_line_notes(lines, walk)),
    )


class _Walk:
    """Goes from record to record, and keeps what rules said and which figures were there."""

    def __init__(self, config: AlertsConfig) -> None:
        self._config = config
        self._newest: Record = {}
        self.alerts = Alerts(config)
        self.notices: list[Record] = []
        self.ts_ms: list[int] = []
        self.known: set[str] = set()
        self.other_names: dict[str, None] = {}
        self.counts_taken_in = True

    def take(self, record: Record) -> None:
        ts_ms = record.get("watermark_ms")
        if record.get("name") != "metrics" or not isinstance(ts_ms, int):
            if len(self.other_names) < 3:
                self.other_names[str(record.get("name", "without a name"))[:60]] = None
            return
        figures = RecordedFigures(record)
        if not self.ts_ms:  # the first step only sets the clock, and no record is to be lost to it
            before_ms = max(ts_ms - self._config.evaluate_every, 1)
            self.alerts.step(figures, Moment(-1, before_ms, 0, {}))
        self.ts_ms.append(ts_ms)
        self._newest = record
        taken_in = record.get("events_taken_in")
        if not isinstance(taken_in, int):
            self.counts_taken_in = False
            taken_in = record.get("events")
        n_events = taken_in if isinstance(taken_in, int) else 0
        moment = Moment(len(self.ts_ms), ts_ms, n_events, {})
        self.notices += [notice.record for notice in self.alerts.step(figures, moment)]
        self.known |= {
            rule.name
            for rule in self._config.rules
            if rule.name not in self.known
            and figures.reading(rule.metric, rule.over, rule.policy) is not None
        }

    def absent_text(self, rule: Rule) -> str:
        """Why a rule finds nothing to read, and what it may have meant."""
        figures = RecordedFigures(self._newest)
        title = f"rule {rule.name} watches"
        if rule.policy is not None and rule.policy not in figures.policies:
            hint = _nearest(rule.policy, list(figures.policies), "policies")
            return f"{title} policy {rule.policy}, which no record holds; {hint}"
        there = figures.figures(rule.policy)
        if rule.metric not in there:
            of = "" if rule.policy is None else f" of policy {rule.policy}"
            hint = _nearest(rule.metric, list(there), "metrics")
            return f"{title} {rule.metric}{of}, which no record holds; {hint}"
        overs = [over for over in _mapping(there[rule.metric]) if over in _OVERS]
        hint = _nearest(rule.over, overs, "windows")
        return f"{title} {rule.metric} over {rule.over}, which no record holds; {hint}"


_OVERS = ("total", "events", "time", "faded")


def _grid_notes(config: AlertsConfig, walk: _Walk, step_ms: int) -> Iterable[str]:
    if step_ms > config.evaluate_every:
        yield (
            f"Records are {lasted_text(step_ms)} apart, rules look every "
            f"{lasted_text(config.evaluate_every)}: what came and went between two records is not "
            "seen, and an alert begins and ends at a record. A run with a smaller "
            "evaluator.emit_events is seen more finely."
        )
    in_events = [
        rule.name
        for rule in config.rules
        for span in (rule.for_, rule.keep_firing_for, rule.reference)
        if span is not None and span.events is not None
    ]
    if in_events and not walk.counts_taken_in:
        yield (
            "Records of an earlier version do not say how many events were taken in: durations in "
            f"events are counted in judged clicks ({', '.join(dict.fromkeys(in_events))})."
        )
    if reacting := [rule.name for rule in config.rules if rule.react != "none"]:
        yield f"Reactions are not tried ({', '.join(reacting)}): the figures are as they were."


def _line_notes(lines: JsonLines, walk: _Walk) -> Iterable[str]:
    if lines.n_dropped:
        yield f"The oldest records are gone: {lines.n_dropped:,} full files were dropped."
    if lines.n_bad:
        yield f"{lines.n_bad:,} lines are no JSON objects and were passed by."
    if lines.is_unfinished:
        yield "The last line is unfinished and was passed by: the run was writing, or was killed."
    if walk.other_names:
        yield f"Records that are not of metrics were passed by: {', '.join(walk.other_names)}."


def _nothing_text(lines: JsonLines, walk: _Walk) -> str:
    if walk.other_names:
        found = f"its records are others ({', '.join(walk.other_names)})"
    elif lines.n_bad or lines.is_unfinished:
        found = "its lines are no JSON objects"
    else:
        found = "it is empty"
    return f"holds no record of metrics: {found}; name the {METRICS_FILE} of a run"


def _nearest(name: str, known: Sequence[str], what: str) -> str:
    if not known:
        return f"there are no {what} at all"
    nearest = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {nearest[0]!r}? " if nearest else ""
    return f"{hint}{what} there: {', '.join(known[:40])}"


def _mapping(value: Any) -> Record:
    return value if isinstance(value, dict) else {}
