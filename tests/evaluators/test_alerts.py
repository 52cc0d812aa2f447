import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluators.alert_rules import AlertsConfig, Rule
from evaluators.alerts import Alerts
from stream.errors import CheckpointError
from stream.notices import Moment, Notice
from stream.values import Reading
from tests.conformance.stateful_contract import StatefulContract, assert_same_bits

MINUTE_MS = 60_000
START_MS = 28_000_000 * MINUTE_MS
BELOW = {"name": "low", "kind": "below", "metric": "recall@20", "threshold": 0.5}
ABOVE = {"name": "high", "kind": "above", "metric": "log_loss", "threshold": 0.5}
DROP = {"name": "drop", "kind": "drop", "metric": "ctr", "share": 0.25, "reference": "5m"}


class Figures:
    """One figure, the same whatever is asked; it remembers what was asked."""

    def __init__(self, value: float | None, samples: float = 1000.0) -> None:
        self._reading = None if value is None else Reading(value, samples)
        self.asked: list[tuple[str, str, str | None]] = []

    def reading(self, metric: str, over: str, policy: str | None = None) -> Reading | None:
        self.asked.append((metric, over, policy))
        return self._reading


def alerts_of(*rules: dict, **keys) -> Alerts:
    return Alerts(AlertsConfig.model_validate({"rules": list(rules), **keys}))


def moment_at(minute: float, n_events: int | None = None) -> Moment:
    seq = round(minute * 60)
    n_events = round(minute * 100) if n_events is None else n_events
    return Moment(seq, START_MS + round(minute * MINUTE_MS), n_events, {"f": {"line": seq}}, "a-1")


def told(alerts: Alerts, values: list[float | None]) -> list[str]:
    """The states told when a value is read each minute; the clock is set a minute before."""
    alerts.step(Figures(None), moment_at(0))
    states = []
    for minute, value in enumerate(values, start=1):
        notices = alerts.step(Figures(value), moment_at(minute))
        states.append(notices[0].state if notices else "")
    return states


# The life cycle as a table: what is read each minute, and what is told of it.


@pytest.mark.parametrize(
    ("keys", "values", "expected"),
    [
        pytest.param(
            {},
            [0.6, 0.4, 0.4, 0.6, 0.6],
            ["", "firing", "", "resolved", ""],
            id="without-for-it-fires-at-once",
        ),
        pytest.param(
            {"for": "2m"},
            [0.4, 0.4, 0.4, 0.4, 0.6],
            ["pending", "", "firing", "", "resolved"],
            id="for-counts-from-the-first-true-step",
        ),
        pytest.param(
            {"for": "2m"},
            [0.4, 0.4, 0.6, 0.4, 0.4, 0.4],
            ["pending", "", "inactive", "pending", "", "firing"],
            id="a-false-step-while-pending-starts-over",
        ),
        pytest.param(
            {"for": "200 events"},
            [0.4, 0.4, 0.4, 0.6],
            ["pending", "", "firing", "resolved"],
            id="for-in-events",
        ),
        pytest.param(
            {"keep_firing_for": "2m"},
            [0.4, 0.6, 0.6, 0.6, 0.6],
            ["firing", "", "", "resolved", ""],
            id="keep-counts-from-the-first-false-step",
        ),
        pytest.param(
            {"keep_firing_for": "2m"},
            [0.4, 0.6, 0.6, 0.4, 0.6, 0.6, 0.6],
            ["firing", "", "", "", "", "", "resolved"],
            id="a-true-step-while-kept-starts-over",
        ),
        pytest.param(
            {"keep_firing_for": "100 events"},
            [0.4, 0.6, 0.6],
            ["firing", "", "resolved"],
            id="keep-in-events",
        ),
        pytest.param(
            {"clear": 0.7},
            [0.4, 0.6, 0.69, 0.7, 0.6],
            ["firing", "", "", "resolved", ""],
            id="it-resolves-only-at-the-clear-level",
        ),
        pytest.param(
            {"for": "1m", "clear": 0.7},
            [0.4, 0.6, 0.4, 0.4, 0.6],
            ["pending", "inactive", "pending", "firing", ""],
            id="the-clear-level-means-nothing-while-pending",
        ),
        pytest.param(
            {},
            [0.5, 0.4999],
            ["", "firing"],
            id="at-the-threshold-is-not-below-it",
        ),
        pytest.param(
            {"for": "2m"},
            [0.4, None, None, 0.4],
            ["pending", "", "", "firing"],
            id="a-gap-holds-the-state-and-time-goes-on",
        ),
        pytest.param(
            {"keep_firing_for": "2m"},
            [0.4, 0.6, None, 0.6],
            ["firing", "", "", "resolved"],
            id="a-gap-while-kept-does-not-stop-the-clock",
        ),
        pytest.param(
            {},
            [0.4, None, math.nan, math.inf, -math.inf, 0.6],
            ["firing", "", "", "", "", "resolved"],
            id="what-is-not-finite-is-absent",
        ),
        pytest.param(
            {},
            [0.4, 0.6, 0.4, 0.6],
            ["firing", "resolved", "firing", "resolved"],
            id="a-resolved-rule-fires-again",
        ),
    ],
)
def test_a_rule_below_runs_through_its_life_cycle(keys, values, expected):
    assert told(alerts_of({**BELOW, **keys}), values) == expected


