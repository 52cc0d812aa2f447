"""The page of a comparison: which of two configurations is better, how sure, and at what cost."""

from collections.abc import Sequence

from stream.comparing.tables import (
    is_repeated,
    rate_text,
    signed_text,
    turned_text,
    verdict_parts,
)
from stream.reporting.comparison_figures import comparison_axis, curves_plot, difference_plot
from stream.reporting.figure_blocks import figure_block
from stream.reporting.formatting import (
    NOTHING,
    count_text,
    metric_title,
    percent_text,
    printable,
    time_text,
)
from stream.reporting.markup import Child, Html, element, table
from stream.reporting.page import whole_page
from stream.reporting.plots import TimeAxis
from stream.reporting.sections import Section, tile
from stream.reporting.settings_table import setting_text
from stream.reporting.stage_figures import STAGE_WORDS
from stream.tables import size_text
from stream.values import Record

_SIDES = ("a", "b")


def comparison_page(record: Record, version: str) -> str:
    """The page as HTML.

    Parameters
    ----------
    record : dict
        See `stream.comparing.result.comparison_record`.
    version : str
        Which freshrank made the page.
    """
    axis = comparison_axis(record)
    sections = [
        _verdict(record),
        _over_time(record, axis),
        *([_seeds(record)] if record["seeds"] and len(record["seeds"]) > 1 else []),
        _cost(record),
        _settings(record),
    ]
    return whole_page("A or B: freshrank compare", (_header(record, axis), None), sections, version)


def _header(record: Record, axis: TimeAxis) -> Html:
    names = (f"{side.upper()}: {printable(record[side]['name'])}" for side in _SIDES)
    period = (
        f"{time_text(axis.start_ms)} to {time_text(axis.end_ms)} UTC of event time"
        if axis.end_ms
        else "No click was judged."
    )
    notes = [element("li", note) for note in _notes(record)]
    return element(
        "header",
        element("p", "freshrank compare", class_="product"),
        element("h1", " or ".join(names)),
        element("p", period, class_="period"),
        element("dl", *_tiles(record), class_="tiles"),
        element("ul", *notes, class_="notes") if notes else None,
    )


def _notes(record: Record) -> list[str]:
    notes = []
    if record["is_stopped"]:
        notes.append(f"Stopped early: this is of the first {record['events']:,} events.")
    if not record["settings"]:
        notes.append("A and B have the same settings.")
    if record["unpaired"]:
        notes.append(f"{record['unpaired']:,} samples are judged by one side alone: left out.")
    figure = record["metrics"].get(record["headline"])
    if figure is not None and (turned := turned_text(figure)):
        notes.append(f"{record['headline']}: {turned}.")
    return notes


def _tiles(record: Record) -> list[Html]:
    tiles = []
    headline = record["headline"]
    figure = record["metrics"].get(headline)
    if figure is not None:
        low, high = figure["interval"]
        tiles.append(tile(f"verdict by {headline}", *_verdict_words(figure)))
        for side in _SIDES:
            label = f"{headline} of {side.upper()}"
            tiles.append(tile(label, f"{figure[side]:.3f}", printable(record[side]["champion"])))
        interval = f"95 %: {low:+.4f} to {high:+.4f}"
        tiles.append(tile("B less A", signed_text(figure["difference"]), interval))
    n_dead = sum(record["dead_letters"].values())
    tiles.append(tile("events", count_text(record["events"]), f"{n_dead:,} dead letters"))
    rates = [record["cost"][side]["events_per_cpu_s"] for side in _SIDES]
    if all(rates):
        ratio = rates[1] / rates[0]
        tiles.append(tile("speed of B", f"{ratio:.2f} x", "that of A, by CPU time"))
    return tiles


def _verdict(record: Record) -> Section:
    if not record["metrics"]:
        nothing = "No click was judged: there is nothing to compare by."
        return Section("verdict", "Verdict", [element("p", nothing)])
    rows: list[list[Child]] = []
    for name, figure in record["metrics"].items():
        if is_repeated(name):
            continue
        title = metric_title(name)
        said, below = _verdict_words(figure)
        rows.append(
            [
                element("b", title) if name == record["headline"] else title,
                *(f"{figure[side]:.4f}" for side in _SIDES),
                element("span", signed_text(figure["difference"]), class_=_tone(figure)),
                element(
                    "span",
                    element("span", said, class_=_tone(figure)),
                    element("small", below) if below else None,
                    class_="stacked",
                ),
                _interval(figure),
                *(_half(half) for half in figure["halves"] or (None, None)),
                count_text(figure["samples"]),
            ]
        )
    header = ["figure", "A", "B", "B less A", "verdict", "95 % interval"]
    header += ["first half", "second half", "samples"]
    told = table("Figures of both since start", header, rows)
    caption = (
        "Intervals hold at all times at once, each figure for itself; halves of the samples, "
        "bold where their own interval leaves out 0. By user: for other users of the same kind, at "
        "one look. Of log loss, less is better."
    )
    return Section(
        "verdict",
        "Verdict",
        [told, element("p", caption, class_="caption"), _others(record)],
    )


