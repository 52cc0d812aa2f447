"""Rules of kind drift, and drops against the same time before, through their whole life."""

import copy
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river import drift

from evaluators.alert_rules import AlertsConfig
from evaluators.alerts import Alerts
from stream.notices import Moment, Notice
from stream.values import Float64s, Reading
from tests.conformance.stateful_contract import StatefulContract, assert_same_bits

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
START_MS = 466_667 * HOUR_MS
DRIFT = {"name": "d", "kind": "drift", "metric": "recall@20", "detector": "adwin"}
PAGE_HINKLEY = DRIFT | {"detector": "page_hinkley", "parameters": {"threshold": 15}}
KSWIN = DRIFT | {
    "detector": "kswin",
    "parameters": {"window_size": 30, "stat_size": 10},
    "feed": "5 samples",
}
BEFORE = {"name": "low", "kind": "drop", "metric": "ctr", "share": 0.25}
BEFORE |= {"reference": {"same_time_before": "1d", "over": "4h"}}


class Batch:
    """What a batch brought: its hits, and the figure over every window."""

    def __init__(self, hit_N: Float64s, value: float | None, samples: float = 1000.0) -> None:
        self._hit_N = hit_N
        self._reading = None if value is None else Reading(value, samples)

    def reading(self, metric: str, over: str, policy: str | None = None) -> Reading | None:
        return self._reading

    def sample_values(self, metric: str, policy: str | None = None) -> Float64s | None:
        return self._hit_N


def hits(seed: int, share: float, n: int = 40) -> Float64s:
    return (np.random.default_rng(seed).random(n) < share).astype(np.float64)


def alerts_of(*rules: dict, **keys) -> Alerts:
    return Alerts(AlertsConfig.model_validate({"rules": list(rules), **keys}))


def moment_at(minute: float) -> Moment:
    return Moment(round(minute), START_MS + round(minute * MINUTE_MS), round(minute * 40), {})


def run(alerts: Alerts, shares: list[float | None], per_minute: int = 1) -> list[Notice]:
    """A batch of hits every minute, or several; None is a minute without a figure."""
    told = []
    for number, share in enumerate(shares):
        hit_N = hits(number, share or 0.0, n=0 if share is None else 40)
        told += alerts.step(Batch(hit_N, share), moment_at(number / per_minute))
    return told


def states(notices: list[Notice]) -> list[tuple[str, float]]:
    return [(notice.state, (notice.ts_ms - START_MS) / MINUTE_MS) for notice in notices]


FALL = [0.8] * 20 + [0.2] * 20


@pytest.mark.parametrize("rule", [DRIFT, PAGE_HINKLEY, KSWIN], ids=lambda rule: rule["detector"])
def test_a_drift_fires_when_it_is_found_and_resolves_when_no_more_is(rule):
    told = run(alerts_of(rule | {"keep_firing_for": "5m"}), [0.8] * 20 + [0.2] * 40)
    assert [state for state, _ in states(told)][:2] == ["firing", "resolved"]
    fired, resolved = (notice.ts_ms for notice in told[:2])
    assert 20 * MINUTE_MS <= fired - START_MS <= 32 * MINUTE_MS
    # The first step at which nothing was found is a minute later.
    assert resolved - fired >= 6 * MINUTE_MS


def test_unless_told_a_drift_fires_for_an_hour():
    (fired, resolved) = run(alerts_of(DRIFT), [0.8] * 20 + [0.2] * 100)
    assert resolved.ts_ms - fired.ts_ms == HOUR_MS + MINUTE_MS


def test_a_detection_while_it_fires_starts_the_time_anew():
    rule = DRIFT | {"keep_firing_for": "30m"}
    once = run(alerts_of(rule), [0.9] * 20 + [0.6] * 100)
    twice = run(alerts_of(rule), [0.9] * 20 + [0.6] * 20 + [0.1] * 80)
    assert [notice.state for notice in twice] == ["firing", "resolved"]
    assert twice[0].ts_ms == once[0].ts_ms
    assert twice[1].ts_ms >= once[1].ts_ms + 10 * MINUTE_MS
    assert twice[1].record["detections"] == 2