def test_a_rule_above_is_the_mirror_of_one_below():
    alerts = alerts_of({**ABOVE, "clear": 0.3})
    assert told(alerts, [0.5, 0.51, 0.31, 0.3]) == ["", "firing", "", "resolved"]


def test_too_few_samples_hold_the_state():
    alerts = alerts_of({**BELOW, "min_samples": 500})
    alerts.step(Figures(0.4), moment_at(0))
    assert alerts.step(Figures(0.4, samples=499), moment_at(1)) == []
    assert alerts.step(Figures(0.4, samples=500), moment_at(2))[0].state == "firing"
    assert alerts.step(Figures(0.9, samples=499), moment_at(3)) == []
    assert alerts.firing == ["low"]


def test_a_rule_reads_its_own_figure():
    figures = Figures(0.4)
    alerts = alerts_of({**ABOVE, "over": "events", "policy": "main"}, BELOW)
    alerts.step(figures, moment_at(0))
    alerts.step(figures, moment_at(1))
    assert figures.asked == [("log_loss", "events", "main"), ("recall@20", "time", None)]


# The grid


def test_rules_step_where_the_watermark_passes_the_grid():
    figures, alerts = Figures(None), alerts_of(BELOW)
    steps = []
    for minute in (0.5, 0.9, 1.0, 1.1, 1.9, 1.99, 2.5, 2.5):
        before = len(figures.asked)
        alerts.step(figures, moment_at(minute))
        steps.append(len(figures.asked) - before)
    assert steps == [0, 0, 1, 0, 0, 0, 1, 0]


def test_a_batch_that_passes_several_points_is_one_step_at_the_last():
    alerts = alerts_of({**BELOW, "for": "2m"})
    alerts.step(Figures(0.4), moment_at(0.5))
    pending = alerts.step(Figures(0.4), moment_at(7.4, n_events=900))
    assert [(notice.state, notice.ts_ms) for notice in pending] == [
        ("pending", START_MS + 7 * MINUTE_MS)
    ]
    assert pending[0].record["events"] == 900


def test_the_grid_is_as_fine_as_it_is_set():
    alerts = alerts_of(BELOW, evaluate_every="10s")
    alerts.step(Figures(0.4), moment_at(0))
    assert alerts.step(Figures(0.4), moment_at(0.4))[0].ts_ms == START_MS + 20_000


def test_a_drop_that_resolves_because_the_level_became_normal_says_so():
    """Fired for as long as its reference is long, a drop is no drop any more."""
    alerts = alerts_of({**DROP, "reference": "3m", "for": "0m"})
    values = [0.5] * 5 + [0.25] * 8
    records = [
        notice.record
        for minute, value in enumerate([None, *values])
        for notice in alerts.step(Figures(value), moment_at(minute))
    ]
    assert [(record["state"], record["renewed"]) for record in records] == [
        ("firing", False),
        ("resolved", True),
    ]
    alerts.step(Figures(0.05), moment_at(20))
    again = alerts.step(Figures(0.05), moment_at(21)) or alerts.step(Figures(0.05), moment_at(22))
    assert all(not notice.record["renewed"] for notice in again)


# What is told


