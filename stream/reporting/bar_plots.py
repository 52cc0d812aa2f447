"""Bars side by side: figures of several things at one time, rather than over time."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from stream.reporting.formatting import plot_text, printable
from stream.reporting.plots import Entry, Plot

MAX_BARS = 24
_MAX_NAME_CHARS = 22


class Bars(NamedTuple):
    """The values of one legend entry, one for each name; None where there is none.

    `window` is None for bars that all windows share. `ends` are the intervals of the values.
    """

    entry: Entry
    values: Sequence[float | None]
    window: str | None = None
    ends: Sequence[tuple[float, float] | None] | None = None


def bar_plot(plot: Plot, names: Sequence[str], bars: Sequence[Bars], x_format: str) -> Plot:
    """The plot with horizontal bars, one of each for each name, the first name on top."""
    ticks = list(range(len(names)))
    plot.traces.extend(_trace(one, names, x_format) for one in bars)
    plot.layout.update(
        {
            "barmode": "group",
            "bargap": 0.25,
            "hovermode": "closest",
            "xaxis": {"tickformat": x_format, "rangemode": "tozero"},
            # By number: two long names may look alike once they are cut.
            "yaxis": {
                "tickvals": ticks,
                "ticktext": [_short(name) for name in names],
                "range": [len(names) - 0.5, -0.5],
            },
        }
    )
    return plot


def _trace(bars: Bars, names: Sequence[str], x_format: str) -> dict[str, Any]:
    trace = {
        "type": "bar",
        "orientation": "h",
        "name": plot_text(printable(bars.entry.label)),
        "x": [None if value is None else float(f"{value:.5g}") for value in bars.values],
        "y": list(range(len(names))),
        "text": [plot_text(printable(name)) for name in names],
        "textposition": "none",
        "hovertemplate": f"%{{text}}: %{{x:{x_format}}}<extra>%{{fullData.name}}</extra>",
        "marker": {"color": bars.entry.colour, "line": {"width": 0}},
        "meta": {"key": bars.entry.key, "window": bars.window},
    }
    return trace if bars.ends is None else trace | {"error_x": _whiskers(bars.values, bars.ends)}


def _whiskers(
    values: Sequence[float | None], ends: Sequence[tuple[float, float] | None]
) -> dict[str, Any]:
    """How far each interval reaches to either side; nowhere, where there is none."""
    pairs = [
        (0.0, 0.0) if value is None or both is None else (value - both[0], both[1] - value)
        for value, both in zip(values, ends, strict=True)
    ]
    return {
        "type": "data",
        "symmetric": False,
        "arrayminus": [float(f"{max(below, 0.0):.4g}") for below, _ in pairs],
        "array": [float(f"{max(above, 0.0):.4g}") for _, above in pairs],
        "color": "var(--ink)",
        "thickness": 1,
        "width": 3,
    }


def _short(name: str) -> str:
    return plot_text(printable(name, _MAX_NAME_CHARS))
