"""Rules that are put in force, kept and withdrawn while the stream goes on."""

import copy
import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluators.alert_rules import AlertsConfig, Rule
from evaluators.alerts import Alerts
from stream.notices import Moment, Notice
from stream.values import Reading
from tests.conformance.stateful_contract import StatefulContract, assert_same_bits

MINUTE_MS = 60_000
START_MS = 28_000_000 * MINUTE_MS
LOW = {"name": "low", "kind": "below", "metric": "recall@20", "threshold": 0.5}
WAITS = {**LOW, "name": "waits", "for": "3m"}
DROP = {"name": "drop", "kind": "drop", "metric": "ctr", "share": 0.25, "reference": "5m"}


class Figures:
    """Figures by metric; every one is the same unless it is named."""

    def __init__(self, value: float | None, **value_of: float) -> None:
        self._value = value
        self._value_of = value_of

    def reading(self, metric: str, over: str, policy: str | None = None) -> Reading | None:
        value = self._value_of.get(metric, self._value)
        return None if value is None else Reading(value, 1000.0)


def config_of(*rules: dict, **keys) -> AlertsConfig:
    return AlertsConfig.model_validate({"rules": list(rules), **keys})


def moment_at(minute: float) -> Moment:
    seq = round(minute * 60)
    ts_ms = START_MS + round(minute * MINUTE_MS)
    return Moment(seq, ts_ms, round(minute * 100), {"f": {"line": seq}}, "a-1")


def started(*rules: dict, value: float | None = None, minutes: int = 0, **keys) -> Alerts:
    """Rules that have read one value each minute; the clock is set at minute 0."""
    alerts = Alerts(config_of(*rules, **keys))
    alerts.step(Figures(None), moment_at(0))
    for minute in range(1, minutes + 1):
        alerts.step(Figures(value), moment_at(minute))
    return alerts


def told(notices: list[Notice]) -> list[tuple[str, str, bool]]:
    """Rule, state, and whether it was withdrawn."""
    return [(n.rule, n.state, n.record.get("withdrawn", False)) for n in notices]


# What is kept


def test_a_rule_whose_settings_are_equal_goes_on_pending():
    alerts = started(WAITS, value=0.4, minutes=2)
    assert alerts.reload(config_of(LOW, WAITS), moment_at(2)) == []
    alerts.step(Figures(0.4), moment_at(3))
    notice = alerts.step(Figures(0.4), moment_at(4))[-1]
    assert (notice.rule, notice.state) == ("waits", "firing")
    assert notice.since_ms == START_MS + MINUTE_MS


def test_a_rule_that_writes_its_defaults_out_is_equal():
    alerts = started(WAITS, value=0.4, minutes=2)
    written = config_of(WAITS).rules[0].model_dump(mode="json")
    assert "for" in written and "keep_firing_for" in written and "for" in WAITS
    assert alerts.reload(config_of({**written, "for": "180s"}), moment_at(2)) == []
    assert alerts.states()["waits"]["state"] == "pending"


def test_a_kept_drop_keeps_its_reference():
    alerts = started(DROP, value=0.5, minutes=5)
    alerts.reload(config_of(LOW, DROP), moment_at(5))
    notice = alerts.step(Figures(0.3, **{"recall@20": 0.9}), moment_at(6))[0]
    assert (notice.rule, notice.state, notice.record["reference"]) == ("drop", "firing", 0.5)


def test_a_kept_rule_keeps_its_counts():
    alerts = started(LOW, value=0.4, minutes=3)
    before = alerts.states()["low"]
    alerts.reload(config_of(LOW, DROP), moment_at(3))
    assert alerts.states()["low"] == before
    assert before["times_fired"] == 1


def test_rules_are_stepped_in_the_order_of_the_new_settings():
    other = {**LOW, "name": "other"}
    alerts = started(LOW, other)
    alerts.reload(config_of(other, LOW), moment_at(0))
    notices = alerts.step(Figures(0.4), moment_at(1))
    assert [notice.rule for notice in notices] == ["other", "low"]
    assert list(alerts.states()) == ["other", "low"]


# What is new or changed


