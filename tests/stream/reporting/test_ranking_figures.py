import pytest

from stream.reporting.plots import TimeAxis
from stream.reporting.ranking_figures import difference_plot, recall_plot
from tests.stream.reporting.rich_run import SHADOWS
from tests.stream.reporting.runs_in_memory import clicks_only, rich_run_of, run_of

AXIS = TimeAxis(0, 10)


def traces_of(plot, key):
    return [trace for trace in plot.traces if trace["meta"]["key"] == key]


def test_recall_has_a_line_for_each_learner_and_window():
    plot = recall_plot(rich_run_of(), AXIS)
    assert [entry.label for entry in plot.legend] == ["transformer", *SHADOWS]
    for entry in plot.legend:
        windows = {trace["meta"]["window"] for trace in traces_of(plot, entry.key)}
        assert windows == {"events", "time", "total"}


def test_the_champion_is_drawn_last_and_widest():
    plot = recall_plot(rich_run_of(), AXIS)
    assert plot.traces[-1]["meta"]["key"] == "champion"
    assert plot.traces[-1]["line"]["width"] > plot.traces[0]["line"]["width"]


def test_the_legend_and_the_text_tell_the_last_values():
    run = run_of([clicks_only(1, 0.25), clicks_only(2, 0.5)])
    plot = recall_plot(run, AXIS)
    assert plot.legend[0].value_of == {"total": "0.500"}
    assert "At the end: transformer 0.500." in plot.text


def test_learners_have_the_same_colour_in_both_plots():
    run = rich_run_of()
    recall, difference = recall_plot(run, AXIS), difference_plot(run, AXIS)
    colours = {entry.key: entry.colour for entry in recall.legend}
    assert {entry.key: entry.colour for entry in difference.legend}.items() <= colours.items()


def test_differences_have_a_band_each_behind_all_lines():
    plot = difference_plot(rich_run_of(), AXIS)
    assert [trace.get("fill") for trace in plot.traces] == [None, "tonexty"] * 3 + [None] * 3
    assert plot.layout["shapes"][-1]["y0"] == 0.0


def test_the_widest_intervals_of_the_beginning_do_not_flatten_the_rest():
    low, high = difference_plot(rich_run_of(n_records=400), AXIS).layout["yaxis"]["range"]
    assert -0.6 < low < -0.3
    assert 0.3 < high < 0.6


def test_without_a_shadow_there_is_no_difference():
    assert difference_plot(run_of([clicks_only(1)]), AXIS) is None


@pytest.mark.parametrize("plot", [recall_plot, difference_plot])
def test_without_a_judged_click_there_is_no_plot(plot):
    assert plot(run_of([clicks_only(1, metrics={})]), AXIS) is None
    assert plot(run_of([], summary={}), AXIS) is None
