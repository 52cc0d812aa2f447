import json

import numpy as np

from stream.reporting.marks import Mark
from stream.reporting.plots import (
    Entry,
    Plot,
    TimeAxis,
    band,
    json_numbers,
    last_value,
    level,
    line,
    time_layout,
)

ENTRY = Entry("key", "a <name>", "var(--c1)")
TIMES = np.arange(5, dtype=np.int64) * 1000


def test_a_line_names_its_window_and_its_entry_and_keeps_gaps():
    made = line(ENTRY, "time", TIMES, np.array([np.nan, 0.1234567, 1.0, np.nan, 2.0]))
    assert made["meta"] == {"key": "key", "window": "time"}
    assert made["x"] == TIMES.tolist()
    assert made["y"] == [None, 0.12346, 1.0, None, 2.0]
    assert made["name"] == "a &lt;name&gt;"


def test_a_long_line_is_thinned_and_has_no_dots():
    n_values = 100_000
    made = line(ENTRY, None, np.arange(n_values), np.sin(np.arange(n_values)))
    assert len(made["x"]) == len(made["y"]) <= 2000
    assert made["mode"] == "lines"


def test_a_band_lies_between_its_ends_and_leaves_out_what_is_not_known():
    ends = np.array([0.0, np.nan, 2.0, 3.0, 4.0]), np.array([1.0, 2.0, 3.0, np.nan, 5.0])
    low, high = band(ENTRY, None, TIMES, ends)
    assert (low["x"], low["y"], high["y"]) == ([0, 2000, 4000], [0.0, 2.0, 4.0], [1.0, 3.0, 5.0])
    assert (high["fill"], high["fillcolor"]) == ("tonexty", "var(--c1-fill)")


def test_a_single_instant_has_room_on_both_sides():
    assert TimeAxis(10**10, 10**10).range_ms == (10**10 - 1_800_000, 10**10 + 1_800_000)
    assert TimeAxis(5, 9).range_ms == (5, 9)


def test_a_plot_over_time_has_the_time_and_the_shades():
    axis = TimeAxis(0, 1000, [Mark("D1", "drift", "x", 100, 200)])
    layout = time_layout(axis, ".3~f", rangemode="tozero")
    assert layout["xaxis"]["range"] == [0, 1000]
    assert [(shape["x0"], shape["x1"]) for shape in layout["shapes"]] == [(100, 200)]
    assert layout["yaxis"] == {
        "tickformat": ".3~f",
        "hoverformat": ".3f",
        "rangemode": "tozero",
    }


def test_what_is_drawn_can_be_told_in_json_for_both_widths():
    axis = TimeAxis(0, 1000, [Mark("D1", "drift", "x", 100, 200)])
    trace = line(ENTRY, "time", TIMES, np.array([np.nan, np.inf, 1.0, 2.0, 3.0]))
    plot = Plot("p", "t", "text", "c", [trace], time_layout(axis, ".3~f"), [ENTRY], axis)
    spec = json.loads(json.dumps(plot.spec(), allow_nan=False))
    assert spec["wide"]["annotations"][0]["text"] == "D1 x"
    assert spec["narrow"]["annotations"][0]["text"] == "D1"
    assert spec["wide"]["lanes"] == 22


def test_numbers_have_five_digits_and_what_is_not_finite_is_none():
    values = np.array([1234567.0, 0.000123456, np.inf, np.nan])
    assert json_numbers(values) == [1234600.0, 0.00012346, None, None]


def test_the_last_value_passes_by_gaps():
    assert last_value(np.array([1.0, 2.0, np.nan])) == 2.0
    assert last_value(np.array([np.nan])) is None


def test_a_level_crosses_the_whole_plot():
    assert {key: level(1.0)[key] for key in ("x0", "x1", "y0", "y1")} == {
        "x0": 0,
        "x1": 1,
        "y0": 1.0,
        "y1": 1.0,
    }
