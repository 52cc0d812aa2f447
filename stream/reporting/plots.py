"""Plots as data: lines and bands over event time, and what stands around them.

A plot holds its lines for every window; the page shows those of one window at a time. Colours
are CSS variables, looked up in the browser.

# N points
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from stream.reporting.colours import fill_of
from stream.reporting.formatting import plot_text, printable
from stream.reporting.marks import Mark, mark_lanes, mark_shades
from stream.reporting.thinning import kept_points
from stream.values import Float64s, Int64s

# Few points are told apart, many are a line.
_MAX_MARKED_POINTS = 40
_SINGLE_POINT_MARGIN_MS = 1_800_000
# For which widths labels are laid out: a desktop's and a phone's.
_WIDE_PX, _NARROW_PX = 880, 270
_MAX_NAME_CHARS = 40

LineStyle = Literal["solid", "dash", "dot"]


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of a legend: what it names, how that looks, and its last value over each window."""

    key: str
    label: str
    colour: str
    style: LineStyle = "solid"
    value_of: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TimeAxis:
    """The event time that plots share, and what is marked on it."""

    start_ms: int
    end_ms: int
    marks: Sequence[Mark] = ()

    @property
    def range_ms(self) -> tuple[int, int]:
        """First and last instant shown."""
        if self.end_ms > self.start_ms:
            return self.start_ms, self.end_ms
        return self.start_ms - _SINGLE_POINT_MARGIN_MS, self.end_ms + _SINGLE_POINT_MARGIN_MS


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot and its surroundings.

    `name` is its id in the page, `text` what it says to those who cannot see it.
    """

    name: str
    title: str
    text: str
    caption: str
    traces: list[dict[str, Any]]
    layout: dict[str, Any]
    legend: Sequence[Entry] = ()
    axis: TimeAxis | None = None
    is_tall: bool = False

    def spec(self) -> dict[str, Any]:
        """What the page's script draws."""
        spec: dict[str, Any] = {"id": self.name, "data": self.traces, "layout": self.layout}
        for key, width_px in (("wide", _WIDE_PX), ("narrow", _NARROW_PX)):
            marks = () if self.axis is None else self.axis.marks
            range_ms = (0, 0) if self.axis is None else self.axis.range_ms
            lanes = mark_lanes(marks, range_ms, width_px, is_short=key == "narrow")
            spec[key] = {
                "shapes": lanes.shapes,
                "annotations": lanes.annotations,
                "lanes": lanes.height_px,
            }
        return spec


def line(
    entry: Entry, window: str | None, ts_ms_N: Int64s, value_N: Float64s, width: float = 2.0
) -> dict[str, Any]:
    """A line over event time, thinned; `window` is None for one that all windows share."""
    kept = kept_points(value_N)
    return {
        "type": "scatter",
        "mode": "lines+markers" if len(kept) <= _MAX_MARKED_POINTS else "lines",
        "name": plot_text(printable(entry.label, _MAX_NAME_CHARS)),
        "x": ts_ms_N[kept].tolist(),
        "y": json_numbers(value_N[kept]),
        "line": {"color": entry.colour, "width": width, "dash": entry.style},
        "marker": {"color": entry.colour, "size": 5},
        "meta": {"key": entry.key, "window": window},
    }


def band(
    entry: Entry, window: str | None, ts_ms_N: Int64s, ends: tuple[Float64s, Float64s]
) -> list[dict[str, Any]]:
    """The area between two lines, to stand before the line it belongs to."""
    is_known_N = ~np.isnan(ends[0]) & ~np.isnan(ends[1])
    ts_ms_N, low_N, high_N = ts_ms_N[is_known_N], ends[0][is_known_N], ends[1][is_known_N]
    kept = np.union1d(kept_points(low_N, 1000), kept_points(high_N, 1000))
    common = {
        "type": "scatter",
        "mode": "lines",
        "hoverinfo": "skip",
        "x": ts_ms_N[kept].tolist(),
        "line": {"width": 0, "color": entry.colour},
        "meta": {"key": entry.key, "window": window},
    }
    low = {**common, "y": json_numbers(low_N[kept])}
    high = {
        **common,
        "y": json_numbers(high_N[kept]),
        "fill": "tonexty",
        "fillcolor": fill_of(entry.colour),
    }
    return [low, high]


def time_layout(axis: TimeAxis, y_format: str, **y_axis: Any) -> dict[str, Any]:
    """The layout of a plot over event time; ticks leave out the zeros that end a number."""
    return {
        "hovermode": "x unified",
        "shapes": mark_shades(axis.marks),
        "xaxis": {
            "type": "date",
            "range": list(axis.range_ms),
            "hoverformat": "%a %-d %b %Y, %H:%M UTC",
            "title": {"text": "event time, UTC", "standoff": 8},
        },
        "yaxis": {"tickformat": y_format, "hoverformat": y_format.replace("~", ""), **y_axis},
    }


def level(value: float) -> dict[str, Any]:
    """A dotted horizontal line that values are held against."""
    return {
        "type": "line",
        "layer": "below",
        "xref": "paper",
        "x0": 0,
        "x1": 1,
        "y0": value,
        "y1": value,
        "line": {"color": "var(--muted)", "width": 1, "dash": "dot"},
    }


def last_value(value_N: Float64s) -> float | None:
    """The last value that is none of the gaps.

    Examples
    --------
    >>> last_value(np.array([0.1, 0.2, np.nan]))
    0.2
    """
    known = value_N[~np.isnan(value_N)]
    return float(known[-1]) if len(known) else None


def json_numbers(value_N: Float64s) -> list[float | None]:
    """Numbers with as many digits as can be seen; None for what is not finite."""
    return [float(f"{value:.5g}") if np.isfinite(value) else None for value in value_N.tolist()]
