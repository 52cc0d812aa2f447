"""`metrics.jsonl` as columns over event time.

# R records
"""

from array import array
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from stream.values import Float64s, Int64s, Record

WINDOWS = ("events", "time", "total")
"""The windows that plots offer; the first that a run has is shown first."""

CHAMPION = "champion"

_NAN = float("nan")


class Figure(NamedTuple):
    """Whose figure, which, and over what.

    `subject` is `champion`, `shadow:NAME`, `policy:NAME` or `cohort:NAME`. Beside the windows of
    the evaluator `part` may be `difference`, `interval_low` and `interval_high` of a shadow, or an
    interval's end over a window, such as `time_low`, or the samples behind one, `time_samples`.
    """

    subject: str
    metric: str
    part: str


WantedParts = Callable[[str], frozenset[str]]
"""Says which parts (or windows) of a metric to keep."""


@dataclass(frozen=True, slots=True)
class MetricsTable:
    """Figures over event time, one row a record; nan where a record has none.

    `events_R` counts the events judged up to a record. `last` is the last record as it came.
    """

    ts_ms_R: Int64s
    events_R: Float64s
    column_of: Mapping[Figure, Float64s]
    last: Record

    def __len__(self) -> int:
        return len(self.ts_ms_R)

    def column(self, subject: str, metric: str, part: str) -> Float64s | None:
        """A figure's values, None where no record has any."""
        return self.column_of.get(Figure(subject, metric, part))

    def windows(self, metric: str, subject: str = CHAMPION) -> list[str]:
        """Over which of `WINDOWS` the metric is known."""
        return [window for window in WINDOWS if (subject, metric, window) in self.column_of]

    def shown_windows(self) -> list[str]:
        """Over which of `WINDOWS` any of the champion's figures is known."""
        known = {figure.part for figure in self.column_of if figure.subject == CHAMPION}
        return [window for window in WINDOWS if window in known]

    def subjects(self, kind: str, metric: str) -> list[str]:
        """Names of the shadows (or policies) that have the metric, in order of appearance."""
        names = [
            figure.subject.removeprefix(f"{kind}:")
            for figure in self.column_of
            if figure.metric == metric and figure.subject.startswith(f"{kind}:")
        ]
        return list(dict.fromkeys(names))


def read_metrics(records: Iterable[Record], wanted_parts: WantedParts) -> MetricsTable:
    """Gather the wanted figures of records; whatever else stands in them is passed by.

    Examples
    --------
    >>> record = {"events": 9, "watermark_ms": 5, "metrics": {"ctr": {"total": 0.25}}}
    >>> table = read_metrics([record], lambda metric: frozenset({"total"}))
    >>> table.column("champion", "ctr", "total")
    array([0.25])
    """
    wanted_parts = cache(wanted_parts)
    ts_ms, events = array("q"), array("d")
    columns: dict[Figure, array[float]] = {}
    last: Record = {}
    for record in records:
        watermark_ms = record.get("watermark_ms")
        if record.get("name", "metrics") != "metrics" or not isinstance(watermark_ms, int):
            continue
        for figure, value in _figures(record, wanted_parts):
            column = columns.setdefault(figure, array("d"))
            column.extend([_NAN] * (len(ts_ms) - len(column)))
            column.append(value)
        ts_ms.append(watermark_ms)
        events.append(_number(record.get("events")))
        last = record
    for column in columns.values():
        column.extend([_NAN] * (len(ts_ms) - len(column)))
    return MetricsTable(
        ts_ms_R=np.array(ts_ms, np.int64),
        events_R=np.array(events),
        column_of={figure: np.array(column) for figure, column in columns.items()},
        last=last,
    )


def longest_recall(metrics: Mapping[str, Any]) -> str | None:
    """The name of the recall with the largest k.

    Examples
    --------
    >>> longest_recall({"recall@1": {}, "recall@20": {}, "ctr": {}})
    'recall@20'
    """
    lengths = [int(name[7:]) for name in metrics if is_recall(name)]
    return f"recall@{max(lengths)}" if lengths else None


def is_recall(metric: str) -> bool:
    """Whether it is the recall at some k."""
    return metric.startswith("recall@") and metric[7:].isdigit()


def groups_of(record: Record) -> list[tuple[str, Mapping[str, Any]]]:
    """The figures of a record (or of a summary) by subject, the champion's first."""
    groups = [(CHAMPION, _mapping(record.get("metrics")))]
    cohorts = _mapping(record.get("interests")).get("cohorts")
    for kind, found in (
        ("shadow", record.get("shadows")),
        ("policy", record.get("policies")),
        ("cohort", cohorts),
    ):
        groups += [
            (f"{kind}:{name}", _mapping(metrics)) for name, metrics in _mapping(found).items()
        ]
    return groups


def _figures(record: Record, wanted_parts: WantedParts) -> Iterable[tuple[Figure, float]]:
    for subject, metrics in groups_of(record):
        for metric, parts in metrics.items():
            wanted = wanted_parts(metric)
            if not wanted:  # nothing below is looked at: most of a record is not wanted
                continue
            for part, value in _parts(_mapping(parts)):
                if part in wanted:
                    yield Figure(subject, metric, part), _number(value)


def _parts(parts: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    for part, value in parts.items():
        if part == "samples":
            yield from ((f"{window}_samples", n) for window, n in _mapping(value).items())
        elif part != "interval":
            yield part, value
        elif isinstance(value, list) and len(value) == 2:
            yield from zip(("interval_low", "interval_high"), value, strict=True)
        else:
            for window, ends in _mapping(value).items():
                if isinstance(ends, list) and len(ends) == 2:
                    yield from zip((f"{window}_low", f"{window}_high"), ends, strict=True)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _number(value: Any) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else _NAN
