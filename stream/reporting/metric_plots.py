"""A plot of one figure of the champion over event time."""

from typing import Any

from stream.reporting.colours import CHAMPION_COLOUR
from stream.reporting.formatting import is_share, metric_title
from stream.reporting.metrics_table import CHAMPION, Figure
from stream.reporting.plots import Entry, Plot, TimeAxis, line, time_layout
from stream.reporting.ranking_figures import last_values, period_text, told
from stream.reporting.run_data import RunData


def metric_plot(
    run: RunData, axis: TimeAxis, metric: str, caption: str, label: str | None = None
) -> Plot | None:
    """A figure over event time; None where it was not judged.

    `label` names whose it is if it is not the champion's. A figure of one window is shown
    whatever window is chosen.
    """
    windows = run.metrics.windows(metric)
    if not windows:
        return None
    title = metric_title(metric)
    values = last_values(run.metrics, CHAMPION, metric)
    is_alone = len(windows) == 1
    if is_alone:
        values = {"": values[windows[0]]}
    entry = Entry(metric, label or run.champion, CHAMPION_COLOUR, value_of=values)
    traces = metric_lines(run, entry, CHAMPION, metric)
    if is_alone:
        traces = [{**one, "meta": {**one["meta"], "window": None}} for one in traces]
    return Plot(
        name=f"plot-{metric}",
        title=f"{title[0].upper()}{title[1:]} over event time",
        text=f"{title} over event time, {period_text(axis)}. {told([entry])}",
        caption=caption,
        traces=traces,
        layout=time_layout(axis, ".3~%" if is_share(metric) else ",.4~r"),
        legend=[entry],
        axis=axis,
    )


def metric_lines(
    run: RunData, entry: Entry, subject: str, metric: str, width: float = 2.0
) -> list[dict[str, Any]]:
    """A figure's line for each window."""
    table = run.metrics
    return [
        line(entry, window, table.ts_ms_R, table.column_of[Figure(subject, metric, window)], width)
        for window in table.windows(metric, subject)
    ]