def test_a_notice_tells_the_whole_story():
    rule = {**BELOW, "for": "1m", "clear": 0.7, "react": "boost", "severity": "page"}
    texts = {"description": "users see stale lists", "runbook": "docs/low.md"}
    summary = "at {value:.1%}, {kind} {threshold} for {lasted}"
    told = {**texts, "labels": {"team": "shop"}, "annotations": {"summary": summary}}
    alerts = alerts_of({**rule, "over": "events", **told})
    for minute in (0, 1):
        alerts.step(Figures(0.25), moment_at(minute))
    notice = alerts.step(Figures(0.125, samples=700), moment_at(2.5))[0]
    assert (notice.rule, notice.state) == ("low", "firing")
    assert (notice.ts_ms, notice.since_ms) == (START_MS + 2 * MINUTE_MS, START_MS + MINUTE_MS)
    assert notice.record == {
        "seq": 150,
        "name": "alert:low:firing",
        "rule": "low",
        "kind": "below",
        "state": "firing",
        "severity": "page",
        "metric": "recall@20",
        "over": "events",
        "policy": None,
        "ts": START_MS + 2 * MINUTE_MS,
        "since": START_MS + MINUTE_MS,
        "renewed": False,
        "events": 250,
        "catching_up": False,
        "description": "users see stale lists",
        "labels": {
            "alertname": "low",
            "severity": "page",
            "kind": "below",
            "metric": "recall@20",
            "over": "events",
            "team": "shop",
        },
        "annotations": {"summary": "at 12.5%, below 0.5 for 1m"},
        "runbook": "docs/low.md",
        "muted_by": [],
        "change": "state",
        "react": "boost",
        "anchor": "a-1",
        "end": {"f": {"line": 150}},
        "value": 0.125,
        "threshold": 0.5,
        "clear": 0.7,
        "reference": None,
        "samples": 700.0,
    }


def test_a_notice_says_that_it_comes_while_catching_up_a_backlog():
    alerts = alerts_of(BELOW)
    alerts.step(Figures(None), moment_at(0))
    moments = [replace(moment_at(minute), is_backlog=minute == 1) for minute in (1, 2)]
    values = (0.4, 0.6)
    notices = [
        alerts.step(Figures(value), moment)[0]
        for value, moment in zip(values, moments, strict=True)
    ]
    assert [notice.record["catching_up"] for notice in notices] == [True, False]


def test_the_end_of_an_episode_tells_when_it_began():
    alerts = alerts_of(BELOW)
    alerts.step(Figures(None), moment_at(0))
    alerts.step(Figures(0.4), moment_at(1))
    alerts.step(Figures(0.4), moment_at(2))
    assert alerts.step(Figures(0.6), moment_at(3))[0].since_ms == START_MS + MINUTE_MS


def test_rules_are_told_in_their_order_and_keyed_apart():
    alerts = alerts_of(BELOW, {**BELOW, "name": "lower"}, ABOVE)
    alerts.step(Figures(0.4), moment_at(0))
    records = [notice.record for notice in alerts.step(Figures(0.4), moment_at(1))]
    assert [record["rule"] for record in records] == ["low", "lower"]
    assert len({(record["seq"], record["name"]) for record in records}) == 2
    assert alerts.firing == ["low", "lower"]


def test_states_sum_up_what_a_rule_went_through():
    alerts = alerts_of(BELOW)
    told(alerts, [0.4, 0.4, 0.6, 0.6, 0.4, 0.4, 0.4])
    assert alerts.states() == {
        "low": {
            "state": "firing",
            "times_fired": 2,
            "first_firing_ts": START_MS + MINUTE_MS,
            "last_firing_ts": START_MS + 5 * MINUTE_MS,
            "last_resolved_ts": START_MS + 3 * MINUTE_MS,
            "firing_ms": 4 * MINUTE_MS,
            "muted_by": [],
            "steps_judged": 7,
            "steps_held": 0,
        }
    }


def test_a_rule_that_never_fired_has_no_times():
    assert alerts_of(BELOW).states()["low"] == {
        "state": "inactive",
        "times_fired": 0,
        "first_firing_ts": None,
        "last_firing_ts": None,
        "last_resolved_ts": None,
        "firing_ms": 0,
        "muted_by": [],
        "steps_judged": 0,
        "steps_held": 0,
    }


def test_steps_without_a_figure_or_with_too_few_samples_are_held_and_counted():
    alerts = alerts_of({**BELOW, "min_samples": 50})
    told(alerts, [0.6, None, 0.6, math.nan])
    counts = alerts.states()["low"]
    assert (counts["steps_judged"], counts["steps_held"]) == (2, 2)


# Drops


