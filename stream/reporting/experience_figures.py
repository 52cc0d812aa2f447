"""Plots of what the lists are like, and of whom they show."""

from collections.abc import Mapping
from typing import Any

from stream.reporting.bar_plots import Bars, bar_plot
from stream.reporting.formatting import percent_text, printable
from stream.reporting.metric_plots import metric_plot
from stream.reporting.plots import Entry, Plot, TimeAxis
from stream.reporting.run_data import RunData

_CAPTIONS: Mapping[str, str] = {
    "coverage": "Share of the catalogue's items that stood in a list.",
    "gini": "How unevenly items stood in lists: 0 if all did alike, near 1 if few took all places.",
    "diversity": "Share of the pairs of items within a list that are of different groups.",
    "novelty": "Mean surprise of a listed item in bits: -log2 of its share of all clicks before.",
    "personalization": "1 less the share of places that a list has in common with another user's.",
    "exposure_gap": "How far the groups' shares of places are from their shares of clicks; at 0, "
    "they are shown as they are wanted.",
}


def experience_plots(run: RunData, axis: TimeAxis) -> list[Plot]:
    """A plot for each figure of the lists that was judged."""
    plots = [metric_plot(run, axis, metric, caption) for metric, caption in _CAPTIONS.items()]
    return [plot for plot in plots if plot is not None]


def exposure_plot(run: RunData) -> Plot | None:
    """What groups were shown against what groups were clicked; None where no group is known."""
    rows = group_rows(run.summary.get("exposure"), ("shown", "clicked"))
    if not rows:
        return None
    names = [name for name, _ in rows]
    entries = [
        Entry("shown", "share of places", "var(--c0)"),
        Entry("clicked", "share of clicks", "var(--c1)"),
    ]
    columns = zip(*(values for _, values in rows), strict=True)
    plot = Plot(
        name="plot-exposure",
        title="Groups of items as they are shown, and clicked",
        text="Of the last lists and clicks: "
        + "; ".join(
            f"{printable(name)} has {percent_text(shown)} of the places, "
            f"{percent_text(clicked)} of the clicks"
            for name, (shown, clicked) in rows
        )
        + ".",
        caption="Of the last lists, places weighed as in NDCG, and of the last clicks; the groups "
        "that are clicked most.",
        traces=[],
        layout={},
        legend=entries,
        is_tall=len(rows) > 6,
    )
    bars = [Bars(entry, list(column)) for entry, column in zip(entries, columns, strict=True)]
    return bar_plot(plot, names, bars, ".3~%")


def group_rows(told: Any, keys: tuple[str, ...]) -> list[tuple[str, list[float]]]:
    """Groups with their numbers, of records as they were written; what is not one is passed by.

    Examples
    --------
    >>> group_rows([{"group": "tea", "shown": 0.5}, {"group": 7}, None], ("shown",))
    [('tea', [0.5])]
    """
    rows = []
    for one in told if isinstance(told, list) else []:
        if not isinstance(one, dict) or not isinstance(one.get("group"), str):
            continue
        values = [float(one[key]) for key in keys if isinstance(one.get(key), int | float)]
        if len(values) == len(keys):
            rows.append((one["group"], values))
    return rows
