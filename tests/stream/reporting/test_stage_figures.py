import pytest

from stream.reporting.stage_figures import stages_plot
from tests.stream.reporting.runs_in_memory import run_of


def test_each_stage_has_its_share_in_the_order_of_the_loop():
    plot = stages_plot(run_of([], summary={"stage_seconds": {"read": 1.0, "learn": 3.0}}))
    [bars] = plot.traces
    assert bars["x"] == [0.25, 0.75]
    assert plot.layout["yaxis"]["ticktext"] == ["reading events", "learning"]
    assert plot.text == "Shares of 4.0 s: reading events 25 %, learning 75 %."


@pytest.mark.parametrize("told", [None, {}, {"read": 0.0}, {"read": "long"}, 7])
def test_what_nobody_measured_is_not_drawn(told):
    assert stages_plot(run_of([], summary={"stage_seconds": told})) is None
