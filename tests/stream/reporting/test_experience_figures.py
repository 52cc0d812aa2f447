import pytest

from stream.reporting.experience_figures import experience_plots, exposure_plot, group_rows
from stream.reporting.sections import time_axis
from tests.stream.reporting.rich_run import GROUPS
from tests.stream.reporting.runs_in_memory import clicks_only, rich_run_of, run_of


def test_each_figure_of_the_lists_has_a_plot():
    run = rich_run_of()
    names = [plot.name.removeprefix("plot-") for plot in experience_plots(run, time_axis(run))]
    assert names == [
        *("coverage", "gini", "diversity", "novelty", "personalization", "exposure_gap")
    ]


def test_groups_stand_side_by_side_as_shown_and_as_clicked():
    plot = exposure_plot(rich_run_of())
    shown, clicked = plot.traces
    assert shown["x"] == pytest.approx([0.3, 0.15, 0.1])
    assert clicked["x"] == [0.2, 0.2, 0.2]
    assert f"{GROUPS[0]} has 30.00 % of the places, 20.00 % of the clicks" in plot.text


def test_without_groups_there_is_no_plot_of_them():
    assert exposure_plot(run_of([clicks_only(1)])) is None
    assert exposure_plot(run_of([clicks_only(1, exposure="none")])) is None


def test_what_is_no_group_is_passed_by():
    told = [{"group": "tea", "shown": 0.5}, {"group": 7, "shown": 1}, {"shown": 1}, 3, {}]
    assert group_rows(told, ("shown",)) == [("tea", [0.5])]
