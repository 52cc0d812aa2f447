import json
import re
from html.parser import HTMLParser

import pytest

from stream.reporting.alert_episodes import read_alerts
from stream.reporting.colours import LIGHT
from stream.reporting.dead_letters import Reason, Sample
from stream.reporting.page import report_page
from tests.stream.reporting.rich_run import HOSTILE, alert_records
from tests.stream.reporting.runs_in_memory import clicks_only, rich_run_of, run_of


class Reader(HTMLParser):
    """Every element with its attributes, and whether each is closed."""

    VOID = ("meta", "link", "input", "br", "hr")

    def __init__(self, html):
        super().__init__()
        self.elements, self.open = [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def html():
    run = rich_run_of(
        n_records=144,
        name=HOSTILE,
        alerts=read_alerts(alert_records()),
        reasons=[Reason(HOSTILE, 1, [Sample(HOSTILE, HOSTILE)])],
        notes=(HOSTILE,),
        settings_text=HOSTILE,
    )
    return report_page(run, {}, "1.2.3")


def test_every_element_is_closed_where_it_should_be(html):
    assert Reader(html).open == []


def test_nothing_hostile_becomes_an_element(html):
    tags = [tag for tag, _ in Reader(html).elements]
    assert tags.count("script") == 3
    assert "img" not in tags


def test_no_element_names_an_address(html):
    addresses = [
        value
        for _, attributes in Reader(html).elements
        for name, value in attributes.items()
        if name in ("src", "href", "action", "srcset", "data")
    ]
    assert addresses
    assert all(address.startswith(("#", "data:,")) for address in addresses)


def test_the_browser_is_told_to_fetch_nothing(html):
    policies = [
        attributes["content"]
        for tag, attributes in Reader(html).elements
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policies[0].startswith("default-src 'none';")


def test_ids_are_there_once_and_links_lead_to_them(html):
    elements = Reader(html).elements
    ids = [attributes["id"] for _, attributes in elements if "id" in attributes]
    links = [attributes["href"][1:] for tag, attributes in elements if tag == "a"]
    assert len(ids) == len(set(ids))
    assert links
    assert set(links) <= set(ids)


def test_landmarks_and_language_are_named(html):
    elements = Reader(html).elements
    tags = [tag for tag, _ in elements]
    assert {"header", "nav", "main", "footer", "h1"} <= set(tags)
    assert dict(elements)["html"] == {"lang": "en", "data-window": "events"}
    assert tags.count("h1") == tags.count("main") == 1


def test_every_figure_has_its_box_and_colours_that_exist(html):
    raw = re.search(r'id="figures">(.+?)</script>', html)[1]
    figures = json.loads(raw)
    assert len(figures) == 29
    assert [figure["id"] for figure in figures] == re.findall(r'<div id="(plot-[\w-]+)"', html)
    known = {*LIGHT, *(f"{name}-fill" for name in LIGHT)}
    assert set(re.findall(r"var\(--([\w-]+)\)", raw)) <= known


def test_equal_runs_have_equal_reports():
    assert report_page(rich_run_of(), {}, "1") == report_page(rich_run_of(), {}, "1")


def test_a_run_without_a_plot_carries_no_script_to_draw_it():
    page = report_page(run_of([], summary={"events": 3}), {}, "1")
    assert len(page) < 30_000
    assert 'data-window="total"' in page


def test_a_run_whose_first_records_have_few_windows_shows_those():
    page = report_page(run_of([clicks_only(1)]), {}, "1")
    assert '<html lang="en" data-window="total">' in page
