"""What a run wrote into its folder, read as far as it is there."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from evaluators.prequential import DETAILS
from evaluators.vocabulary import FAMILIES
from stream.build import ALERTS_FILE, DEAD_LETTERS_FILE, METRICS_FILE
from stream.errors import UsageError
from stream.reporting.alert_episodes import AlertLog, read_alerts
from stream.reporting.dead_letters import Reason, dead_letter_reasons
from stream.reporting.json_lines import JsonLines
from stream.reporting.metrics_table import (
    WINDOWS,
    MetricsTable,
    WantedParts,
    is_recall,
    read_metrics,
)
from stream.reporting.truth import Truth, read_truth
from stream.run_folder import CONFIG_FILE, SUMMARY_FILE
from stream.sinks.segments import full_segments
from stream.values import Record

CLICK_METRICS = (
    "ctr",
    "request_ctr",
    "predicted_ctr",
    "calibration_ratio",
    "log_loss",
    "normalized_entropy",
    "ece",
    "auc",
    "conversion_rate",
)
CONVERSION_METRICS = (
    "predicted_conversion_rate",
    "conversion_calibration_ratio",
    "conversion_log_loss",
    "conversion_normalized_entropy",
    "conversion_auc",
)
PLOTTED_METRICS = {*CLICK_METRICS, *(name for names in FAMILIES.values() for name in names)}

# Enough for samples of every reason in all but the strangest runs; counts come from the summary.
_DEAD_LETTERS_BYTES = 8_000_000
_DIFFERENCE_PARTS = ("difference", "interval_low", "interval_high")


@dataclass(frozen=True, slots=True)
class RunData:
    """A run, as its report needs it.

    `summary` is what `summary.json` holds or, of a run without one, what its last record of
    metrics says. `notes` tell what is missing or was passed by.
    """

    name: str
    settings: Mapping[str, Any]
    settings_text: str | None
    summary: Record
    metrics: MetricsTable
    alerts: AlertLog
    reasons: list[Reason]
    truth: Truth
    notes: tuple[str, ...]

    @property
    def champion(self) -> str:
        """The name of the learner that the run is about."""
        return str(self.settings.get("champion", "champion"))

    def setting(self, group: str, key: str) -> Any:
        """A setting of a group, None where it is not told."""
        values = self.settings.get(group)
        return values.get(key) if isinstance(values, dict) else None


def read_run(out: Path, truth: Path | None = None) -> RunData:
    """Read a run's folder, and the facts behind its events if they are known.

    Raises
    ------
    UsageError
        If the folder holds no run, or nothing of it can be read, or `truth` does not exist.
    """
    _require_run(out)
    notes: list[str] = []
    settings_text, settings = told_settings(out / CONFIG_FILE, notes)
    alert_lines = JsonLines(out / ALERTS_FILE)
    alerts = read_alerts(alert_lines)
    metric_lines = JsonLines(out / METRICS_FILE)
    last = _last_record(out / SUMMARY_FILE)
    metrics = read_metrics(_ended_by(last, metric_lines), _wanted(alerts))
    summary = _read_summary(out, metrics, notes)
    if not alerts.episodes and _has_fired(summary):
        notes.append(f"{ALERTS_FILE} is missing or empty, but {SUMMARY_FILE} tells of alerts.")
    counts = summary.get("dead_letters")
    letter_lines = JsonLines(out / DEAD_LETTERS_FILE, _DEAD_LETTERS_BYTES)
    reasons = dead_letter_reasons(counts if isinstance(counts, dict) else None, letter_lines)
    facts, truth_lines = Truth(), None
    if truth is not None:
        if not truth.is_file():
            raise UsageError(f"{truth}: no such file; --truth takes a simulation's truth.jsonl")
        truth_lines = JsonLines(truth)
        facts = read_truth(truth_lines)
        if not facts.drifts and facts.ctr_H is None:
            notes.append(f"{truth.name} tells of no drift and no CTR.")
    for name, lines in (
        (METRICS_FILE, metric_lines),
        (ALERTS_FILE, alert_lines),
        (DEAD_LETTERS_FILE, letter_lines),
        (truth.name if truth else "", truth_lines),
    ):
        if lines is not None:
            notes += _line_notes(name, lines)
    return RunData(
        name=out.resolve().name,
        settings=settings,
        settings_text=settings_text,
        summary=summary,
        metrics=metrics,
        alerts=alerts,
        reasons=reasons,
        truth=facts,
        notes=tuple(notes),
    )


def _has_fired(summary: Record) -> bool:
    alerts = summary.get("alerts")
    states = alerts.values() if isinstance(alerts, dict) else ()
    return any(isinstance(state, dict) and state.get("times_fired") for state in states)


def _require_run(out: Path) -> None:
    if not out.is_dir():
        raise UsageError(f"{out}: no such folder; name the folder of a run, such as runs/replay")
    names = (SUMMARY_FILE, METRICS_FILE)
    if not any((out / name).is_file() or full_segments(out / name) for name in names):
        raise UsageError(
            f"{out}: holds no run: neither {SUMMARY_FILE} nor {METRICS_FILE} is there; name the "
            "folder that was given to freshrank replay, or run, as --out"
        )


def told_settings(path: Path, notes: list[str]) -> tuple[str | None, Mapping[str, Any]]:
    """The settings of a run as they were written down; what is wrong with them is noted."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        notes.append(f"{path.name} is missing: names of learners and windows are guessed.")
        return None, {}
    except (OSError, UnicodeDecodeError) as err:
        notes.append(f"{path.name} cannot be read: {_reason(err)}.")
        return None, {}
    try:
        settings = yaml.safe_load(text)
    except yaml.YAMLError:
        settings = None
    if isinstance(settings, dict):
        return text, settings
    notes.append(f"{path.name} is no YAML of settings.")
    return text, {}