def test_a_drop_is_measured_from_the_mean_of_the_readings_before():
    alerts = alerts_of(DROP)
    alerts.step(Figures(None), moment_at(0))
    for minute, value in enumerate([0.25, 0.5, 0.75, 0.5, 0.5], start=1):
        alerts.step(Figures(value), moment_at(minute))
    notice = alerts.step(Figures(0.374), moment_at(6))[0]
    assert (notice.record["reference"], notice.record["threshold"]) == (0.5, 0.375)


@pytest.mark.parametrize(
    ("keys", "values", "expected"),
    [
        pytest.param(
            {},
            [0.5, 0.1, 0.5, 0.5, 0.5, 0.1],
            ["", "", "", "", "", "firing"],
            id="nothing-is-judged-before-the-readings-span-the-reference",
        ),
        pytest.param(
            {},
            [0.5] * 5 + [0.374, 0.376],
            [""] * 5 + ["firing", "resolved"],
            id="it-is-true-below-the-share",
        ),
        pytest.param(
            {},
            [0.5] * 5 + [0.375],
            [""] * 6,
            id="at-the-share-is-not-below-it",
        ),
        pytest.param(
            {"clear_share": 0.0},
            [0.5] * 5 + [0.3, 0.49, 0.5],
            [""] * 5 + ["firing", "", "resolved"],
            id="it-resolves-at-the-clear-share",
        ),
        pytest.param(
            {"for": "2m"},
            [0.5] * 5 + [0.3, 0.3, 0.3, 0.374, 0.376],
            [""] * 5 + ["pending", "", "firing", "", "resolved"],
            id="what-is-read-while-pending-or-firing-is-no-normal",
        ),
        pytest.param(
            {},
            [0.5] * 5 + [0.3] * 4 + [0.5, 0.374],
            [""] * 5 + ["firing", "", "", "", "resolved", "firing"],
            id="what-was-read-while-it-fired-is-left-out-for-good",
        ),
        pytest.param(
            {},
            [0.5] * 5 + [0.25] * 5 + [0.25, 0.25, 0.1],
            [""] * 5 + ["firing", "", "", "", "", "resolved", "", "firing"],
            id="a-level-that-lasts-as-long-as-the-reference-becomes-the-normal",
        ),
        pytest.param(
            {},
            [0.5] * 5 + [0.25] * 5 + [0.1] * 6,
            [""] * 5 + ["firing"] + [""] * 8 + ["resolved", ""],
            id="a-figure-that-falls-on-fires-until-the-new-normal-has-met-it",
        ),
    ],
)
def test_a_drop_runs_through_its_life_cycle(keys, values, expected):
    assert told(alerts_of({**DROP, **keys}), values) == expected


def test_a_reference_may_be_measured_in_events():
    alerts = alerts_of({**DROP, "reference": "500 events"})
    assert told(alerts, [0.5] * 5 + [0.3]) == [""] * 5 + ["firing"]


# An independent model: every state found anew from the whole history, episode by episode.


@dataclass(frozen=True)
class Known:
    """A step that was read, and where it stands in the history."""

    index: int
    ts: int
    n_events: int
    value: float


History = list[tuple[int, int, float | None, float]]
Verdict = Callable[[int, bool], bool | None]


def model_states(rule: Rule, history: History) -> list[str]:
    """The state after each step of (ts, n_events, value, samples)."""
    known = [
        Known(index, ts, n_events, value)
        for index, (ts, n_events, value, samples) in enumerate(history)
        if value is not None and math.isfinite(value) and samples >= rule.min_samples
    ]
    states: list[str] = []
    normal: list[int] = []  # what the reference of a drop is taken from
    while len(states) < len(known):
        begin = len(states)
        if not model_verdict(rule, known, normal, begin)(begin, False):
            states.append("inactive")
            normal.append(begin)
            continue
        states += model_episode(rule, known, normal, begin)
    return held(states, known, len(history))


def model_verdict(rule: Rule, known: list[Known], normal: list[int], begin: int) -> Verdict:
    """Says of a step in the episode from `begin` on whether its value is bad."""

    def verdict(step: int, is_firing: bool, reference: float | None = None) -> bool | None:
        value = known[step].value
        if rule.kind == "drop":
            if reference is None:
                reference = model_mean(rule, known, normal, begin)
            if reference is None:
                return None
            share = rule.share if not is_firing or rule.clear_share is None else rule.clear_share
            return value < (1.0 - share) * reference
        level = rule.threshold if not is_firing or rule.clear is None else rule.clear
        return value < level if rule.kind == "below" else value > level

    return verdict


