"""The sections of the report, top to bottom."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stream.reporting.alert_plots import alert_plots
from stream.reporting.business_figures import business_plots
from stream.reporting.click_figures import calibration_plots, ctr_plot, loss_plots
from stream.reporting.experience_figures import experience_plots, exposure_plot
from stream.reporting.figure_blocks import figure_block, mark_key, window_choice, window_labels
from stream.reporting.flow_figures import flow_plot
from stream.reporting.formatting import count_text, percent_text, span_text, time_text, value_text
from stream.reporting.glance import glance_block
from stream.reporting.interest_figures import movers_plot, shift_plot
from stream.reporting.marks import marks_of
from stream.reporting.markup import Child, Html, element
from stream.reporting.metrics_table import WINDOWS, longest_recall
from stream.reporting.offpolicy_table import offpolicy_table
from stream.reporting.plots import Plot, TimeAxis
from stream.reporting.ranking_figures import difference_plot, recall_plot
from stream.reporting.result_tables import (
    alerts_table,
    clicks_table,
    conversions_table,
    dead_letters_list,
    learners_table,
    quiet_rules,
)
from stream.reporting.run_data import RunData
from stream.reporting.settings_table import settings_block
from stream.reporting.slice_figures import slices_plots, slices_table
from stream.reporting.stage_figures import stages_plot


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page under a heading, and the plots in it."""

    name: str
    title: str
    children: Sequence[Child]
    plots: Sequence[Plot] = ()

    def html(self) -> Html:
        """Its markup."""
        heading = f"{self.name}-title"
        return element(
            "section",
            element("h2", self.title, id=heading),
            *self.children,
            id=self.name,
            aria_labelledby=heading,
        )


def all_sections(run: RunData, axis: TimeAxis, defaults: Mapping[str, Any]) -> list[Section]:
    """Every section; one without anything to show says so."""
    return [
        Section("glance", "At a glance", glance_block(run, axis.marks)),
        _alerts(run, axis),
        _ranking(run, axis),
        _shadows(run, axis),
        _clicks(run, axis),
        _calibration(run, axis),
        _slices(run),
        _lists(run, axis),
        _interests(run, axis),
        _business(run, axis),
        _throughput(run, axis),
        _dead_letters(run),
        Section(
            "configuration",
            "Configuration",
            [settings_block(run.settings, run.settings_text, defaults)],
        ),
    ]


def header_block(run: RunData) -> Html:
    """What was run and when, its headline figures, and what the report could not read."""
    notes = element("ul", *(element("li", note) for note in run.notes), class_="notes")
    return element(
        "header",
        element("p", "freshrank report", class_="product"),
        element("h1", run.name),
        element("p", _period(run), class_="period"),
        element("dl", *_tiles(run), class_="tiles"),
        notes if run.notes else None,
    )


def plots_bar(run: RunData, axis: TimeAxis) -> Html | None:
    """The choice of a window and the key to what is marked."""
    key = mark_key(axis.marks)
    choice = window_choice(run.metrics.shown_windows(), run)
    return element("div", choice, key, class_="bar") if choice or key else None


def time_axis(run: RunData) -> TimeAxis:
    """The event time of the run's records, with everything that is marked on it."""
    ts_ms_R = run.metrics.ts_ms_R
    if not len(ts_ms_R):
        return TimeAxis(0, 0)
    start_ms, end_ms = int(ts_ms_R[0]), int(ts_ms_R[-1])
    return TimeAxis(start_ms, end_ms, marks_of(run.truth.drifts, run.alerts, start_ms, end_ms))


def _period(run: RunData) -> str:
    ts_ms_R = run.metrics.ts_ms_R
    if not len(ts_ms_R):
        return "No record of metrics was written."
    start_ms, end_ms = int(ts_ms_R[0]), int(ts_ms_R[-1])
    return (
        f"{time_text(start_ms)} to {time_text(end_ms)} UTC of event time, "
        f"{span_text(end_ms - start_ms)}"
    )


def _tiles(run: RunData) -> list[Html]:
    summary = run.summary
    seconds, rate = summary.get("seconds"), summary.get("events_per_second")
    counts = summary.get("counts")
    clicks = counts.get("clicks") if isinstance(counts, dict) else None
    speed = f"{rate:,.0f} events/s" if isinstance(rate, int | float) else ""
    if isinstance(clicks, int):
        speed = ", ".join(part for part in (f"{clicks:,} clicks", speed) if part)
    tiles = [tile("events", count_text(summary.get("events", clicks)), speed)]
    metrics = summary.get("metrics")
    metrics = metrics if isinstance(metrics, dict) else {}
    recall = longest_recall(metrics)
    if recall is not None:
        tiles.append(_metric_tile(run, f"{recall} of {run.champion}", recall, metrics))
    if "ctr" in metrics:
        tiles.append(_metric_tile(run, "CTR", "ctr", metrics))
    n_fired = len(run.alerts.fired)
    n_firing = sum(episode.ended_ms is None for episode in run.alerts.fired)
    still = (
        f"{n_firing} still firing" if n_firing else "all resolved" if n_fired else "nothing fired"
    )
    tiles.append(tile("alerts fired", count_text(n_fired), still))
    n_dead = sum(reason.count for reason in run.reasons)
    records = summary.get("records")
    share = (
        f"{percent_text(n_dead / records)} of records"
        if isinstance(records, int) and records
        else ""
    )
    tiles.append(tile("dead letters", count_text(n_dead), share))
    if isinstance(seconds, int | float):
        tiles.append(tile("run time", span_text(round(seconds) * 1000), "of the last start"))
    return tiles


