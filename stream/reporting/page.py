"""The whole page: one file that asks nobody for anything."""

from collections.abc import Mapping, Sequence
from typing import Any

from stream.reporting.markup import Html, element, joined, json_script
from stream.reporting.metrics_table import WINDOWS
from stream.reporting.run_data import RunData
from stream.reporting.script import SCRIPT
from stream.reporting.sections import (
    Section,
    all_sections,
    header_block,
    plots_bar,
    time_axis,
)
from stream.reporting.stylesheet import stylesheet

# The browser is told so, too: whatever slipped into the page, nothing is fetched.
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
)


def report_page(run: RunData, defaults: Mapping[str, Any], version: str) -> str:
    """The report as HTML.

    Parameters
    ----------
    run : RunData
        What to report.
    defaults : mapping
        The settings of an empty configuration.
    version : str
        Which freshrank made the report.
    """
    axis = time_axis(run)
    sections = all_sections(run, axis, defaults)
    windows = run.metrics.shown_windows()
    return whole_page(
        f"{run.name}: freshrank report",
        (header_block(run), plots_bar(run, axis)),
        sections,
        version,
        (windows or WINDOWS[-1:])[0],
    )


def whole_page(
    title: str,
    top: tuple[Html, Html | None],
    sections: Sequence[Section],
    version: str,
    window: str = WINDOWS[-1],
) -> str:
    """A page of sections, with its contents beside or above them.

    Parameters
    ----------
    title : str
        What the browser calls it.
    top : tuple
        What stands above the contents, and, if anything, between those and the first section.
    sections : sequence of Section
        With their plots.
    version : str
        Which freshrank made the page.
    window : str
        Whose lines are shown at first.
    """
    plots = [plot for section in sections for plot in section.plots]
    links = (
        element("li", element("a", section.title, href=f"#{section.name}")) for section in sections
    )
    body = element(
        "body",
        element(
            "div",
            top[0],
            element("nav", element("ul", *links), aria_label="Sections"),
            element("main", top[1], *(section.html() for section in sections)),
            element("footer", f"Made by freshrank {version}. Times are UTC."),
            class_="column",
        ),
        json_script("figures", [plot.spec() for plot in plots]),
        _scripts() if plots else None,
    )
    html = element("html", _head(title), body, lang="en", data_window=window)
    return f"<!doctype html>\n{html.text}\n"


def _head(title: str) -> Html:
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", title),
        element("link", rel="icon", href="data:,"),
        element("style", Html(stylesheet())),
    )


def _scripts() -> Html:
    # Some five megabytes that nobody else needs.
    from plotly.offline import get_plotlyjs  # type: ignore[import-untyped]  # noqa: PLC0415

    sources = (get_plotlyjs(), SCRIPT)
    return joined(
        element("script", Html(source.replace("</script", r"<\/script"))) for source in sources
    )
