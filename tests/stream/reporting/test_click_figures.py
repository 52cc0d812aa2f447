import numpy as np
import pytest

from stream.reporting.click_figures import (
    calibration_plots,
    ctr_plot,
    loss_plots,
    most_shown_policies,
)
from stream.reporting.plots import TimeAxis
from stream.reporting.truth import read_truth
from tests.stream.reporting.rich_run import POLICIES, truth_records
from tests.stream.reporting.runs_in_memory import clicks_only, rich_run_of, run_of

AXIS = TimeAxis(0, 10)


def keys_of(plot):
    return [entry.key for entry in plot.legend]


def test_ctr_is_observed_by_policy_and_predicted():
    plot = ctr_plot(rich_run_of(), AXIS)
    policies = [f"policy:{name}" for name in POLICIES]
    assert keys_of(plot) == ["observed", *policies, "predicted"]
    assert sum(trace.get("fill") == "tonexty" for trace in plot.traces) == 3


def test_the_true_ctr_is_drawn_where_it_is_known():
    plot = ctr_plot(rich_run_of(truth=read_truth(truth_records())), AXIS)
    assert keys_of(plot)[-1] == "true"
    [time_line] = [
        trace for trace in plot.traces if trace["meta"] == {"key": "true", "window": "time"}
    ]
    assert np.abs(np.array(time_line["y"][10:]) - 0.061).max() < 0.04
    assert "its mean over the 6 h before" in plot.caption


def test_one_policy_is_not_drawn_apart():
    record = clicks_only(
        1, metrics={"ctr": {"total": 0.1}}, policies={"a": {"ctr": {"total": 0.1}}}
    )
    run = run_of([record])
    assert most_shown_policies(run) == []
    assert keys_of(ctr_plot(run, AXIS)) == ["observed"]


def test_of_many_policies_those_that_showed_most_are_drawn():
    policies = {f"p{n}": {"ctr": {"total": 0.1, "samples": {"total": 10 * n}}} for n in range(9)}
    run = run_of([clicks_only(1, metrics={"ctr": {"total": 0.1}}, policies=policies)])
    assert most_shown_policies(run) == ["p8", "p7", "p6", "p5", "p4", "p3"]
    assert "Of 9 policies, those that showed the most items." in ctr_plot(run, AXIS).caption


def test_each_loss_has_a_plot_of_its_own():
    plots = loss_plots(rich_run_of(), AXIS)
    assert [plot.name for plot in plots] == ["plot-log_loss", "plot-normalized_entropy"]
    assert [shape["y0"] for shape in plots[1].layout["shapes"]] == [1.0]


def test_calibration_is_a_curve_and_a_ratio():
    curve, ratio, error = calibration_plots(rich_run_of(), AXIS)
    assert error.name == "plot-ece"
    assert (curve.name, ratio.name) == ("plot-reliability", "plot-calibration_ratio")
    assert curve.traces[0]["x"] == [0.004, 0.012, 0.025, 0.05, 0.08, 0.13, 0.2]
    sizes = curve.traces[0]["marker"]["size"]
    assert sizes == sorted(sizes, reverse=True)
    assert "predicted 20.00 %, observed 17.00 %" in curve.text


def test_the_curve_of_the_summary_comes_before_that_of_the_last_record():
    bins = [{"predicted": 0.5, "observed": 0.5, "samples": 1}]
    curve, *_ = calibration_plots(rich_run_of(summary={"reliability": bins}), AXIS)
    assert curve.traces[0]["x"] == [0.5]


@pytest.mark.parametrize("plots", [loss_plots, calibration_plots])
def test_without_predictions_there_is_neither_loss_nor_calibration(plots):
    assert plots(run_of([clicks_only(1)]), AXIS) == []


def test_without_lists_there_is_no_ctr():
    assert ctr_plot(run_of([clicks_only(1)]), AXIS) is None
