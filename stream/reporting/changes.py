"""What changed for the worse, when, and whether it can be chance.

# R records
"""

from dataclasses import dataclass

import numpy as np

from evaluators.confidence import share_interval
from stream.reporting.metrics_table import (
    CHAMPION,
    WINDOWS,
    Figure,
    MetricsTable,
    is_recall,
    longest_recall,
)
from stream.reporting.run_data import RunData

LOWER_IS_BETTER = frozenset(
    {"log_loss", "normalized_entropy", "ece", "interest_shift", "dislike_share", "hide_share"}
    | {"exposure_gap", "gini", "conversion_log_loss", "conversion_normalized_entropy"}
)
_ALPHA = 0.05
MAX_CHANGES = 6


@dataclass(frozen=True, slots=True)
class Level:
    """A figure at one record; `ends` is its interval, None where it has none."""

    ts_ms: int
    value: float
    ends: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Change:
    """The largest change for the worse of one figure, from one record to a later one.

    `is_sure` says whether the two intervals lie apart, None where there are none. They hold at
    all records at once, so that it is no chance finding of a long search. `now` is the last value.
    """

    metric: str
    window: str
    before: Level
    after: Level
    now: float
    is_sure: bool | None

    @property
    def regained(self) -> float:
        """How much of it has been made up for since, as a share."""
        return (self.now - self.after.value) / (self.before.value - self.after.value)


def changes_of(run: RunData) -> list[Change]:
    """The largest change for the worse of each figure that is watched most."""
    table = run.metrics
    headline = longest_recall({figure.metric: figure for figure in table.column_of})
    watched = [episode.text("metric") for episode in run.alerts.fired if not episode.text("policy")]
    names = dict.fromkeys([*([headline] if headline else []), "ctr", "log_loss", *watched])
    found = (_largest_change(table, name) for name in names)
    return [change for change in found if change is not None][:MAX_CHANGES]


def _largest_change(table: MetricsTable, metric: str) -> Change | None:
    """Over the shortest window that the figure has; None where it never changed for the worse."""
    windows = [window for window in (*WINDOWS, "faded") if _has(table, metric, window)]
    if not windows:
        return None
    window = windows[0]
    value_R = table.column_of[Figure(CHAMPION, metric, window)]
    known = np.flatnonzero(~np.isnan(value_R))
    sign = -1.0 if metric in LOWER_IS_BETTER else 1.0
    good_K = sign * value_R[known]
    best_K = np.maximum.accumulate(good_K)
    after = int(np.argmax(best_K - good_K))
    if best_K[after] == good_K[after]:
        return None
    before = int(np.argmax(good_K[: after + 1]))
    figure = Figure(CHAMPION, metric, window)
    best, worst = (_level(table, figure, int(known[at]), len(known)) for at in (before, after))
    now = float(value_R[known[-1]])
    return Change(metric, window, best, worst, now, _are_apart(best, worst))


def _level(table: MetricsTable, figure: Figure, row: int, n_records: int) -> Level:
    value = float(table.column_of[figure][row])
    return Level(int(table.ts_ms_R[row]), value, _ends(table, figure, row, n_records))


def _has(table: MetricsTable, metric: str, window: str) -> bool:
    column = table.column(CHAMPION, metric, window)
    return column is not None and not np.isnan(column).all()


def _ends(
    table: MetricsTable, figure: Figure, row: int, n_records: int
) -> tuple[float, float] | None:
    """Where a share lies, at this record and all others; None of what is no share of samples."""
    samples_R = table.column(figure.subject, figure.metric, f"{figure.part}_samples")
    is_share = is_recall(figure.metric) or figure.metric == "ctr"
    if samples_R is None or not is_share or figure.part == "faded" or not samples_R[row] > 0:
        return None
    n_samples = round(float(samples_R[row]))
    n_hits = round(float(table.column_of[figure][row]) * n_samples)
    return share_interval(min(max(n_hits, 0), n_samples), n_samples, alpha=_ALPHA / n_records)


def _are_apart(before: Level, after: Level) -> bool | None:
    if before.ends is None or after.ends is None:
        return None
    return before.ends[0] > after.ends[1] or after.ends[0] > before.ends[1]
