from stream.reporting.comparison_figures import comparison_axis, curves_plot, difference_plot
from tests.stream.comparing.comparisons import small_record

RECORD = small_record()
AXIS = comparison_axis(RECORD)


def test_the_axis_spans_all_stretches():
    assert (AXIS.start_ms, AXIS.end_ms) == (1_704_067_200_000, 1_704_074_400_000)
    assert comparison_axis(small_record(stretches={})).end_ms == 0


def test_both_curves_are_drawn_stretch_by_stretch():
    plot = curves_plot(RECORD, "recall@20", AXIS)
    assert [trace["y"] for trace in plot.traces] == [[0.2, 0.3, 0.3], [0.2, 0.35, 0.4]]
    assert [entry.label for entry in plot.legend] == ["A: a.yaml", "B: b.yaml"]
    assert [dict(entry.value_of) for entry in plot.legend] == [{"": "0.300"}, {"": "0.340"}]
    assert "in stretches of about 2,000 samples" in plot.caption


def test_the_difference_has_its_interval_and_a_line_at_nothing():
    plot = difference_plot(RECORD, "recall@20", AXIS)
    low, high, stretch, since = plot.traces
    assert (low["y"], high["y"]) == ([-0.1, -0.02, 0.01], [0.1, 0.07, 0.07])
    assert since["y"] == [0.0, 0.025, 0.04]
    assert stretch["y"] == [0.0, 0.05, 0.1]
    assert plot.layout["shapes"][-1]["y0"] == 0.0
    assert "Above 0, B is better" in plot.caption


def test_of_a_loss_less_is_better():
    plot = difference_plot(RECORD, "log_loss", AXIS)
    assert plot.title == "B less A in log loss"
    assert "Below 0, B is better" in plot.caption