def model_episode(rule: Rule, known: list[Known], normal: list[int], begin: int) -> list[str]:
    """States of the steps of one episode, the one that ends it included; moves `normal`."""
    verdict = model_verdict(rule, known, list(normal), begin)
    bad_until = next(
        (step for step in range(begin, len(known)) if not verdict(step, False)), len(known)
    )
    fired = next(
        (step for step in range(begin, bad_until) if passed(rule.for_, known, begin, step)), None
    )
    if fired is None:
        ends = range(bad_until, len(known))[:1]  # none if the history ends before
        normal += ends
        return ["pending"] * (bad_until - begin) + ["inactive"] * len(ends)
    renewed: int | None = None
    good_since: int | None = None
    for step in range(fired + 1, len(known)):
        since_begin = list(range(begin, step))
        mean = model_mean(rule, known, since_begin, step)
        if renewed is None and mean is not None and passed(rule.reference, known, fired, step):
            renewed = step
        is_bad = verdict(step, True) if renewed is None else None
        if renewed is not None and mean is not None:
            is_bad = verdict(step, True, mean)
        if is_bad is None:
            continue
        good_since = None if is_bad else step if good_since is None else good_since
        if good_since is not None and passed(rule.keep_firing_for, known, good_since, step):
            normal[:] = [*since_begin, step] if renewed is not None else [*normal, step]
            pending, firing = fired - begin, step - fired
            return ["pending"] * pending + ["firing"] * firing + ["inactive"]
    return ["pending"] * (fired - begin) + ["firing"] * (len(known) - fired)


def model_mean(rule: Rule, known: list[Known], steps: list[int], at_step: int) -> float | None:
    """Mean of the readings of these steps over the reference before a step, by buckets."""
    if rule.reference is None:
        return None
    size = rule.reference.size
    width = math.ceil(size / 127)
    n_buckets = math.ceil(size / width) + 1
    places = [where(rule.reference, known[step]) for step in steps]
    now = where(rule.reference, known[at_step])
    starts = places[:1] + [
        place
        for earlier, place in pairwise(places)
        if place // width - earlier // width >= n_buckets
    ]
    recent = [
        known[step].value
        for step, place in zip(steps, places, strict=True)
        if now // width - place // width < n_buckets
    ]
    if not recent or now - starts[-1] < size:
        return None
    return sum(recent) / len(recent)


def where(span, step: Known) -> int:
    return step.n_events if span.time_ms is None else step.ts


def passed(span, known: list[Known], since: int, now: int) -> bool:
    return span is not None and where(span, known[now]) - where(span, known[since]) >= span.size


def held(states: list[str], known: list[Known], n_steps: int) -> list[str]:
    """The state after every step: the last one reached, where a step was skipped."""
    at = {step.index: state for step, state in zip(known, states, strict=True)}
    spread: list[str] = []
    for index in range(n_steps):
        spread.append(at.get(index, spread[-1] if spread else "inactive"))
    return spread


def told_by(states: list[str]) -> list[str]:
    """What is told where one state follows another."""
    return [
        "" if state == before else "resolved" if before == "firing" else state
        for before, state in zip(["inactive", *states], states, strict=False)
    ]


SPANS = st.sampled_from(["0s", "2s", "5s", "20 events", "45 events"])
LEVELS = st.sampled_from([0.25, 0.375, 0.5, 0.625, 0.75])
REFERENCES = st.sampled_from(["3s", "6s", "30 events", "60 events", "400 events"])
SEEDS = st.integers(0, 2**32 - 1)


@st.composite
def rules(draw, kind: str) -> dict:
    rule = {"name": "any", "metric": "ctr", "kind": kind, "min_samples": 100}
    rule |= {"for": draw(SPANS), "keep_firing_for": draw(SPANS)}
    has_clear = draw(st.booleans())
    if kind == "drop":
        clear = {"clear_share": draw(st.sampled_from([0.0, 0.125]))} if has_clear else {}
        share = draw(st.sampled_from([0.25, 0.5]))
        return rule | {"share": share, "reference": draw(REFERENCES)} | clear
    rule["threshold"] = draw(LEVELS)
    if has_clear:
        rule["clear"] = rule["threshold"] + (0.125 if kind == "below" else -0.125)
    return rule


