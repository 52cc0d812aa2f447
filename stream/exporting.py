"""Metrics and alerts of a run as Parquet, for whoever asks questions with a query language.

One row is one figure over one window at one record: long, not wide, so that a figure that was
switched on later needs no column of its own. Records are read one after the other and written in
row groups: memory does not grow with the run.
"""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from stream.build import ALERTS_FILE, METRICS_FILE
from stream.durable import sync_folder
from stream.errors import SinkError, UsageError
from stream.reporting.json_lines import JsonLines
from stream.reporting.metrics_table import groups_of
from stream.reporting.run_data import told_settings
from stream.run_folder import CONFIG_FILE
from stream.sinks.segments import full_segments
from stream.values import Record

_WORD = pa.dictionary(pa.int32(), pa.string())


def _schema(**types: pa.DataType) -> pa.Schema:
    return pa.schema(list(types.items()))


METRICS_SCHEMA = _schema(
    seq=pa.int64(),
    watermark_ms=pa.int64(),
    events=pa.int64(),
    subject=_WORD,
    name=_WORD,
    metric=_WORD,
    over=_WORD,
    figure=_WORD,
    value=pa.float64(),
    samples=pa.float64(),
    low=pa.float64(),
    high=pa.float64(),
)
"""Whose figure: `subject` is champion, shadow, policy, cohort, slice or count, `name` which of
them. `figure` is value, difference (the champion's less a shadow's) or bounds; `low` and `high`
are the ends of its interval where it has one."""

ALERTS_SCHEMA = _schema(
    seq=pa.int64(),
    ts=pa.int64(),
    name=pa.string(),
    rule=_WORD,
    state=_WORD,
    since=pa.int64(),
    kind=_WORD,
    metric=_WORD,
    over=_WORD,
    policy=_WORD,
    severity=_WORD,
    value=pa.float64(),
    threshold=pa.float64(),
    samples=pa.float64(),
    reaction=_WORD,
    action=_WORD,
    reason=pa.string(),
    anchor=pa.string(),
    record=pa.string(),
)
"""A transition of a rule, or a reaction to one; `record` is all of it as JSON."""

# Large enough to compress well, small enough to hold.
_GROUP_ROWS = 1 << 16
_WINDOWS = ("total", "events", "time", "faded")

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Exported:
    """One file that was written, and how many lines of its source could not be read."""

    path: Path
    n_rows: int
    n_passed_by: int


def export_run(out: Path, to: Path, alerts_to: Path | None = None) -> list[Exported]:
    """Write a run's metrics, and its alerts if it has any rule, as Parquet.

    A run that still goes on is written as far as it came. A file appears when it is whole.

    Parameters
    ----------
    out : Path
        The folder of the run.
    to : Path
        Where the metrics go; a file there is replaced.
    alerts_to : Path, optional
        Where the alerts go; `alerts.parquet` beside the metrics otherwise.

    Raises
    ------
    UsageError
        If the folder holds no metrics of a run, or both files are one.
    SinkError
        If a file cannot be written.
    """
    metrics, alerts = out / METRICS_FILE, out / ALERTS_FILE
    if not (metrics.is_file() or full_segments(metrics)):
        raise UsageError(
            f"{out}: holds no {METRICS_FILE}; name the folder that was given to freshrank replay, "
            "or run, as --out"
        )
    alerts_to = alerts_to or to.parent / "alerts.parquet"
    if alerts_to.resolve() == to.resolve():
        raise UsageError(f"{to}: metrics and alerts need a file each; name another --alerts")
    _, settings = told_settings(out / CONFIG_FILE, [])
    champion = str(settings.get("champion", "champion"))

    def metric_rows(record: Record) -> Iterator[Row]:
        return rows_of_metrics(record, champion)

    exported = [_export(metrics, to, METRICS_SCHEMA, metric_rows)]
    if alerts.is_file() or full_segments(alerts):
        exported.append(_export(alerts, alerts_to, ALERTS_SCHEMA, rows_of_alert))
    return exported


