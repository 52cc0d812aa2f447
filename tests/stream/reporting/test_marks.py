from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.reporting.alert_episodes import AlertLog, Episode, Reaction, read_alerts
from stream.reporting.marks import MAX_MARKS, Mark, mark_lanes, mark_shades, marks_of
from stream.reporting.truth import Drift
from tests.stream.reporting.rich_run import alert_records

NONE = AlertLog([], [])


def alert(start, fired, end, code="A1"):
    return Mark(code, "alert", "rule", start, end, fired)


def spans(shapes, name):
    return [(s["x0"], s["x1"]) for s in shapes if s["line"]["color"] == f"var(--{name})"]


def test_drifts_alerts_and_reactions_are_numbered_in_order():
    marks = marks_of([Drift("shift", 5, 9)], read_alerts(alert_records()), 0, 2 * 10**12)
    assert [(mark.code, mark.label) for mark in marks] == [
        ("D1", "shift"),
        ("A1", "recall_low"),
        ("A2", "ctr_drop"),
        ("", ""),
        ("A3", "ctr_drop"),
        ("R1", "boost"),
    ]


def test_what_has_not_ended_lasts_to_the_end():
    log = AlertLog([Episode("r", {}, 5, fired_ms=6)], [Reaction("boost", "r", 6)])
    assert [mark.end_ms for mark in marks_of([], log, 0, 100)] == [100, 100]


def test_marks_are_cut_to_the_plot_and_those_beside_it_left_out():
    drifts = [Drift("before", 0, 9), Drift("across", 5, 15), Drift("after", 30, 40)]
    found = marks_of(drifts, NONE, 10, 20)
    assert [(mark.code, mark.start_ms, mark.end_ms) for mark in found] == [("D2", 10, 15)]


def test_of_very_many_marks_the_longest_are_kept():
    drifts = [Drift("x", 100 * n, 100 * n + n % 90) for n in range(200)]
    found = marks_of(drifts, NONE, 0, 10**6)
    assert len(found) == MAX_MARKS
    assert min(mark.end_ms - mark.start_ms for mark in found) >= 69
    assert [mark.start_ms for mark in found] == sorted(mark.start_ms for mark in found)


def test_an_alert_is_shaded_as_pending_and_then_as_firing():
    shapes = mark_shades([alert(5, 8, 20)])
    assert (spans(shapes, "pending"), spans(shapes, "firing")) == ([(5, 8)], [(8, 20)])


def test_an_alert_that_never_fired_is_only_pending():
    shapes = mark_shades([alert(5, None, 20, code="")])
    assert (spans(shapes, "pending"), spans(shapes, "firing")) == ([(5, 20)], [])


def test_overlapping_alerts_are_one_shade():
    shapes = mark_shades([alert(5, 8, 20), alert(6, 12, 30), alert(40, 45, 50)])
    assert spans(shapes, "firing") == [(8, 30), (45, 50)]
    assert spans(shapes, "pending") == [(5, 8), (40, 45)]


def test_a_drift_of_an_instant_is_a_line():
    [shape] = mark_shades([Mark("D1", "drift", "switch", 7, 7)])
    assert (shape["type"], shape["x0"], shape["x1"]) == ("line", 7, 7)


def test_each_named_mark_has_a_bar_and_a_name_above_the_plot():
    lanes = mark_lanes([alert(500, 600, 700)], (0, 1000), 900, is_short=False)
    assert [note["text"] for note in lanes.annotations] == ["A1 rule"]
    assert [(s["x0"], s["x1"]) for s in lanes.shapes] == [(500, 600), (600, 700)]
    assert lanes.height_px > 0


def test_where_there_is_no_room_only_codes_are_written():
    lanes = mark_lanes([alert(500, 600, 700)], (0, 1000), 300, is_short=True)
    assert [note["text"] for note in lanes.annotations] == ["A1"]


def test_a_name_at_the_right_edge_ends_there():
    [note] = mark_lanes([alert(990, 995, 999)], (0, 1000), 900, is_short=False).annotations
    assert (note["xanchor"], note["x"]) == ("right", 1000)


def test_a_name_cannot_bring_markup_into_a_plot():
    mark = Mark("D1", "drift", "<b>&", 0, 5)
    [note] = mark_lanes([mark], (0, 100), 900, is_short=False).annotations
    assert note["text"] == "D1 &lt;b&gt;&amp;"


def test_without_marks_nothing_takes_room():
    assert mark_lanes([], (0, 0), 900, is_short=False).height_px == 0


@given(st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 300)), max_size=30), st.booleans())
def test_no_bar_lies_over_another(spans_of_marks, is_short):
    marks = [
        Mark(f"D{n}", "drift", "a name", start, min(start + length, 1000))
        for n, (start, length) in enumerate(spans_of_marks)
    ]
    lanes = mark_lanes(marks, (0, 1000), 900, is_short)
    by_lane = {}
    for shape in lanes.shapes:
        by_lane.setdefault(shape["y0"], []).append((shape["x0"], shape["x1"]))
    for bars in by_lane.values():
        ordered = sorted(bars)
        assert all(a[1] <= b[0] for a, b in pairwise(ordered))
    assert lanes.height_px <= 100


@pytest.mark.parametrize("n_marks", [1, 3])
def test_room_is_taken_for_the_lanes_that_are_used(n_marks):
    marks = [Mark(f"D{n}", "drift", "x", 0, 1000) for n in range(n_marks)]
    assert mark_lanes(marks, (0, 1000), 900, is_short=True).height_px == 18 * n_marks + 4