def random_history(seed: int, n_steps: int) -> History:
    """Stretches of a level with some noise, and steps without a usable reading among them."""
    rng = np.random.default_rng(seed)
    ts, n_events, eighths = START_MS, 0, 6
    history: History = []
    for _ in range(n_steps):
        ts += int(rng.choice([1000, 1000, 1000, 2000, 9000], p=[0.3, 0.3, 0.25, 0.1, 0.05]))
        n_events += int(rng.choice([0, 5, 10, 30]))
        if rng.random() < 0.12:
            eighths = int(rng.choice([1, 2, 4, 6, 8]))
        # Eighths add up exactly, in any order.
        value = float(eighths + rng.choice([-1, 0, 0, 0, 1])) / 8
        odd = float(rng.choice([math.nan, math.inf])) if rng.random() < 0.5 else None
        is_read = rng.random() > 0.1
        history.append(
            (ts, n_events, value if is_read else odd, float(rng.choice([99] + [100] * 9)))
        )
    return history


@pytest.mark.parametrize("kind", ["below", "above", "drop"])
@given(data=st.data(), seed=SEEDS, n_steps=st.integers(1, 80))
@settings(deadline=None, max_examples=150)
def test_a_rule_does_what_an_independent_model_says(kind, data, seed, n_steps):
    rule, history = data.draw(rules(kind)), random_history(seed, n_steps)
    expected = told_by(model_states(Rule.model_validate(rule), history))
    assert run(alerts_of(rule, evaluate_every="1s"), history) == expected


@pytest.mark.parametrize("kind", ["below", "above", "drop"])
@given(data=st.data(), seed=SEEDS, cut=st.integers(0, 40))
@settings(deadline=None, max_examples=30)
def test_a_resumed_engine_goes_on_like_an_unbroken_one(kind, data, seed, cut):
    rule, history = data.draw(rules(kind)), random_history(seed, 40)
    unbroken, stopped, resumed = (alerts_of(rule, evaluate_every="1s") for _ in range(3))
    run(unbroken, history[:cut])
    run(stopped, history[:cut])
    resumed.load_state_dict(copy.deepcopy(stopped.state_dict()))
    for seq in range(cut, len(history)):
        assert_same_bits(one_step(resumed, history, seq), one_step(unbroken, history, seq))
        assert_same_bits(resumed.state_dict(), unbroken.state_dict())


def run(alerts: Alerts, history: History) -> list[str]:
    alerts.step(Figures(None), Moment(-1, START_MS, 0, {}))
    notices = [one_step(alerts, history, seq) for seq in range(len(history))]
    assert all(len(step) <= 1 for step in notices)
    return [step[0].state if step else "" for step in notices]


def one_step(alerts: Alerts, history: History, seq: int) -> list[Notice]:
    ts, n_events, value, samples = history[seq]
    return alerts.step(Figures(value, samples), Moment(seq, ts, n_events, {}))


# State


class TestAlertsState(StatefulContract):
    @staticmethod
    def make() -> Alerts:
        return alerts_of(
            {**BELOW, "for": "2m", "keep_firing_for": "150 events"}, ABOVE, {**DROP, "for": "1m"}
        )

    @staticmethod
    def drive(alerts: Alerts, step: int) -> list[list[Notice]]:
        values = [0.75, 0.75, 0.5, 0.25, 0.25, 0.5, 0.75]
        return [
            alerts.step(Figures(values[minute % 7]), moment_at(minute))
            for minute in range(step * 3, step * 3 + 3)
        ]


def test_a_state_brings_its_own_rules_and_grid_back():
    writer = alerts_of({**BELOW, "threshold": 0.3}, DROP, evaluate_every="10s")
    reader = alerts_of(BELOW, ABOVE)
    reader.load_state_dict(copy.deepcopy(writer.state_dict()))
    assert reader.config == writer.config
    assert list(reader.states()) == ["low", "drop"]
    reader.step(Figures(None), moment_at(0))
    notice = reader.step(Figures(0.2), moment_at(0.4))[0]
    assert (notice.ts_ms, notice.record["threshold"]) == (START_MS + 20_000, 0.3)


def test_a_state_of_another_version_is_refused():
    state = alerts_of(BELOW).state_dict() | {"schema_version": 99}
    with pytest.raises(CheckpointError, match="version 99, expected 3"):
        alerts_of(BELOW).load_state_dict(state)