def rows_of_metrics(record: Record, champion: str) -> Iterator[Row]:
    """The rows of one record of metrics, in the order of `METRICS_SCHEMA`.

    Examples
    --------
    >>> record = {"seq": 3, "name": "metrics", "watermark_ms": 9, "events": 7,
    ...     "metrics": {"ctr": {"total": 0.25, "samples": {"total": 8}}}}
    >>> list(rows_of_metrics(record, "blend"))
    [(3, 9, 7, 'champion', 'blend', 'ctr', 'total', 'value', 0.25, 8.0, None, None)]
    """
    if record.get("name", "metrics") != "metrics":
        return
    stamp = tuple(_whole(record.get(key)) for key in ("seq", "watermark_ms", "events"))
    subjects = groups_of(record)
    subjects += [(f"slice:{name}", one) for name, one in _mapping(record.get("slices")).items()]
    for subject, metrics in subjects:
        kind, _, name = subject.partition(":")
        for metric, parts in metrics.items() if isinstance(metrics, dict) else ():
            for row in _figure_rows(_mapping(parts)):
                yield (*stamp, kind, name or champion, metric, *row)
    for name, count in _mapping(record.get("counts")).items():
        if (number := _number(count)) is not None:
            yield (*stamp, "count", name, name, "total", "value", number, None, None, None)


def rows_of_alert(record: Record) -> Iterator[Row]:
    """The row of a transition or a reaction, in the order of `ALERTS_SCHEMA`."""
    cells: list[Any] = []
    for field in ALERTS_SCHEMA:
        value = record.get(field.name)
        if field.name == "record":
            cells.append(json.dumps(record))
        elif field.type == pa.int64():
            cells.append(_whole(value))
        elif field.type == pa.float64():
            cells.append(_number(value))
        else:
            cells.append(None if value is None else str(value))
    yield tuple(cells)


def _figure_rows(parts: Mapping[str, Any]) -> Iterator[Row]:
    """What there is of a figure: window, which figure, value, samples and interval."""
    samples, interval = _mapping(parts.get("samples")), parts.get("interval")
    ends_of = _mapping(interval)
    bounds_of = _mapping(parts.get("bounds"))
    for window in _WINDOWS:
        value, n_samples = _number(parts.get(window)), _number(samples.get(window))
        if value is not None:
            yield (window, "value", value, n_samples, *_ends(ends_of.get(window)))
        if window in bounds_of:
            yield (window, "bounds", None, n_samples, *_ends(bounds_of[window]))
    difference = _number(parts.get("difference"))
    if difference is not None:
        n_samples = _number(samples.get("total"))
        yield ("total", "difference", difference, n_samples, *_ends(interval))


def _ends(interval: Any) -> tuple[float | None, float | None]:
    if not isinstance(interval, list) or len(interval) != 2:
        return None, None
    return _number(interval[0]), _number(interval[1])


def _export(
    source: Path, to: Path, schema: pa.Schema, rows_of: Callable[[Record], Iterator[Row]]
) -> Exported:
    lines = JsonLines(source)
    beside = to.with_name(to.name + ".tmp")
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        try:
            with pq.ParquetWriter(beside, schema, compression="zstd") as writer:
                n_rows = _write(writer, schema, (row for one in lines for row in rows_of(one)))
            beside.replace(to)
            sync_folder(to.parent)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as err:  # Arrow's own errors of reading and writing are among them
        raise SinkError(f"{to}: cannot be written: {err.strerror or err}") from err
    return Exported(to, n_rows, lines.n_bad)


def _write(writer: pq.ParquetWriter, schema: pa.Schema, rows: Iterable[Row]) -> int:
    n_rows = 0
    waiting: list[Row] = []
    for row in rows:
        waiting.append(row)
        if len(waiting) == _GROUP_ROWS:
            writer.write_batch(_batch(waiting, schema))
            n_rows += len(waiting)
            waiting.clear()
    if waiting:
        writer.write_batch(_batch(waiting, schema))
    return n_rows + len(waiting)


def _batch(rows: list[Row], schema: pa.Schema) -> pa.RecordBatch:
    columns = zip(*rows, strict=True)
    arrays = [pa.array(cells, field.type) for cells, field in zip(columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _number(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and abs(value) <= sys.float_info.max else None


def _whole(value: Any) -> int | None:
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return value if is_whole and -(1 << 63) <= value < 1 << 63 else None
