from stream.reporting.metric_plots import metric_plot
from stream.reporting.sections import time_axis
from tests.stream.reporting.runs_in_memory import clicks_only, rich_run_of, run_of


def test_a_figure_has_a_line_for_each_window():
    run = rich_run_of()
    plot = metric_plot(run, time_axis(run), "novelty", "caption")
    assert [trace["meta"]["window"] for trace in plot.traces] == ["events", "time", "total"]
    assert plot.title == "Novelty over event time"
    assert set(plot.legend[0].value_of) == {"events", "time", "total"}


def test_a_figure_of_one_window_is_there_whatever_is_chosen():
    run = rich_run_of()
    plot = metric_plot(run, time_axis(run), "active_users_day", "caption")
    assert [trace["meta"]["window"] for trace in plot.traces] == [None]
    assert list(plot.legend[0].value_of) == [""]
    assert "." not in plot.legend[0].value_of[""]


def test_a_figure_that_was_not_judged_has_no_plot():
    run = run_of([clicks_only(1)])
    assert metric_plot(run, time_axis(run), "novelty", "caption") is None
