from stream.reporting.business_figures import business_plots
from stream.reporting.sections import time_axis
from tests.stream.reporting.runs_in_memory import clicks_only, rich_run_of, run_of


def test_each_figure_that_was_judged_has_a_plot():
    run = rich_run_of()
    names = [plot.name.removeprefix("plot-") for plot in business_plots(run, time_axis(run))]
    assert names == [
        *("like_share", "mean_rating", "mean_dwell", "revenue_per_mille", "revenue_per_click"),
        *("active_users_day", "active_users_week"),
    ]


def test_what_was_not_judged_has_none():
    run = run_of([clicks_only(1)])
    assert business_plots(run, time_axis(run)) == []
