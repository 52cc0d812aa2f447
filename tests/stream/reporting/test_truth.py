import numpy as np
import pytest

from stream.reporting.truth import HOUR_MS, Drift, Truth, read_truth
from stream.sources.shop import SimulatorConfig
from stream.sources.simulator import simulate

DAY_MS = 24 * HOUR_MS


def switches(times_ms):
    return [{"type": "switch", "user": "u", "ts": int(ts)} for ts in times_ms]


def test_scheduled_events_are_drifts_in_order_of_time():
    records = [
        {"type": "scheduled", "kind": "broken_policy", "ts": 50, "ts_end": 60, "share": 1.0},
        {"type": "scheduled", "kind": "catalogue_switch", "ts": 7, "ts_end": 7},
    ]
    assert read_truth(records).drifts == (
        Drift("catalogue switch", 7, 7),
        Drift("broken policy (100 %)", 50, 60),
    )


def test_an_event_without_an_end_takes_no_time():
    assert read_truth([{"type": "scheduled", "kind": "x", "ts": 5}]).drifts == (Drift("x", 5, 5),)


def test_half_of_the_switches_within_a_day_of_thirty_are_a_drift():
    slow = np.linspace(0, 30 * DAY_MS, 40)
    quick = np.linspace(9 * DAY_MS, 10 * DAY_MS, 60)
    [drift] = read_truth(switches([*slow, *quick])).drifts
    assert drift.label == "50 of 100 taste switches"
    assert 9 * DAY_MS <= drift.start_ms < drift.end_ms <= 10 * DAY_MS


def test_switches_at_their_usual_pace_are_no_drift():
    assert read_truth(switches(np.linspace(0, 30 * DAY_MS, 100))).drifts == ()


def test_a_few_switches_are_no_drift():
    assert read_truth([*switches([5, 6, 7]), {"type": "launch", "ts": 30 * DAY_MS}]).drifts == ()


def test_the_true_ctr_is_a_mean_over_the_items_shown_before():
    hours = [(0, 0.5, 10), (1, 0.1, 30), (2, 0.9, 5)]
    truth = read_truth(
        {"type": "ctr_hour", "ts": hour * HOUR_MS, "ctr": ctr, "shown": shown}
        for hour, ctr, shown in hours
    )
    at = np.array([0, HOUR_MS, 2 * HOUR_MS, 2 * HOUR_MS + 1, 10 * HOUR_MS])
    found = truth.trailing_ctr(at, 2 * HOUR_MS)
    np.testing.assert_allclose(found, [np.nan, 0.5, 0.2, (3.0 + 4.5) / 35, np.nan])


def test_without_hours_there_is_no_true_ctr():
    assert np.isnan(Truth().trailing_ctr(np.array([1, 2]), 5)).all()


@pytest.mark.parametrize("odd", [{}, {"ts": "noon"}, {"type": "ctr_hour", "ts": 5}, {"ts": None}])
def test_facts_of_another_shape_are_passed_by(odd):
    truth = read_truth([odd])
    assert (truth.drifts, truth.ctr_H) == ((), None)


def test_the_simulator_s_own_facts_are_understood():
    config = SimulatorConfig(clicks=500, users=40, items=60, categories=4, days=6, switch_day=3)
    truth = read_truth(simulate(config).truth())
    assert [drift.label for drift in truth.drifts] == ["taste shift (30 %)"]
    assert truth.drifts[0].end_ms - truth.drifts[0].start_ms == DAY_MS
    assert truth.ctr_H is not None
    assert 0 < truth.ctr_H.min() <= truth.ctr_H.max() < 1
