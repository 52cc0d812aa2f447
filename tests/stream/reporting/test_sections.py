import re

import pytest

from stream.reporting.alert_episodes import read_alerts
from stream.reporting.dead_letters import Reason
from stream.reporting.plots import TimeAxis
from stream.reporting.sections import all_sections, header_block, plots_bar, time_axis
from stream.reporting.truth import read_truth
from tests.stream.reporting.rich_run import HOUR_MS, START_MS, alert_records, truth_records
from tests.stream.reporting.runs_in_memory import clicks_only, rich_run_of, run_of

NAMES = [
    "glance",
    "alerts",
    "ranking",
    "shadows",
    "clicks",
    "calibration",
    "slices",
    "lists",
    "interests",
    "business",
    "throughput",
    "dead-letters",
    "configuration",
]


def text_of(html):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html.text))


@pytest.fixture
def rich():
    return rich_run_of(
        n_records=144, alerts=read_alerts(alert_records()), truth=read_truth(truth_records())
    )


def test_a_rich_run_fills_every_section(rich):
    sections = all_sections(rich, time_axis(rich), {})
    assert [section.name for section in sections] == NAMES
    assert [len(section.plots) for section in sections] == [0, 2, 1, 1, 3, 3, 2, 7, 2, 7, 1, 0, 0]


def test_a_click_only_run_says_what_it_has_not():
    run = run_of([clicks_only(1)])
    sections = all_sections(run, time_axis(run), {})
    told = {section.name: text_of(section.html()) for section in sections}
    assert "No shadow was judged" in told["shadows"]
    assert "No list was shown" in told["clicks"]
    assert "No click probability was judged." in told["calibration"]
    assert "No slice was judged." in told["slices"]
    assert "No list was judged as a whole." in told["lists"]
    assert "Nothing is known of the groups" in told["interests"]
    assert "No feedback, no conversion" in told["business"]
    assert "No alert fired." in told["alerts"]
    assert "None: every record could be used." in told["dead-letters"]


def test_a_run_without_a_record_still_has_every_section():
    run = run_of([], summary={"events": 3})
    assert [section.name for section in all_sections(run, time_axis(run), {})] == NAMES
    assert "No record of metrics was written." in text_of(header_block(run))


def test_the_header_tells_the_headline_figures(rich):
    run = rich_run_of(
        n_records=144,
        alerts=rich.alerts,
        reasons=[Reason("bad", 25)],
        summary=rich.summary
        | {"events": 1234, "records": 1000, "seconds": 90.2, "events_per_second": 13.7},
    )
    told = text_of(header_block(run))
    for expected in (
        "2024-01-01 01:00 to 2024-01-07 00:00 UTC of event time, 5 d 23 h",
        "events 1,234 144,000 clicks, 14 events/s",
        "recall@20 of transformer 0.4",
        "CTR 5.",
        "alerts fired 3 1 still firing",
        "dead letters 25 2.50 % of records",
        "run time 1 min 30 s",
    ):
        assert expected in told


def test_the_header_lists_what_could_not_be_read():
    assert "one &lt; two" in header_block(rich_run_of(notes=("one < two",))).text


def test_the_axis_spans_the_records_and_holds_the_marks(rich):
    axis = time_axis(rich)
    assert (axis.start_ms, axis.end_ms) == (START_MS + HOUR_MS, START_MS + 144 * HOUR_MS)
    assert [mark.code for mark in axis.marks] == ["D1", "D2", "A1", "A2", "", "A3", "R1"]
    assert time_axis(run_of([], summary={})) == TimeAxis(0, 0)


def test_the_bar_offers_windows_and_explains_marks(rich):
    html = plots_bar(rich, time_axis(rich)).text
    assert [window for window in ("events", "time", "total") if f'value="{window}"' in html] == [
        "events",
        "time",
        "total",
    ]
    assert "taste shift (50 %)" in html


def test_without_a_choice_and_without_marks_there_is_no_bar():
    run = run_of([clicks_only(1)])
    assert plots_bar(run, time_axis(run)) is None


def test_throughput_is_told_of_the_events_of_this_start():
    summary = {"events": 100, "events_now": 60, "seconds": 2.0, "events_per_second": 30.0}
    run = run_of([clicks_only(1)], summary=summary)
    [section] = [one for one in all_sections(run, time_axis(run), {}) if one.name == "throughput"]
    assert "60 events in 2.0 s: 30 events/s." in text_of(section.html())
