"""A plot's place in the page: title, legend, the box it is drawn in, and what it shows."""

from collections.abc import Mapping, Sequence

from stream.reporting.formatting import printable, span_text, time_text
from stream.reporting.marks import Mark
from stream.reporting.markup import Html, element, joined
from stream.reporting.plots import Entry, Plot
from stream.reporting.run_data import RunData

_MARK_WORDS = {"drift": "known drift", "alert": "alert", "reaction": "reaction"}


def figure_block(plot: Plot) -> Html:
    """A figure that the page's script fills; without scripts its text remains."""
    heading = f"{plot.name}-title"
    return element(
        "figure",
        element("h3", plot.title, id=heading),
        _legend(plot),
        element(
            "div",
            element("noscript", plot.text),
            id=plot.name,
            class_="plot tall" if plot.is_tall else "plot",
            role="img",
            aria_label=plot.text,
        ),
        element("figcaption", plot.caption),
        aria_labelledby=heading,
    )


def window_choice(windows: Sequence[str], run: RunData) -> Html | None:
    """Buttons that choose the window of all plots; None where there is no choice."""
    if len(windows) < 2:
        return None
    labels = window_labels(run)
    choices = [
        element(
            "label",
            element("input", type="radio", name="window", value=window, checked=place == 0),
            element("span", labels[window]),
        )
        for place, window in enumerate(windows)
    ]
    return element("fieldset", element("legend", "Figures over"), *choices, class_="windows")


def window_labels(run: RunData) -> Mapping[str, str]:
    """What each window is called."""
    n_events = run.setting("evaluator", "window_events")
    span = run.setting("evaluator", "window_time")
    return {
        "events": f"last {n_events:,} samples" if isinstance(n_events, int) else "last samples",
        "time": f"last {span}" if isinstance(span, str) else "last stretch of time",
        "total": "since start",
    }


def mark_key(marks: Sequence[Mark]) -> Html | None:
    """What the bands in the plots are, by code; None where nothing is marked."""
    if not marks:
        return None
    named = [mark for mark in marks if mark.code]
    swatches = [("drift", "known drift")] if any(mark.role == "drift" for mark in marks) else []
    alerts = [mark for mark in marks if mark.role == "alert"]
    if any(mark.strong_ms > mark.start_ms for mark in alerts):
        swatches.append(("pending", "alert pending"))
    if any(mark.fired_ms is not None for mark in alerts):
        swatches.append(("firing", "alert firing"))
    if any(mark.role == "reaction" for mark in marks):
        swatches.append(("reaction", "reaction"))
    return element(
        "div",
        element(
            "p",
            "Marked in the plots: ",
            *(
                element("span", element("i", class_=f"swatch {name}"), label, class_="mark")
                for name, label in swatches
            ),
        ),
        element("ul", *(_mark_item(mark) for mark in named)),
        class_="marks",
    )


def _mark_item(mark: Mark) -> Html:
    start_ms = mark.start_ms if mark.fired_ms is None else mark.fired_ms
    length_ms = mark.end_ms - start_ms
    when = time_text(start_ms) + (f", {span_text(length_ms)}" if length_ms > 0 else "")
    return element(
        "li",
        element("b", mark.code, class_=mark.role),
        f" {printable(mark.label)}",
        element("small", f"{_MARK_WORDS[mark.role]}, {when}"),
    )


def _legend(plot: Plot) -> Html | None:
    if not plot.legend:
        return None
    chips = [_chip(entry, plot.name) for entry in plot.legend]
    told = "Lines; press one to hide or show it"
    return element("div", *chips, class_="legend", role="group", aria_label=told)


def _chip(entry: Entry, plot_name: str) -> Html:
    values = [
        element("span", text, class_="value", data_window=window or None)
        for window, text in entry.value_of.items()
    ]
    return element(
        "button",
        element("i", class_=f"key {entry.style}", style=f"border-color:{entry.colour}"),
        printable(entry.label, 40),
        joined(values),
        type="button",
        aria_pressed="true",
        data_plot=plot_name,
        data_key=entry.key,
    )
