"""Plots of ranking: recall of champion and shadows, and how far the champion is ahead."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from stream.reporting.colours import CHAMPION_COLOUR, shadow_colours
from stream.reporting.formatting import NOTHING, printable, time_text, value_text
from stream.reporting.metrics_table import CHAMPION, Figure, MetricsTable, longest_recall
from stream.reporting.plots import Entry, Plot, TimeAxis, band, last_value, level, line, time_layout
from stream.reporting.run_data import RunData


def recall_plot(run: RunData, axis: TimeAxis) -> Plot | None:
    """Recall over event time; None where no click was judged."""
    table = run.metrics
    metric = longest_recall({figure.metric: figure for figure in table.column_of})
    if metric is None:
        return None
    colours = shadow_colours(table.subjects("shadow", metric))
    learners = [(CHAMPION, run.champion, CHAMPION_COLOUR)]
    learners += [(f"shadow:{name}", name, colour) for name, colour in colours.items()]
    traces, legend = [], []
    for subject, name, colour in learners:
        entry = Entry(subject, name, colour, value_of=last_values(table, subject, metric))
        legend.append(entry)
        for window in table.windows(metric, subject):
            value_R = table.column_of[Figure(subject, metric, window)]
            width = 2.5 if subject == CHAMPION else 1.5
            traces.append(line(entry, window, table.ts_ms_R, value_R, width))
    k = metric.partition("@")[2]
    return Plot(
        name="plot-recall",
        title=f"Recall@{k} over event time",
        text=f"{metric} over event time, {period_text(axis)}. {told(legend)}",
        caption=f"Share of clicks whose item stood among the {k} best, predicted before the click "
        "was learned.",
        traces=list(reversed(traces)),
        layout=time_layout(axis, ".3~f", rangemode="tozero"),
        legend=legend,
        axis=axis,
        is_tall=True,
    )


def difference_plot(run: RunData, axis: TimeAxis) -> Plot | None:
    """The champion's recall less each shadow's; None without a shadow."""
    table = run.metrics
    metric = longest_recall({figure.metric: figure for figure in table.column_of})
    if metric is None:
        return None
    bands, lines, legend = [], [], []
    for name, colour in shadow_colours(table.subjects("shadow", metric)).items():
        subject = f"shadow:{name}"
        difference_R = table.column(subject, metric, "difference")
        if difference_R is None:
            continue
        last = last_value(difference_R)
        told_value = NOTHING if last is None else f"{last:+.3f}"
        entry = Entry(subject, f"ahead of {name}", colour, value_of={"": told_value})
        legend.append(entry)
        low_R = table.column(subject, metric, "interval_low")
        high_R = table.column(subject, metric, "interval_high")
        if low_R is not None and high_R is not None:
            bands += band(entry, None, table.ts_ms_R, (low_R, high_R))
        lines.append(line(entry, None, table.ts_ms_R, difference_R))
    if not lines:
        return None
    layout = time_layout(axis, "+.3~f", range=difference_range(lines, bands))
    layout["shapes"].append(level(0.0))
    return Plot(
        name="plot-difference",
        title=f"How far {run.champion} is ahead, in {metric}",
        text=f"{metric} of {run.champion} less that of each shadow over event time, "
        f"{period_text(axis)}. {told(legend)}",
        caption="Paired difference on the same clicks since start, with its 95 % confidence "
        "sequence: valid at all times at once. Above 0 the champion is better.",
        traces=bands + lines,
        layout=layout,
        legend=legend,
        axis=axis,
    )


def difference_range(
    lines: Sequence[dict[str, Any]], bands: Sequence[dict[str, Any]]
) -> list[float]:
    """All differences and 0, and of the intervals what is not only the width of the first ones."""
    values = [0.0, *(y for one in lines for y in one["y"] if y is not None)]
    ends = [y for one in bands for y in one["y"] if y is not None]
    if ends:
        values += np.quantile(ends, [0.04, 0.96]).tolist()
    margin = 0.06 * (max(values) - min(values)) or 0.01
    return [min(values) - margin, max(values) + margin]


def last_values(table: MetricsTable, subject: str, metric: str) -> Mapping[str, str]:
    """A figure's last value over each window, as text."""
    return {
        window: value_text(last_value(table.column_of[Figure(subject, metric, window)]), metric)
        for window in table.windows(metric, subject)
    }


def period_text(axis: TimeAxis) -> str:
    """From when to when, in words."""
    return f"from {time_text(axis.start_ms)} to {time_text(axis.end_ms)} UTC"


def told(legend: list[Entry]) -> str:
    """The legend as a sentence."""
    parts = [
        f"{printable(entry.label)} {next(iter(entry.value_of.values()))}"
        for entry in legend
        if entry.value_of
    ]
    return f"At the end: {', '.join(parts)}." if parts else ""