def _metric_tile(run: RunData, label: str, metric: str, metrics: Mapping[str, Any]) -> Html:
    parts = metrics[metric] if isinstance(metrics[metric], dict) else {}
    window = next((window for window in WINDOWS if window in parts), "total")
    below = window_labels(run)[window]
    if window != "total" and "total" in parts:
        below += f"; {value_text(parts['total'], metric)} since start"
    return tile(label, value_text(parts.get(window), metric), below)


def tile(label: str, value: str, below: str) -> Html:
    """One of the figures at the top of the page."""
    return element(
        "div",
        element("dt", label),
        element("dd", value, class_="headline"),
        element("dd", below) if below else None,
    )


def _ranking(run: RunData, axis: TimeAxis) -> Section:
    plot = recall_plot(run, axis)
    found = learners_table(run)
    caption = (
        f"“last” is over the {window_labels(run)['events']}; the others are since start."
        if found
        else None
    )
    return Section(
        "ranking",
        "Ranking",
        [
            figure_block(plot) if plot else element("p", "No click was judged."),
            found,
            element("p", caption, class_="caption") if caption else None,
        ],
        [plot] if plot else [],
    )


def _shadows(run: RunData, axis: TimeAxis) -> Section:
    plot = difference_plot(run, axis)
    told = figure_block(plot) if plot else element("p", "No shadow was judged beside the champion.")
    return Section("shadows", "Champion against shadows", [told], [plot] if plot else [])


def _clicks(run: RunData, axis: TimeAxis) -> Section:
    plot = ctr_plot(run, axis)
    if plot is None:
        nothing = "No list was shown, or none has its answer yet: there is no click-through rate."
        return Section("clicks", "Click-through", [element("p", nothing)])
    losses, asked = loss_plots(run, axis), offpolicy_table(run)
    conversions = conversions_table(run)
    children = [
        figure_block(plot),
        element("h3", "By policy"),
        clicks_table(run),
        *([element("h3", "Policies that did not show them"), asked] if asked else []),
        _pair(losses) if losses else None,
        *([element("h3", "Conversions"), conversions] if conversions else []),
    ]
    return Section("clicks", "Click-through", children, [plot, *losses])


def _calibration(run: RunData, axis: TimeAxis) -> Section:
    plots = calibration_plots(run, axis)
    told = _pair(plots) if plots else element("p", "No click probability was judged.")
    return Section("calibration", "Calibration", [told], plots)


def _slices(run: RunData) -> Section:
    plots = slices_plots(run)
    if not plots:
        return Section("slices", "By slice", [element("p", "No slice was judged.")])
    whole = element(
        "details", element("summary", "All figures of all slices, since start"), slices_table(run)
    )
    return Section("slices", "By slice", [_pair(plots), whole], plots)


def _lists(run: RunData, axis: TimeAxis) -> Section:
    plots = experience_plots(run, axis)
    shown = exposure_plot(run)
    plots += [shown] if shown else []
    told = _pair(plots) if plots else element("p", "No list was judged as a whole.")
    return Section("lists", "What the lists are like", [told], plots)


def _interests(run: RunData, axis: TimeAxis) -> Section:
    plots = [plot for plot in (shift_plot(run, axis), movers_plot(run)) if plot is not None]
    nothing = "Nothing is known of the groups of the items that were clicked."
    told = _pair(plots) if plots else element("p", nothing)
    return Section("interests", "What is wanted", [told], plots)


def _business(run: RunData, axis: TimeAxis) -> Section:
    plots = business_plots(run, axis)
    nothing = "No feedback, no conversion and no active user was judged."
    told = _pair(plots) if plots else element("p", nothing)
    return Section("business", "Satisfaction and business", [told], plots)


def _pair(plots: Sequence[Plot]) -> Html:
    return element("div", *(figure_block(plot) for plot in plots), class_="pair")


def _alerts(run: RunData, axis: TimeAxis) -> Section:
    found = alerts_table(run)
    quiet = quiet_rules(run)
    plots = alert_plots(run, axis)
    return Section(
        "alerts",
        "Alerts",
        [
            found or element("p", "No alert fired."),
            element("p", f"Never fired: {', '.join(quiet)}.", class_="caption") if quiet else None,
            _pair(plots) if plots else None,
        ],
        plots,
    )


def _throughput(run: RunData, axis: TimeAxis) -> Section:
    plots = [plot for plot in (flow_plot(run, axis), stages_plot(run)) if plot is not None]
    rate, seconds = run.summary.get("events_per_second"), run.summary.get("seconds")
    n_events = run.summary.get("events_now", run.summary.get("events"))
    told = None
    if isinstance(rate, int | float) and isinstance(seconds, int | float):
        sentence = f"{count_text(n_events)} events in {seconds:,.1f} s: {rate:,.0f} events/s."
        told = element("p", sentence)
    nothing = element("p", "The records span no time.")
    children = [told, *map(figure_block, plots)] if plots else [told, nothing]
    return Section("throughput", "What it cost", children, plots)


def _dead_letters(run: RunData) -> Section:
    found = dead_letters_list(run)
    return Section(
        "dead-letters",
        "Dead letters",
        [found or element("p", "None: every record could be used.")],
    )
