"""Slices side by side: for whom, on what and where the champion is good."""

from collections.abc import Mapping
from typing import Any

from stream.reporting.bar_plots import MAX_BARS, Bars, bar_plot
from stream.reporting.colours import CHAMPION_COLOUR
from stream.reporting.formatting import count_text, metric_title, printable, value_text
from stream.reporting.markup import Child, Html, table
from stream.reporting.metrics_table import WINDOWS, longest_recall
from stream.reporting.plots import Entry, Plot
from stream.reporting.run_data import RunData
from stream.reporting.slice_intervals import slice_interval

MAX_ROWS = 100
_CLICK_FIGURES = ("ctr", "predicted_ctr", "calibration_ratio", "log_loss")


def slices_plots(run: RunData) -> list[Plot]:
    """Recall by slice, and CTR by slice, as far as there are any."""
    recall = longest_recall(_mapping(run.summary.get("metrics")))
    plots = [] if recall is None else [_slices_plot(run, recall, "plot-recall_by_slice")]
    plots.append(_slices_plot(run, "ctr", "plot-ctr_by_slice"))
    return [plot for plot in plots if plot is not None]


def slices_table(run: RunData) -> Html | None:
    """Every figure of every slice; None without one."""
    slices = _slices(run)
    if not slices:
        return None
    ranking = list(dict.fromkeys(name for one in slices.values() for name in one if "@" in name))
    known = [
        *ranking,
        *(name for name in _CLICK_FIGURES if any(name in s for s in slices.values())),
    ]
    header: list[Child] = ["slice"]
    header += ["clicks"] * bool(ranking) + ["shown items"] * ("ctr" in known)
    header += [metric_title(name) for name in known]
    rows: list[list[Child]] = []
    for name, figures in list(slices.items())[:MAX_ROWS]:
        row: list[Child] = [printable(name)]
        if ranking:
            row.append(count_text(_samples(figures.get(ranking[0]))))
        if "ctr" in known:
            row.append(count_text(_samples(figures.get("ctr"))))
        row += [value_text(_value(figures.get(metric), "total"), metric) for metric in known]
        rows.append(row)
    return table("Figures of each slice since start", header, rows)


def _slices_plot(run: RunData, metric: str, name: str) -> Plot | None:
    slices = {key: one for key, one in _slices(run).items() if metric in one}
    if not slices:
        return None
    shown = dict(list(slices.items())[:MAX_BARS])
    overall = _mapping(_mapping(run.summary.get("metrics")).get(metric))
    windows = [window for window in WINDOWS if any(window in one[metric] for one in shown.values())]
    values_of = {
        window: [_value(one[metric], window) for one in shown.values()] for window in windows
    }
    last_of = {window: value_text(_value(overall, window), metric) for window in windows}
    entries = [
        Entry("slice", "each slice", CHAMPION_COLOUR),
        Entry("overall", "overall", "var(--ink)", "dot", last_of),
    ]
    title = metric_title(metric)
    plot = Plot(
        name=name,
        title=f"{title[0].upper()}{title[1:]} by slice",
        text=f"{title} by slice, over the {windows[0]} window: "
        + "; ".join(
            f"{printable(key)} {value_text(value, metric)}"
            for key, value in zip(shown, values_of[windows[0]], strict=True)
        )
        + ".",
        caption=_caption(len(slices)),
        traces=[],
        layout={},
        legend=entries,
        is_tall=True,
    )
    bars = [
        Bars(
            entries[0],
            values,
            window,
            [slice_interval(metric, one[metric], window) for one in shown.values()],
        )
        for window, values in values_of.items()
    ]
    drawn = bar_plot(plot, list(shown), bars, ".3~%" if metric == "ctr" else ".3~f")
    drawn.traces.extend(
        _across(value, window, len(shown))
        for window in windows
        if (value := _value(overall, window)) is not None
    )
    return drawn


def _caption(n_slices: int) -> str:
    few = f"Of {n_slices} slices the first {MAX_BARS}. " if n_slices > MAX_BARS else ""
    return f"{few}Whiskers: 95 % intervals at one look."


def _across(value: float, window: str, n_names: int) -> dict[str, Any]:
    """A dotted line across all bars of a window."""
    return {
        "type": "scatter",
        "mode": "lines",
        "hoverinfo": "skip",
        "x": [value, value],
        "y": [-0.5, n_names - 0.5],
        "line": {"color": "var(--ink)", "width": 1.5, "dash": "dot"},
        "meta": {"key": "overall", "window": window},
    }


def _slices(run: RunData) -> dict[str, Mapping[str, Any]]:
    """The figures of each slice that was written as one."""
    return {
        str(name): figures
        for name, figures in _mapping(run.summary.get("slices")).items()
        if isinstance(figures, dict) and all(isinstance(one, dict) for one in figures.values())
    }


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _value(parts: Any, window: str) -> float | None:
    value = _mapping(parts).get(window)
    return float(value) if isinstance(value, int | float) else None


def _samples(parts: Any) -> float | None:
    return _value(_mapping(parts).get("samples"), "total")