def test_what_was_found_between_two_steps_is_told_at_the_next():
    alerts = alerts_of(DRIFT, evaluate_every="30m")
    told = run(alerts, FALL + [0.2] * 30)
    assert states(told)[0] == ("firing", 30.0)


def test_what_was_found_while_the_figure_is_absent_waits_for_it():
    alerts = alerts_of(DRIFT)
    n_found_before = next(
        n
        for n in range(20, 40)
        if run(alerts_of(DRIFT), FALL[:n]) == [] != run(alerts_of(DRIFT), FALL[: n + 1])
    )
    run(alerts, FALL[:n_found_before])
    found = Batch(hits(n_found_before, 0.2), 0.2)
    # Found between two steps; at the next two steps there is no figure.
    assert alerts.step(found, moment_at(n_found_before - 0.5)) == []
    for minute in (0, 1):
        assert alerts.step(Batch(np.zeros(0), None), moment_at(n_found_before + minute)) == []
    (told,) = alerts.step(Batch(np.zeros(0), 0.2), moment_at(n_found_before + 2))
    assert told.state == "firing"


def test_a_detector_is_not_fed_while_too_few_samples_are_behind_the_figure():
    alerts = alerts_of(DRIFT | {"min_samples": 1001})
    assert run(alerts, FALL) == []
    assert alerts.states()["d"]["steps_judged"] == 0


def test_a_drift_to_the_better_does_not_fire():
    rise = [0.2] * 20 + [0.8] * 20
    assert run(alerts_of(DRIFT), rise) == []
    assert [notice.state for notice in run(alerts_of(DRIFT | {"direction": "both"}), rise)] == [
        "firing"
    ]


def test_a_notice_tells_what_found_it_and_the_level_before():
    told = run(alerts_of(DRIFT | {"react": "boost"}), FALL)[0].record
    assert (told["kind"], told["detector"], told["detected"]) == ("drift", "adwin", "down")
    assert (told["value"], told["samples"], told["react"]) == (0.2, 1000.0, "boost")
    assert (told["threshold"], told["clear"]) == (None, None)
    assert told["reference"] == pytest.approx(0.75, abs=0.1)


def test_the_same_batches_are_found_where_rivers_own_detector_finds_them():
    river, expected = drift.ADWIN(), []
    for number, share in enumerate(FALL):
        is_found = False
        for hit in hits(number, share).tolist():
            river.update(hit)
            is_found |= river.drift_detected
        expected += [float(number)] if is_found else []
    told = states(run(alerts_of(DRIFT | {"keep_firing_for": "0s"}), FALL))
    assert [minute for state, minute in told if state == "firing"] == expected != []


@given(
    rule=st.sampled_from([DRIFT, PAGE_HINKLEY, KSWIN, BEFORE]),
    seed=st.integers(0, 2**32 - 1),
    cut=st.integers(0, 60),
)
@settings(deadline=None, max_examples=25)
def test_a_resumed_engine_goes_on_like_an_unbroken_one(rule, seed, cut):
    rng = np.random.default_rng(seed)
    shares = np.repeat(rng.random(12), 5).tolist()
    shares[int(rng.integers(60))] = None
    keys = {"evaluate_every": "30m"} if rule is BEFORE else {}
    unbroken, stopped, resumed = (alerts_of(rule, **keys) for _ in range(3))

    def step(alerts: Alerts, number: int) -> list[Notice]:
        share = shares[number]
        batch = Batch(hits(seed + number, share or 0.0), share)
        return alerts.step(batch, moment_at(number * (45 if rule is BEFORE else 1)))

    for number in range(cut):
        assert_same_bits(step(stopped, number), step(unbroken, number))
    resumed.load_state_dict(copy.deepcopy(stopped.state_dict()))
    for number in range(cut, len(shares)):
        assert_same_bits(step(resumed, number), step(unbroken, number))
    assert_same_bits(resumed.state_dict(), unbroken.state_dict())