def _read_summary(out: Path, metrics: MetricsTable, notes: list[str]) -> Record:
    path = out / SUMMARY_FILE
    problem = f"{SUMMARY_FILE} is missing: the run has not finished, or was stopped"
    if path.exists():
        try:
            summary = json.loads(path.read_bytes())
        except (ValueError, OSError) as err:
            summary, problem = None, f"{SUMMARY_FILE} cannot be read ({_reason(err)})"
        else:
            problem = f"{SUMMARY_FILE} holds no JSON object"
        if isinstance(summary, dict):
            return summary
    if not len(metrics):
        raise UsageError(
            f"{out}: {problem}, and {METRICS_FILE} holds no record; wait for the run's first "
            "record, or go on with the run: freshrank replay ... --resume"
        )
    notes.append(f"{problem}. Figures are those of the last record of {METRICS_FILE}.")
    known = ("metrics", "shadows", "policies", "counts", "reliability", *DETAILS)
    return {key: metrics.last[key] for key in known if key in metrics.last}


def _last_record(path: Path) -> Record | None:
    """How a run ended, as a record of metrics: the last one that was due may be long before."""
    try:
        summary = json.loads(path.read_bytes()) if path.is_file() else None
    except (ValueError, OSError):
        return None  # what is wrong with it is told elsewhere
    counts = summary.get("counts") if isinstance(summary, dict) else None
    if not isinstance(summary, dict) or not isinstance(counts, dict):
        return None
    return {**summary, "name": "metrics", "events": counts.get("clicks")}


def _ended_by(last: Record | None, records: Iterable[Record]) -> Iterator[Record]:
    newest = None
    for record in records:
        newest = record.get("counts", newest)
        yield record
    if last is not None and last["counts"] != newest:
        yield last


def _wanted(alerts: AlertLog) -> WantedParts:
    """What is plotted, and what the alerts watched."""
    ends = {f"{window}_{end}" for window in WINDOWS for end in ("low", "high")}
    samples = {f"{window}_samples" for window in WINDOWS}
    plotted = {*WINDOWS, *ends, *samples, *_DIFFERENCE_PARTS}
    watched: dict[str, set[str]] = {}
    for episode in alerts.episodes:
        watched.setdefault(episode.text("metric"), set()).add(episode.text("over"))

    def wanted_parts(metric: str) -> frozenset[str]:
        is_plotted = metric in PLOTTED_METRICS or is_recall(metric)
        return frozenset(watched.get(metric, set()) | (plotted if is_plotted else set()))

    return wanted_parts


def _line_notes(name: str, lines: JsonLines) -> list[str]:
    notes = []
    if lines.n_dropped:
        files = "file" if lines.n_dropped == 1 else "files"
        begin = (
            "nothing is left"
            if lines.first_seq is None
            else f"it begins with batch {lines.first_seq:,}"
        )
        notes.append(
            f"{name}: its oldest records are gone, {lines.n_dropped:,} full {files} "
            f"(outputs.files.max_bytes); {begin}."
        )
    if lines.n_bad:
        notes.append(f"{name}: {lines.n_bad:,} lines are no JSON objects and were passed by.")
    if lines.is_unfinished:
        notes.append(f"{name}: the last line is unfinished; the run was writing, or was killed.")
    if lines.is_read_in_part:
        notes.append(f"{name}: samples come from its first {_DEAD_LETTERS_BYTES // 10**6} MB.")
    return notes


def _reason(err: Exception) -> str:
    return (err.strerror if isinstance(err, OSError) else None) or str(err)
