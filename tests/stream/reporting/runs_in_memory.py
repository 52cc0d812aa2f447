"""Runs as a report has read them, without a folder."""

from dataclasses import replace

from stream.reporting.alert_episodes import AlertLog
from stream.reporting.metrics_table import read_metrics
from stream.reporting.run_data import RunData
from stream.reporting.truth import Truth
from tests.stream.reporting.rich_run import metrics_record

SETTINGS = {
    "champion": "transformer",
    "evaluator": {"window_events": 500, "window_time": "6h"},
}


def every_part(metric):
    windows = ("events", "time", "total")
    ends = {f"{window}_{end}" for window in windows for end in ("low", "high")}
    samples = {f"{window}_samples" for window in windows}
    return frozenset({*windows, *ends, *samples, "difference", "interval_low", "interval_high"})


def run_of(records, summary=None, **changes):
    """A run with these records of metrics, told by the last of them."""
    metrics = read_metrics(records, every_part)
    last = metrics.last if summary is None else summary
    run = RunData("run", SETTINGS, "", last, metrics, AlertLog([], []), [], Truth(), ())
    return replace(run, **changes)


def rich_run_of(n_records=48, **changes):
    return run_of([metrics_record(n, n_records, 1.0) for n in range(n_records)], **changes)


def clicks_only(ts_ms, recall=0.5, **more):
    """A record of a stream without lists and shadows."""
    figure = {"total": recall, "samples": {"total": 9}}
    record = {"seq": 0, "name": "metrics", "events": 9, "watermark_ms": ts_ms}
    return record | {"metrics": {"recall@20": figure}, "shadows": {}, "counts": {}} | more
