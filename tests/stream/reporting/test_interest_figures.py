from stream.reporting.interest_figures import movers_plot, shift_plot
from stream.reporting.sections import time_axis
from tests.stream.reporting.rich_run import GROUPS
from tests.stream.reporting.runs_in_memory import clicks_only, rich_run_of, run_of


def test_the_shift_of_all_stands_over_that_of_each_cohort():
    run = rich_run_of()
    plot = shift_plot(run, time_axis(run))
    assert [entry.label for entry in plot.legend] == [
        *("all users", "history of 0", "history of 1-4")
    ]
    assert plot.traces[-1]["meta"]["key"] == "all"
    assert {trace["meta"]["window"] for trace in plot.traces} == {"events", "time", "total"}


def test_groups_go_from_what_rises_most_to_what_falls_most():
    plot = movers_plot(rich_run_of())
    recent, past = plot.traces
    assert (recent["x"], past["x"]) == ([0.4, 0.1], [0.2, 0.3])
    assert f"{GROUPS[0]} 40.00 %, before 20.00 %" in plot.text


def test_where_nothing_moves_there_is_no_plot():
    run = run_of([clicks_only(1, interests={"cohorts": {}, "rising": [], "falling": []})])
    assert movers_plot(run) is None
    assert shift_plot(run, time_axis(run)) is None