@pytest.mark.parametrize(
    "change",
    [
        {"threshold": 0.45},
        {"for": "4m"},
        {"keep_firing_for": "1m"},
        {"min_samples": 50},
        {"over": "events"},
        {"react": "boost"},
        {"severity": "page"},
        {"description": "now with a word on it"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_rule_that_changes_in_anything_is_withdrawn_and_starts_afresh(change):
    alerts = started(WAITS, value=0.4, minutes=2)
    notices = alerts.reload(config_of({**WAITS, **change}), moment_at(2))
    assert told(notices) == [("waits", "inactive", True)]
    fresh = started({**WAITS, **change}).states()["waits"]
    assert alerts.states()["waits"] == fresh
    again = alerts.step(Figures(0.4), moment_at(3))
    assert told(again) == [("waits", "pending", False)]
    assert again[0].since_ms == START_MS + 3 * MINUTE_MS


def test_a_changed_drop_measures_its_reference_anew():
    alerts = started(DROP, value=0.5, minutes=5)
    alerts.reload(config_of({**DROP, "share": 0.2}), moment_at(5))
    assert alerts.step(Figures(0.3), moment_at(6)) == []
    assert alerts.states()["drop"]["steps_held"] == 1


def test_a_new_rule_is_first_judged_at_the_next_step():
    alerts = started(value=0.4, minutes=2)
    assert alerts.reload(config_of(LOW), moment_at(2.5)) == []
    assert alerts.step(Figures(0.4), moment_at(2.9)) == []
    assert told(alerts.step(Figures(0.4), moment_at(3))) == [("low", "firing", False)]


def test_the_settings_in_force_are_the_ones_last_put_in_force():
    alerts = started(LOW)
    config = config_of(DROP, evaluate_every="10s", reactions={"boost": {"at_most": "1h"}})
    alerts.reload(config, moment_at(1))
    assert alerts.config == config
    assert list(alerts.states()) == ["drop"]


# What is withdrawn


def test_a_withdrawn_rule_is_told_in_full_but_for_its_figures():
    rule = {**LOW, "react": "boost", "severity": "page", "description": "users see stale lists"}
    alerts = started(
        {**rule, "annotations": {"summary": "{rule} at {value:.1%}"}}, value=0.4, minutes=3
    )
    notice = alerts.reload(config_of(), replace(moment_at(3.7), is_backlog=True))[0]
    assert (notice.rule, notice.state) == ("low", "resolved")
    assert (notice.ts_ms, notice.since_ms) == (START_MS + 3 * MINUTE_MS, START_MS + MINUTE_MS)
    assert notice.record == {
        "seq": 222,
        "name": "alert:low:resolved",
        "rule": "low",
        "kind": "below",
        "state": "resolved",
        "severity": "page",
        "metric": "recall@20",
        "over": "time",
        "policy": None,
        "ts": START_MS + 3 * MINUTE_MS,
        "since": START_MS + MINUTE_MS,
        "renewed": False,
        "events": 370,
        "catching_up": True,
        "description": "users see stale lists",
        "labels": {
            "alertname": "low",
            "severity": "page",
            "kind": "below",
            "metric": "recall@20",
            "over": "time",
        },
        "annotations": {"summary": "low at -"},
        "runbook": None,
        "muted_by": [],
        "change": "state",
        "react": "boost",
        "anchor": "a-1",
        "end": {"f": {"line": 222}},
        "value": None,
        "threshold": None,
        "clear": None,
        "reference": None,
        "samples": None,
        "withdrawn": True,
    }


def test_only_rules_that_were_pending_or_fired_are_told_and_once():
    quiet = {**LOW, "name": "quiet", "threshold": 0.1}
    alerts = started(WAITS, quiet, LOW, value=0.4, minutes=1)
    notices = alerts.reload(config_of(), moment_at(1))
    assert told(notices) == [("waits", "inactive", True), ("low", "resolved", True)]
    assert alerts.reload(config_of(), moment_at(1)) == []
    assert alerts.step(Figures(0.9), moment_at(2)) == []
    assert alerts.firing == []


def test_the_same_settings_again_change_nothing():
    alerts = started(WAITS, LOW, DROP, value=0.4, minutes=2)
    before = copy.deepcopy(alerts.state_dict())
    assert alerts.reload(config_of(WAITS, LOW, DROP), moment_at(2)) == []
    assert_same_bits(alerts.state_dict(), before)


@pytest.mark.parametrize("value", [0.4, 0.9])
def test_a_step_and_a_reload_of_one_batch_never_tell_a_state_of_a_rule_twice(value):
    alerts = started(LOW, value=1.3 - value, minutes=1)
    changed = {**LOW, "severity": "info"}
    notices = alerts.step(Figures(value), moment_at(2))
    notices += alerts.reload(config_of(changed), moment_at(2))
    notices += alerts.reload(config_of(LOW), moment_at(2))
    keys = [(notice.record["seq"], notice.record["name"]) for notice in notices]
    assert len(notices) == len(set(keys)) == {0.4: 2, 0.9: 1}[value]


def test_rules_may_be_put_in_force_before_anything_told_the_time():
    alerts = Alerts(config_of(LOW))
    assert alerts.reload(config_of(WAITS), Moment(0, 0, 0, {})) == []
    alerts.step(Figures(0.4), moment_at(0))
    assert told(alerts.step(Figures(0.4), moment_at(1))) == [("waits", "pending", False)]


# The grid


def test_a_finer_grid_goes_on_at_the_last_multiple_that_was_passed():
    alerts = started(LOW, value=0.4, minutes=1)
    alerts.reload(config_of(LOW, evaluate_every="10s"), moment_at(1.6))
    assert alerts.step(Figures(0.9), moment_at(1.65))[0].ts_ms == START_MS + 90_000
    assert alerts.step(Figures(0.4), moment_at(1.66)) == []
    assert alerts.step(Figures(0.4), moment_at(1.67))[0].ts_ms == START_MS + 100_000


def test_a_coarser_grid_never_goes_back():
    alerts = started(LOW, value=0.9, minutes=7)
    alerts.reload(config_of(LOW, evaluate_every="5m"), moment_at(7))
    assert [alerts.step(Figures(0.4), moment_at(minute)) for minute in (8, 9)] == [[], []]
    assert alerts.step(Figures(0.4), moment_at(10))[0].ts_ms == START_MS + 10 * MINUTE_MS


@given(seed=st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=50)
def test_no_step_is_repeated_or_goes_back_whatever_the_grids(seed):
    rng, minute = np.random.default_rng(seed), 0.0
    # Good and bad in turn: each step is told, and tells its time.
    alerts, told_ms, every_ms = started(LOW), [START_MS], MINUTE_MS
    for _ in range(40):
        minute += float(rng.choice([0.0, 0.1, 0.5, 2.0]))
        value = 0.9 if alerts.firing else 0.4
        for notice in alerts.step(Figures(value), moment_at(minute)):
            assert notice.ts_ms > told_ms[-1]
            assert notice.ts_ms % every_ms == 0
            assert notice.ts_ms <= moment_at(minute).watermark_ms < notice.ts_ms + every_ms
            told_ms.append(notice.ts_ms)
        if rng.random() < 0.3:
            every_ms = int(rng.choice([1_000, 7_000, 60_000, 300_000]))
            config = config_of(LOW, evaluate_every=every_ms)
            assert alerts.reload(config, moment_at(minute)) == []


# Against single rules, each in force from beginning to end; and against a run that is cut.

POOL = (
    {"name": "a", "kind": "below", "metric": "recall@20", "threshold": 0.5},
    {"name": "a", "kind": "below", "metric": "recall@20", "threshold": 0.5, "for": "3s"},
    {"name": "a", "kind": "above", "metric": "log_loss", "threshold": 0.5},
    {"name": "b", "kind": "drop", "metric": "ctr", "share": 0.25, "reference": "6s"},
    {"name": "b", "kind": "drop", "metric": "ctr", "share": 0.25, "reference": "60 events"},
    {"name": "c", "kind": "below", "metric": "ctr", "threshold": 0.5, "keep_firing_for": "4s"},
    {"name": "c", "kind": "below", "metric": "ctr", "threshold": 0.5, "for": "20 events"},
)


@dataclass(frozen=True)
class Step:
    """A batch: where the stream stands after it, what is read, and what is put in force then."""

    moment: Moment
    figures: Figures
    config: AlertsConfig | None


def random_config(rng: np.random.Generator, every_ms: int) -> AlertsConfig:
    chosen: dict[str, dict] = {}
    for number in rng.permutation(len(POOL))[: rng.integers(0, 5)]:
        chosen[POOL[number]["name"]] = POOL[number]
    return config_of(*chosen.values(), evaluate_every=every_ms)


def random_steps(seed: int, n_steps: int, grids_ms: tuple[int, ...]) -> list[Step]:
    rng = np.random.default_rng(seed)
    ts_ms, n_events, eighths = START_MS, 0, 6
    steps = []
    for seq in range(n_steps):
        ts_ms += int(rng.choice([0, 1_000, 1_000, 2_000, 9_000], p=[0.1, 0.4, 0.3, 0.15, 0.05]))
        n_events += int(rng.choice([0, 5, 10, 30]))
        if rng.random() < 0.2:
            eighths = int(rng.choice([1, 2, 4, 6, 8]))
        value = math.nan if rng.random() < 0.1 else eighths / 8
        moment = Moment(seq, ts_ms, n_events, {}, None, bool(rng.random() < 0.3))
        is_reloaded = seq == 0 or rng.random() < 0.2
        config = random_config(rng, int(rng.choice(grids_ms))) if is_reloaded else None
        steps.append(Step(moment, Figures(value, log_loss=1.0 - value), config))
    return steps


def taken(alerts: Alerts, step: Step) -> list[Notice]:
    """One batch, as the loop takes it."""
    notices = alerts.step(step.figures, step.moment)
    if step.config is not None:
        notices += alerts.reload(step.config, step.moment)
    return notices


@given(seed=st.integers(0, 2**32 - 1), n_steps=st.integers(1, 60))
@settings(deadline=None, max_examples=100)
def test_each_rule_does_what_it_would_do_alone_from_when_it_was_put_in_force(seed, n_steps):
    alerts = Alerts(config_of(evaluate_every=1_000))
    alone: dict[Rule, Alerts] = {}
    for step in random_steps(seed, n_steps, grids_ms=(1_000,)):
        notices = taken(alerts, step)
        expected = [
            notice for single in alone.values() for notice in single.step(step.figures, step.moment)
        ]
        if step.config is not None:
            gone = [rule for rule in alone if rule not in step.config.rules]
            ended = [alone[rule].states()[rule.name]["state"] for rule in gone]
            alone = {
                rule: alone.get(rule) or alone_from(step.moment, rule) for rule in step.config.rules
            }
            withdrawn = [
                (rule.name, {"pending": "inactive", "firing": "resolved"}[state], True)
                for rule, state in zip(gone, ended, strict=True)
                if state != "inactive"
            ]
        else:
            withdrawn = []
        assert_same_bits(notices[: len(expected)], expected)
        assert told(notices[len(expected) :]) == withdrawn
        assert alerts.states() == {
            rule.name: single.states()[rule.name] for rule, single in alone.items()
        }


def alone_from(moment: Moment, rule: Rule) -> Alerts:
    single = Alerts(AlertsConfig(rules=(rule,), evaluate_every=1_000))
    single.step(Figures(None), moment)  # only sets the clock
    return single


@given(seed=st.integers(0, 2**32 - 1), cut=st.integers(0, 30))
@settings(deadline=None, max_examples=60)
def test_a_run_with_reloads_that_is_resumed_goes_on_like_an_unbroken_one(seed, cut):
    steps = random_steps(seed, 30, grids_ms=(1_000, 3_000, 10_000))
    first = config_of(*POOL[::3], evaluate_every=2_000)
    unbroken, stopped, resumed = Alerts(first), Alerts(first), Alerts(first)
    for step in steps[:cut]:
        taken(unbroken, step)
        taken(stopped, step)
    resumed.load_state_dict(copy.deepcopy(stopped.state_dict()))
    assert resumed.config == stopped.config
    for step in steps[cut:]:
        assert_same_bits(taken(resumed, step), taken(unbroken, step))
        assert_same_bits(resumed.state_dict(), unbroken.state_dict())


class TestReloadedAlertsState(StatefulContract):
    """Other rules at every second step; each of them kept once."""

    @staticmethod
    def make() -> Alerts:
        return Alerts(config_of(WAITS, DROP))

    @staticmethod
    def drive(alerts: Alerts, step: int) -> list[list[Notice]]:
        figures = Figures([0.6, 0.3, 0.4][step % 3])
        notices = [
            alerts.step(figures, moment_at(minute)) for minute in range(step * 3, step * 3 + 3)
        ]
        if step % 2:
            rules = ((LOW, DROP), (WAITS, LOW), (DROP,))[step // 2]
            config = config_of(*rules, evaluate_every=f"{10 * step}s")
            notices.append(alerts.reload(config, moment_at(step * 3 + 2)))
        return notices