def test_a_rule_that_is_put_in_force_again_as_it_was_goes_on():
    kept, changed = alerts_of(DRIFT), alerts_of(DRIFT)
    for alerts, rule in ((kept, DRIFT), (changed, DRIFT | {"parameters": {"delta": 0.001}})):
        run(alerts, FALL[:20])
        alerts.reload(alerts_of(rule).config, moment_at(19.5))
    assert kept.state_dict()["rules"]["d"]["drift"]["detector"]["window"]["width"] == 800.0
    assert changed.state_dict()["rules"]["d"]["drift"]["detector"]["window"]["width"] == 0.0


# Drops against the same time before


def daily(hour: float) -> float:
    return 0.5 + 0.25 * math.sin(2 * math.pi * hour / 24)


def told_by_the_hour(rule: dict, values: list[float | None]) -> list[tuple[str, float]]:
    alerts = alerts_of(rule, evaluate_every="1h")
    notices = []
    for hour, value in enumerate(values):
        batch = Batch(np.zeros(0), value)
        notices += alerts.step(batch, Moment(hour, START_MS + hour * HOUR_MS, hour, {}))
    return [(notice.state, (notice.ts_ms - START_MS) / HOUR_MS) for notice in notices]


def test_a_night_is_no_drop_against_the_night_before_but_against_the_day():
    values = [daily(hour) for hour in range(96)]
    assert told_by_the_hour(BEFORE, values) == []
    assert len(told_by_the_hour(BEFORE | {"reference": "1d"}, values)) >= 4


def test_a_day_that_is_a_third_lower_than_the_day_before_fires_until_it_is_not():
    values = [daily(hour) * (0.66 if 60 <= hour < 70 else 1.0) for hour in range(120)]
    assert told_by_the_hour(BEFORE, values) == [("firing", 60.0), ("resolved", 70.0)]


def test_a_drop_that_lasts_a_day_becomes_the_normal_and_says_so():
    values = [0.5] * 60 + [0.3] * 60
    alerts = alerts_of(BEFORE, evaluate_every="1h")
    notices = [
        notice
        for hour, value in enumerate(values)
        for notice in alerts.step(
            Batch(np.zeros(0), value), Moment(hour, START_MS + hour * HOUR_MS, hour, {})
        )
    ]
    assert [notice.state for notice in notices] == ["firing", "resolved"]
    assert [notice.record["renewed"] for notice in notices] == [False, True]
    assert notices[0].record["reference"] == 0.5


def test_where_nothing_was_read_a_day_before_the_state_is_held():
    values = [0.5 if not 20 <= hour < 30 else None for hour in range(40)]
    values += [0.1] * 18
    told = told_by_the_hour(BEFORE, values)
    # Nothing is known before hour 25, and nothing from 45 to 52: the drop at 40 was seen before.
    assert told == [("firing", 40.0)]
    late = [0.5 if not 20 <= hour < 30 else None for hour in range(46)] + [0.1] * 20
    assert told_by_the_hour(BEFORE, late)[0] == ("firing", 55.0)


class TestDriftAlertsState(StatefulContract):
    @staticmethod
    def make() -> Alerts:
        return alerts_of(
            DRIFT,
            PAGE_HINKLEY | {"name": "ph"},
            KSWIN | {"name": "ks"},
            BEFORE | {"reference": {"same_time_before": "10m", "over": "4m"}},
        )

    @staticmethod
    def drive(alerts: Alerts, step: int) -> list[list[Notice]]:
        return [
            alerts.step(
                Batch(hits(minute, 0.8 if minute < 24 else 0.2), 0.8 if minute < 24 else 0.2),
                moment_at(minute),
            )
            for minute in range(step * 8, step * 8 + 8)
        ]
