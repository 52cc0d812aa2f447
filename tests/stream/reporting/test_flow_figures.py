import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.reporting.flow_figures import flow_plot, hourly_rates, stretch_length_ms
from stream.reporting.plots import TimeAxis
from tests.stream.reporting.runs_in_memory import clicks_only, run_of

HOUR_MS = 3_600_000
AXIS = TimeAxis(0, 10)


@given(st.lists(st.integers(1, 5 * HOUR_MS), min_size=1, max_size=50), st.integers(0, 10**12))
def test_no_click_is_lost_in_whole_stretches(gaps_ms, start_ms):
    ts_ms = start_ms + np.cumsum([0, *gaps_ms])
    ts_ms = np.concatenate([[ts_ms[0] // HOUR_MS * HOUR_MS], ts_ms[1:], [ts_ms[-1] + HOUR_MS]])
    ts_ms[-1] = ts_ms[-1] // HOUR_MS * HOUR_MS + HOUR_MS
    events = np.arange(len(ts_ms)) * 7.0
    _, rate = hourly_rates(ts_ms, events, HOUR_MS)
    assert rate.sum() == pytest.approx(events[-1])


def test_the_first_and_the_last_stretch_count_what_of_them_was_seen():
    start_ms, rate = hourly_rates(
        np.array([HOUR_MS // 2, 5 * HOUR_MS // 2]), np.array([0.0, 200.0]), HOUR_MS
    )
    assert start_ms.tolist() == [0, HOUR_MS, 2 * HOUR_MS]
    np.testing.assert_allclose(rate, 100.0)


def test_a_sliver_at_the_end_is_left_out():
    start_ms, _ = hourly_rates(
        np.array([0, HOUR_MS, HOUR_MS + 5]), np.array([0.0, 10.0, 500.0]), HOUR_MS
    )
    assert start_ms.tolist() == [0]


@pytest.mark.parametrize(
    ("step_ms", "n_records", "expected_hours"),
    [(60_000, 100, 1 / 12), (HOUR_MS, 336, 2), (HOUR_MS, 24 * 365, 24), (30_000, 10_000, 0.25)],
)
def test_stretches_are_as_short_as_records_and_plot_allow(step_ms, n_records, expected_hours):
    assert stretch_length_ms(np.arange(n_records) * step_ms) == expected_hours * HOUR_MS


def test_the_plot_has_a_bar_for_each_stretch():
    records = [clicks_only(n * HOUR_MS, events=50 * n) for n in range(20)]
    plot = flow_plot(run_of(records), AXIS)
    assert set(plot.traces[0]["y"]) == {50.0}
    assert "in stretches of 2 h" in plot.caption


@pytest.mark.parametrize("records", [[], [clicks_only(5)], [clicks_only(5), clicks_only(5)]])
def test_records_that_span_no_time_have_no_plot(records):
    assert flow_plot(run_of(records, summary={}), AXIS) is None
