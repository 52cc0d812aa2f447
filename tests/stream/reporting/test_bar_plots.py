from stream.reporting.bar_plots import Bars, bar_plot
from stream.reporting.plots import Entry, Plot

ENTRY = Entry("shown", "share <of> places", "var(--c0)")
LONG = "the same long beginning of two names, "


def drawn(names, *bars) -> Plot:
    plot = Plot("plot-x", "Title", "text", "caption", [], {})
    return bar_plot(plot, names, bars, ".3~%")


def test_the_first_name_stands_on_top():
    plot = drawn(["tea", "cups"], Bars(ENTRY, [0.25, 0.5]))
    assert plot.traces[0]["x"] == [0.25, 0.5]
    assert plot.traces[0]["y"] == [0, 1]
    assert plot.layout["yaxis"]["ticktext"] == ["tea", "cups"]
    top, bottom = plot.layout["yaxis"]["range"]
    assert top > bottom


def test_names_that_look_alike_once_cut_keep_bars_of_their_own():
    plot = drawn([f"{LONG}one", f"{LONG}two"], Bars(ENTRY, [0.25, 0.5]))
    first, second = plot.layout["yaxis"]["ticktext"]
    assert first == second
    assert plot.traces[0]["y"] == [0, 1]
    assert plot.traces[0]["text"] == [f"{LONG}one", f"{LONG}two"]


def test_names_from_outside_are_no_markup():
    plot = drawn(["<b>tea</b>"], Bars(ENTRY, [0.25]))
    assert plot.layout["yaxis"]["ticktext"] == ["&lt;b&gt;tea&lt;/b&gt;"]
    assert plot.traces[0]["name"] == "share &lt;of&gt; places"


def test_a_missing_value_has_no_bar_and_bars_may_belong_to_a_window():
    plot = drawn(["tea", "cups"], Bars(ENTRY, [None, 0.5], "events"))
    assert plot.traces[0]["x"] == [None, 0.5]
    assert plot.traces[0]["meta"] == {"key": "shown", "window": "events"}


def test_intervals_reach_from_their_values_to_either_side():
    plot = Plot("plot-x", "X", "", "", [], {})
    entry = Entry("a", "a", "var(--c0)")
    ends = [(0.1, 0.5), None, (0.4, 0.6)]
    bar_plot(plot, ["x", "y", "z"], [Bars(entry, [0.2, 0.3, None], None, ends)], ".3~f")
    whiskers = plot.traces[0]["error_x"]
    assert whiskers["arrayminus"] == [0.1, 0.0, 0.0]
    assert whiskers["array"] == [0.3, 0.0, 0.0]