def _interval(figure: Record) -> Html:
    low, high = figure["interval"]
    by_user = figure.get("interval_by_user")
    told = f"by user {by_user[0]:+.4f} to {by_user[1]:+.4f}" if by_user else ""
    return element(
        "span",
        element("span", f"{low:+.4f} to {high:+.4f}", class_="nowrap"),
        element("small", told, class_="nowrap") if told else None,
        class_="stacked",
    )


def _verdict_words(figure: Record) -> tuple[str, str]:
    said, more = verdict_parts(figure)
    if not more:
        return said, ""
    is_endless = figure["more_events"] is None
    return said, "no number of events in sight" if is_endless else f"about {more} more events"


def _others(record: Record) -> Html | None:
    if not record["others"]:
        return None
    rows: list[list[Child]] = [
        [
            metric_title(name),
            *(f"{one[side]:.4f}" for side in _SIDES),
            signed_text(one["difference"]),
        ]
        for name, one in record["others"].items()
    ]
    told = table("Further figures of both", ["figure", "A", "B", "B less A"], rows)
    heading = element("h3", "Further figures, without an interval")
    return element("div", heading, told)


def _half(half: Record | None) -> Child:
    if half is None:
        return NOTHING
    text = signed_text(half["difference"])
    return element("b", text) if half["better"] else text


def _tone(figure: Record) -> str | None:
    return "good" if figure["better"] else None


def _over_time(record: Record, axis: TimeAxis) -> Section:
    names = [name for name in (record["headline"], "log_loss") if name in record["stretches"]]
    plots = [draw(record, name, axis) for name in names for draw in (curves_plot, difference_plot)]
    if not plots:
        return Section("over-time", "Over time", [element("p", "There is no sample.")])
    told = element("div", *(figure_block(plot) for plot in plots), class_="pair")
    return Section("over-time", "Over time", [told], plots)


def _seeds(record: Record) -> Section:
    figure = record["metrics"].get(record["headline"])
    by_seed = figure["by_seed"] if figure else []
    rows: list[list[Child]] = []
    for seed, one in zip(record["seeds"], by_seed, strict=False):
        low, high = one["interval"]
        rows.append([str(seed), signed_text(one["difference"]), f"{low:+.4f} to {high:+.4f}"])
    header = ["seed", "B less A", "95 % interval"]
    told = table(f"{record['headline']} by seed", header, rows)
    caption = "Figures elsewhere are means over the seeds."
    return Section("seeds", "By seed", [told, element("p", caption, class_="caption")])


def _cost(record: Record) -> Section:
    costs = [record["cost"][side] for side in _SIDES]
    stages = list(dict.fromkeys(stage for cost in costs for stage in cost["stage_cpu_s"]))
    rows: list[list[Child]] = [
        ["champion", *(printable(record[side]["champion"]) for side in _SIDES)],
        ["events/s, all of the loop", *(rate_text(cost["events_per_cpu_s"]) for cost in costs)],
        [
            "events/s, predicting and learning alone",
            *(rate_text(cost["learner_events_per_cpu_s"]) for cost in costs),
        ],
        *(
            [STAGE_WORDS.get(stage, stage), *(_share(cost, stage) for cost in costs)]
            for stage in stages
        ),
        ["state, as a checkpoint holds it", *(size_text(cost["state_bytes"]) for cost in costs)],
    ]
    told = table("What each side took", ["", "A", "B"], rows)
    caption = (
        "By CPU time of all threads, measured side by side in one process that held "
        f"{size_text(record['cost']['peak_process_bytes'])} at most; the first two batches are "
        "left out. Reading is shared, and so in neither."
    )
    return Section("cost", "Cost", [told, element("p", caption, class_="caption")])


def _share(cost: Record, stage: str) -> str:
    seconds = cost["stage_cpu_s"].get(stage)
    if seconds is None or not cost["cpu_s"]:
        return NOTHING
    return f"{seconds:,.1f} s, {percent_text(seconds / cost['cpu_s'], digits=0)}"


def _settings(record: Record) -> Section:
    if not record["settings"]:
        return Section("settings", "Settings", [element("p", "Every setting is the same.")])
    rows: list[Sequence[Child]] = [
        [element("code", printable(one["key"])), setting_text(one["a"]), setting_text(one["b"])]
        for one in record["settings"]
    ]
    told = table("Settings that differ", ["key", "A", "B"], rows, n_text_columns=3)
    return Section("settings", "Settings that differ", [told])
