"""Plots of how interests move: how far, whose, and between which groups of items."""

from stream.reporting.bar_plots import Bars, bar_plot
from stream.reporting.colours import CHAMPION_COLOUR, policy_colours
from stream.reporting.experience_figures import group_rows
from stream.reporting.formatting import percent_text, printable
from stream.reporting.metric_plots import metric_lines
from stream.reporting.metrics_table import CHAMPION
from stream.reporting.plots import Entry, Plot, TimeAxis, time_layout
from stream.reporting.ranking_figures import last_values, period_text, told
from stream.reporting.run_data import RunData

_METRIC = "interest_shift"


def shift_plot(run: RunData, axis: TimeAxis) -> Plot | None:
    """The shift of interests over event time, overall and by cohort; None where none is known."""
    table = run.metrics
    if not table.windows(_METRIC):
        return None
    overall = Entry(
        "all", "all users", CHAMPION_COLOUR, value_of=last_values(table, CHAMPION, _METRIC)
    )
    legend, traces = [overall], []
    for name, colour in policy_colours(table.subjects("cohort", _METRIC)).items():
        subject = f"cohort:{name}"
        values = last_values(table, subject, _METRIC)
        entry = Entry(subject, f"history of {name}", colour, "dot", values)
        legend.append(entry)
        traces += metric_lines(run, entry, subject, _METRIC, width=1.5)
    traces += metric_lines(run, overall, CHAMPION, _METRIC, width=2.5)
    return Plot(
        name="plot-interest_shift",
        title="Shift of interests over event time",
        text=f"Shift of interests over event time, {period_text(axis)}. {told(legend)}",
        caption="Jensen-Shannon distance between the groups of items clicked of late and those "
        "clicked before: 0 is the same mix, 1 nothing in common. Cohorts by the number of items in "
        "a user's history. There is none since start.",
        traces=traces,
        layout=time_layout(axis, ".3~f", rangemode="tozero"),
        legend=legend,
        axis=axis,
    )


def movers_plot(run: RunData) -> Plot | None:
    """The groups that rise and fall; None where none does."""
    interests = run.summary.get("interests")
    interests = interests if isinstance(interests, dict) else {}
    keys = ("recent", "past")
    rows = group_rows(interests.get("rising"), keys)
    rows += reversed(group_rows(interests.get("falling"), keys))
    if not rows:
        return None
    entries = [
        Entry("recent", "of the last clicks", CHAMPION_COLOUR),
        Entry("past", "of those before", "var(--c7)"),
    ]
    columns = zip(*(values for _, values in rows), strict=True)
    plot = Plot(
        name="plot-movers",
        title="Groups that rise and fall",
        text="Shares of the last clicks against those before: "
        + "; ".join(
            f"{printable(name)} {percent_text(recent)}, before {percent_text(past)}"
            for name, (recent, past) in rows
        )
        + ".",
        caption="Share of the clicks on items of each group, from what rises most to what falls "
        "most.",
        traces=[],
        layout={},
        legend=entries,
        is_tall=len(rows) > 6,
    )
    bars = [Bars(entry, list(column)) for entry, column in zip(entries, columns, strict=True)]
    return bar_plot(plot, [name for name, _ in rows], bars, ".3~%")
