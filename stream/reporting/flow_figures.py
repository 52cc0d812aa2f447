"""The plot of throughput: how many clicks were judged in each stretch of event time.

# R records, T stretches
"""

import numpy as np

from stream.reporting.formatting import count_text, span_text
from stream.reporting.plots import Plot, TimeAxis, json_numbers, time_layout
from stream.reporting.ranking_figures import period_text
from stream.reporting.run_data import RunData
from stream.values import Float64s, Int64s

_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS
_STRETCHES_MS = (
    *(minutes * 60_000 for minutes in (1, 5, 15)),
    *(hours * _HOUR_MS for hours in (1, 2, 3, 6, 12)),
    *(days * _DAY_MS for days in (1, 2, 7, 30, 90, 365)),
)
_MAX_STRETCHES = 400
_SLIVER_SHARE = 0.05


def flow_plot(run: RunData, axis: TimeAxis) -> Plot | None:
    """Clicks per hour over event time; None where the records span no time."""
    table = run.metrics
    is_known_R = ~np.isnan(table.events_R)
    ts_ms_R, events_R = table.ts_ms_R[is_known_R], table.events_R[is_known_R]
    if len(ts_ms_R) < 2 or ts_ms_R[-1] <= ts_ms_R[0]:
        return None
    stretch_ms = stretch_length_ms(ts_ms_R)
    start_ms_T, rate_T = hourly_rates(ts_ms_R, events_R, stretch_ms)
    name = "clicks judged per hour"
    return Plot(
        name="plot-flow",
        title="Clicks over event time",
        text=f"Clicks judged per hour of event time, {period_text(axis)}: "
        f"from {count_text(rate_T.min())} to {count_text(rate_T.max())}.",
        caption=f"Clicks judged per hour of event time, in stretches of {span_text(stretch_ms)}.",
        traces=[
            {
                "type": "bar",
                "name": name,
                "x": start_ms_T.tolist(),
                "y": json_numbers(rate_T),
                "offset": 0,
                "width": stretch_ms,
                "marker": {"color": "var(--c7)", "opacity": 0.6, "line": {"width": 0}},
                "meta": {"key": "flow", "window": None},
            }
        ],
        layout={**time_layout(axis, ",.3~r", rangemode="tozero"), "bargap": 0},
        axis=axis,
    )


def stretch_length_ms(ts_ms_R: Int64s) -> int:
    """How long the stretches are: as short as the records' own rhythm and the plot's width allow.

    Examples
    --------
    >>> stretch_length_ms(np.arange(1000) * 60_000)
    300000
    """
    rhythm_ms = 2 * float(np.median(np.diff(ts_ms_R)))
    span_ms = int(ts_ms_R[-1] - ts_ms_R[0])
    shortest_ms = max(rhythm_ms, span_ms / _MAX_STRETCHES)
    fitting = (length_ms for length_ms in _STRETCHES_MS if length_ms >= shortest_ms)
    return next(fitting, _STRETCHES_MS[-1])


def hourly_rates(ts_ms_R: Int64s, events_R: Float64s, stretch_ms: int) -> tuple[Int64s, Float64s]:
    """Start and rate per hour of each stretch; between two records events are spread evenly.

    Examples
    --------
    >>> hour = 3_600_000
    >>> start_ms_T, rate_T = hourly_rates(np.array([0, 2 * hour]), np.array([10.0, 30.0]), hour)
    >>> start_ms_T.tolist(), rate_T.tolist()
    ([0, 3600000], [10.0, 10.0])
    """
    first_ms = int(ts_ms_R[0]) // stretch_ms * stretch_ms
    edge_ms_T = np.arange(first_ms, int(ts_ms_R[-1]) + stretch_ms, stretch_ms)
    clipped_ms_T = np.clip(edge_ms_T, ts_ms_R[0], ts_ms_R[-1])
    events_T = np.diff(np.interp(clipped_ms_T, ts_ms_R, events_R))
    hours_T = np.diff(clipped_ms_T) / _HOUR_MS
    # A sliver of a stretch at either end says little, and says it loudly.
    is_long_T = hours_T > _SLIVER_SHARE * stretch_ms / _HOUR_MS
    rate_T: Float64s = events_T[is_long_T] / hours_T[is_long_T]
    return edge_ms_T[:-1][is_long_T], rate_T
