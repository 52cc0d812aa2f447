"""Plots of a comparison: both curves, and how far they are apart.

# N stretches
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from stream.reporting.formatting import metric_title, value_text
from stream.reporting.plots import Entry, Plot, TimeAxis, band, last_value, level, line, time_layout
from stream.reporting.ranking_figures import difference_range, period_text, told
from stream.values import Float64s, Int64s, Record

SIDE_COLOURS = {"a": "var(--c0)", "b": "var(--c1)"}
_DIFFERENCE_COLOUR = "var(--c2)"


def comparison_axis(record: Record) -> TimeAxis:
    """The event time that was compared over."""
    ends = [ms for found in record["stretches"].values() for ms in found["watermark_ms"]]
    return TimeAxis(min(ends), max(ends)) if ends else TimeAxis(0, 0)


def curves_plot(record: Record, metric: str, axis: TimeAxis) -> Plot:
    """A figure of both sides, stretch by stretch."""
    found = record["stretches"][metric]
    ts_ms_N = _times(found)
    traces, legend = [], []
    for side, colour in SIDE_COLOURS.items():
        figure = record["metrics"][metric]
        entry = Entry(
            side,
            f"{side.upper()}: {record[side]['name']}",
            colour,
            value_of={"": value_text(figure[side])},
        )
        legend.append(entry)
        traces.append(line(entry, None, ts_ms_N, _numbers(found[side])))
    return Plot(
        name=f"plot-{metric}",
        title=f"{_capital(metric)} of both",
        text=f"{metric} of A and B over event time, {period_text(axis)}. {told(legend)}",
        caption=f"On the same samples, in stretches of {_stretch_text(found)}; beside the names, "
        "since start.",
        traces=traces,
        layout=time_layout(axis, ".3~f"),
        legend=legend,
        axis=axis,
    )


def difference_plot(record: Record, metric: str, axis: TimeAxis) -> Plot:
    """B less A since start with its interval, and stretch by stretch."""
    found = record["stretches"][metric]
    ts_ms_N = _times(found)
    since_N = _numbers(found["difference_since_start"])
    ends_N2 = np.array(found["interval_since_start"])
    whole = Entry(
        "since", "since start", _DIFFERENCE_COLOUR, value_of={"": f"{last_value(since_N):+.4f}"}
    )
    part = Entry("stretch", "each stretch", "var(--c7)", "dot")
    area = band(whole, None, ts_ms_N, (ends_N2[:, 0], ends_N2[:, 1]))
    curve = line(whole, None, ts_ms_N, since_N)
    by_stretch = line(part, None, ts_ms_N, _numbers(found["difference"]), 1.0)
    layout = time_layout(axis, "+.3~f", range=difference_range([curve], [*area, by_stretch]))
    layout["shapes"].append(level(0.0))
    better = "Below" if record["metrics"][metric]["lower_is_better"] else "Above"
    return Plot(
        name=f"plot-{metric}-difference",
        title=f"B less A in {metric_title(metric)}",
        text=f"{metric} of B less that of A over event time, {period_text(axis)}. {told([whole])}",
        caption="Paired difference on the same samples with its 95 % confidence sequence: valid at "
        f"all times at once. {better} 0, B is better.",
        traces=[*area, by_stretch, curve],
        layout=layout,
        legend=[whole, part],
        axis=axis,
    )


def _stretch_text(found: Record) -> str:
    lengths: Sequence[int] = found["samples"]
    return f"about {max(lengths):,} samples"


def _capital(metric: str) -> str:
    title = metric_title(metric)
    return f"{title[0].upper()}{title[1:]}"


def _times(found: Record) -> Int64s:
    return np.array(found["watermark_ms"], np.int64)


def _numbers(values: Any) -> Float64s:
    return np.array(values, np.float64)
