"""Reactions while alert rules, and the bounds of what they may do, change."""

import copy
import math
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluators.alert_rules import AlertsConfig
from evaluators.alerts import Alerts
from stream.notices import Moment, Notice
from stream.reactor import Reactor
from stream.values import Bools, Command, Reading, Record, State
from tests.conformance.stateful_contract import assert_same_bits

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
START_MS = 470_000 * HOUR_MS
LOW = {"name": "low", "kind": "below", "metric": "recall@20", "threshold": 0.5}
LOSS = {"name": "loss", "kind": "above", "metric": "log_loss", "threshold": 0.5}


@dataclass
class Champion:
    """Learns as it is told to, and remembers each order."""

    factors: tuple[float, float] = (1.0, 1.0)
    is_frozen: bool = False
    weights: str = "its own"
    serves: str | None = None
    is_adjustable: bool = True
    orders: list[str] = field(default_factory=list)

    def adjust(self, replay_factor: float, learning_rate_factor: float) -> None:
        self.factors = (replay_factor, learning_rate_factor)
        self.orders.append(f"adjust {replay_factor:g} {learning_rate_factor:g}")

    def freeze(self, is_frozen: bool) -> None:
        self.is_frozen = is_frozen
        self.orders.append("freeze" if is_frozen else "thaw")

    def restore(self, state: State, is_same_V: Bools) -> None:
        self.weights = state["weights"]
        self.orders.append(f"restore {self.weights}")

    def serve(self, shadow: str | None) -> None:
        self.serves = shadow
        self.orders.append(f"serve {shadow}")


class HourlyAnchors:
    """An anchor at the beginning of every hour."""

    def before(self, ts_ms: int, older_than: str | None = None) -> str | None:
        hour = (ts_ms - START_MS) // HOUR_MS
        if older_than is not None:
            hour = min(hour, int(older_than.removeprefix("hour-")) - 1)
        return f"hour-{hour}" if hour >= -2 else None

    def champion_state(self, name: str) -> tuple[State, Bools]:
        return {"weights": name}, np.array([True])


class Figures:
    """One value for every figure; nan is none."""

    def __init__(self, value: float) -> None:
        self._value = value

    def reading(self, metric: str, over: str, policy: str | None = None) -> Reading | None:
        value = 1.0 - self._value if metric == "log_loss" else self._value
        return None if math.isnan(value) else Reading(value, 1000.0)

    def standings(self, figure: str, over: str) -> dict[str, Reading]:
        if math.isnan(self._value):
            return {}
        return {"champion": Reading(self._value, 1000.0), "shadow": Reading(0.6, 1000.0)}


class Loop:
    """What the loop does about alerts after each batch."""

    def __init__(self, config: AlertsConfig) -> None:
        self.alerts = Alerts(config)
        self.reactor = Reactor(config.reactions, config.rules, "recall@20")
        self.champion = Champion()

    def take(
        self, figures: Figures, moment: Moment, commands: tuple[Command, ...] = ()
    ) -> tuple[list[Notice], list[Record]]:
        alerts, reactor = self.alerts, self.reactor
        notices = alerts.step(figures, moment)
        for command in commands:
            notices += alerts.reload(AlertsConfig.model_validate(command["alerts"]), moment)
        reactions = reactor.react(notices, moment, self.champion, HourlyAnchors(), figures)
        reactor.reload(alerts.config.reactions, alerts.config.rules)
        return notices, reactions

    def state_dict(self) -> State:
        champion = self.champion
        return {
            "alerts": self.alerts.state_dict(),
            "reactor": self.reactor.state_dict(),
            "champion": [
                *champion.factors,
                champion.is_frozen,
                champion.weights,
                champion.serves,
            ],
        }

    def load_state_dict(self, state: State) -> None:
        self.alerts.load_state_dict(state["alerts"])
        self.reactor.load_state_dict(state["reactor"])
        replay_factor, learning_rate_factor, *others = state["champion"]
        self.champion = Champion((replay_factor, learning_rate_factor), *others)


class Clock:
    """A loop, a minute from batch to batch."""

    def __init__(self, *rules: dict, **reactions: dict) -> None:
        self.loop = Loop(AlertsConfig.model_validate(alerts_of(*rules, **reactions)))
        self.minute = 0
        self.batch(0.9)

    def batch(self, value: float, *commands: Command) -> list[tuple[str, str, str]]:
        """Take a batch; what was done about it."""
        minute, self.minute = self.minute, self.minute + 1
        moment = Moment(minute, START_MS + minute * MINUTE_MS, 100 * minute, {})
        return deeds(self.loop.take(Figures(value), moment, commands)[1])

    def orders(self) -> list[str]:
        """What the champion was told since the last look."""
        orders, self.loop.champion.orders = self.loop.champion.orders, []
        return orders


def alerts_of(*rules: dict, **reactions: dict) -> dict:
    return {"rules": list(rules), "reactions": reactions}


def put_in_force(*rules: dict, **reactions: dict) -> Command:
    return {"alerts": alerts_of(*rules, **reactions)}


def deeds(records: list[Record]) -> list[tuple[str, str, str]]:
    return [(record["reaction"], record["action"], record["rule"]) for record in records]


# Rules that go


@pytest.mark.parametrize(("react", "undone"), [("boost", "adjust 1 1"), ("freeze", "thaw")])
def test_a_reaction_ends_with_the_rule_that_asked_for_it(react, undone):
    clock = Clock({**LOW, "react": react})
    assert clock.batch(0.4) == [(react, "begin", "low")]
    clock.orders()
    assert clock.batch(0.4, put_in_force()) == [(react, "end", "low")]
    assert clock.orders() == [undone]
    assert clock.loop.reactor.active == {}
    assert clock.batch(0.4) == []


def test_a_reaction_goes_on_while_another_rule_asks_for_it():
    kept = {**LOW, "name": "kept", "react": "boost"}
    clock = Clock({**LOW, "react": "boost"}, kept)
    assert clock.batch(0.4) == [("boost", "begin", "low")]
    assert clock.batch(0.4, put_in_force(kept)) == []
    assert clock.batch(0.9) == [("boost", "end", "low")]


def test_a_rule_that_is_kept_keeps_its_reaction_on():
    boost = {**LOW, "react": "boost"}
    clock = Clock(boost)
    clock.batch(0.4)
    clock.orders()
    assert clock.batch(0.4, put_in_force(LOSS, boost)) == []
    assert clock.batch(0.4) == []
    assert clock.orders() == []
    assert clock.loop.reactor.active == {"boost": START_MS + MINUTE_MS}


@pytest.mark.parametrize("react", ["boost", "freeze", "rollback"])
def test_a_rule_that_fires_and_is_withdrawn_within_one_batch_asks_for_nothing(react):
    clock = Clock({**LOW, "react": react})
    assert clock.batch(0.4, put_in_force()) == []
    assert clock.batch(0.4) == []
    assert clock.orders() == []


def test_a_boost_that_waits_for_the_end_of_a_freeze_begins_when_that_is_withdrawn():
    boost = {**LOW, "react": "boost"}
    clock = Clock(boost, {**LOSS, "react": "freeze"})
    assert clock.batch(0.4) == [("freeze", "begin", "loss")]
    assert clock.batch(0.4, put_in_force(boost)) == [
        ("freeze", "end", "loss"),
        ("boost", "begin", "low"),
    ]


# Rules that change


def test_a_rule_that_fires_and_changes_what_it_asks_for_ends_the_one_and_then_begins_the_other():
    clock = Clock({**LOW, "react": "boost"})
    clock.batch(0.4)
    clock.orders()
    assert clock.batch(0.4, put_in_force({**LOW, "react": "freeze"})) == [("boost", "end", "low")]
    assert clock.batch(0.4) == [("freeze", "begin", "low")]
    assert clock.orders() == ["adjust 1 1", "freeze"]
    assert clock.batch(0.9) == [("freeze", "end", "low")]


def test_a_changed_rule_waits_for_its_own_time_before_it_reacts_again():
    clock = Clock({**LOW, "react": "freeze"})
    clock.batch(0.4)
    changed = put_in_force({**LOW, "react": "boost", "for": "2m"})
    assert clock.batch(0.4, changed) == [("freeze", "end", "low")]
    assert [clock.batch(0.4) for _ in range(3)] == [[], [], [("boost", "begin", "low")]]


def test_a_rule_whose_time_was_used_up_has_all_of_it_again_when_it_changed():
    boost = {**LOW, "react": "boost"}
    clock = Clock(boost, boost={"at_most": "2m"})
    assert [clock.batch(0.4) for _ in range(3)][-1] == [("boost", "end", "low")]
    changed = put_in_force({**boost, "threshold": 0.45}, boost={"at_most": "2m"})
    assert clock.batch(0.4, changed) == []
    assert [clock.batch(0.4) for _ in range(3)] == [
        [("boost", "begin", "low")],
        [],
        [("boost", "end", "low")],
    ]


def test_a_rollback_asked_for_by_a_changed_rule_goes_to_before_its_new_episode():
    clock = Clock(LOW)
    for _ in range(130):
        clock.batch(0.4)
    clock.batch(0.4, put_in_force({**LOW, "react": "rollback"}))
    assert clock.batch(0.4) == [("rollback", "done", "low")]
    assert clock.orders() == ["restore hour-2"]


# Bounds that change


def test_a_boost_that_is_on_keeps_its_factors_and_the_next_one_has_the_new_ones():
    boost = {**LOW, "react": "boost"}
    clock = Clock(boost, boost={"replay_factor": 2, "learning_rate_factor": 1.5})
    clock.batch(0.4)
    clock.batch(0.4, put_in_force(boost, boost={"replay_factor": 5, "learning_rate_factor": 1}))
    clock.batch(0.4)
    assert clock.orders() == ["adjust 2 1.5"]
    assert clock.loop.champion.factors == (2.0, 1.5)
    clock.batch(0.9)
    clock.batch(0.4)
    assert clock.orders() == ["adjust 1 1", "adjust 5 1"]


@pytest.mark.parametrize("react", ["boost", "freeze"])
@pytest.mark.parametrize(("first", "second"), [(3, 60), (60, 3)])
def test_what_is_on_keeps_its_longest_time_and_the_next_one_has_the_new_one(react, first, second):
    rule = {**LOW, "react": react}
    clock = Clock(rule, **{react: {"at_most": f"{first}m"}})
    clock.batch(0.4)
    clock.batch(0.4, put_in_force(rule, **{react: {"at_most": f"{second}m"}}))
    assert lasts(clock, 2) == first
    clock.batch(0.9)
    clock.batch(0.4)
    assert lasts(clock, 1) == second


def lasts(clock: Clock, minutes: int) -> int:
    """For how long what is on has been on when its time ends it, from that many minutes on."""
    while not clock.batch(0.4):
        minutes += 1
    return minutes


def test_a_boost_that_a_freeze_has_interrupted_begins_anew_with_the_new_factors():
    boost, freeze = {**LOW, "react": "boost"}, {**LOSS, "react": "freeze", "threshold": 0.65}
    clock = Clock(boost, freeze)
    clock.batch(0.4)
    clock.batch(0.3, put_in_force(boost, freeze, boost={"replay_factor": 7}))
    clock.batch(0.4)
    assert clock.orders() == ["adjust 2 1.5", "freeze", "adjust 1 1", "thaw", "adjust 7 1.5"]


def test_the_next_rollback_is_bounded_by_what_is_in_force_then():
    rollback = {**LOW, "react": "rollback"}
    clock = Clock(rollback, rollback={"at_most_every": "1d"})
    assert clock.batch(0.4) == [("rollback", "done", "low")]
    clock.batch(0.9, put_in_force(rollback, rollback={"at_most_every": "3m"}))
    assert clock.batch(0.4) == [("rollback", "refused", "low")]
    clock.batch(0.9)
    assert clock.batch(0.4) == [("rollback", "done", "low")]


# The loop, with commands on its way, killed and resumed anywhere

POOL = tuple(
    {**rule, "name": name, "react": react}
    for name, rule, react in (
        ("a", LOW, "boost"),
        ("a", {**LOW, "for": "2m"}, "freeze"),
        ("a", {**LOW, "keep_firing_for": "3m"}, "none"),
        ("b", LOSS, "freeze"),
        ("b", {**LOSS, "for": "200 events"}, "rollback"),
        ("c", {**LOW, "threshold": 0.75}, "boost"),
        ("c", {**LOW, "threshold": 0.25}, "rollback"),
        ("c", {**LOW, "threshold": 0.65}, "switch"),
        ("b", {**LOSS, "for": "1m"}, "switch"),
        (
            "d",
            {"kind": "drop", "metric": "recall@20", "share": 0.25, "reference": "6m"},
            "boost",
        ),
    )
)


def random_alerts(rng: np.random.Generator) -> dict:
    chosen: dict[str, dict] = {}
    for number in rng.permutation(len(POOL))[: rng.integers(0, 6)]:
        chosen[POOL[number]["name"]] = POOL[number]
    return {
        "evaluate_every": f"{rng.choice([30, 60, 150])}s",
        "rules": list(chosen.values()),
        "reactions": {
            "boost": {
                "replay_factor": int(rng.integers(1, 9)),
                "at_most": f"{rng.choice([4, 9])}m",
            },
            "freeze": {
                "at_most": f"{rng.choice([3, 30])}m",
                "at_most_per_day": int(rng.integers(1, 5)),
            },
            "rollback": {
                "at_most_every": f"{rng.choice([2, 20])}m",
                "attempts": int(rng.integers(1, 4)),
            },
            "switch": {
                "at_most": f"{rng.choice([3, 30])}m",
                "cool_down": f"{rng.choice([0, 5])}m",
            },
        },
    }


def random_batches(seed: int, n_batches: int) -> list[tuple[Figures, Moment, tuple[Command, ...]]]:
    rng = np.random.default_rng(seed)
    ts_ms, n_events, eighths, batches = START_MS, 0, 6, []
    for seq in range(n_batches):
        ts_ms += int(rng.choice([0, 30_000, 60_000, 60_000, 400_000]))
        n_events += int(rng.choice([0, 50, 100]))
        if rng.random() < 0.3:
            eighths = int(rng.choice([1, 3, 5, 7, 8]))
        value = math.nan if rng.random() < 0.1 else eighths / 8
        n_commands = int(rng.choice([0, 1, 2], p=[0.75, 0.2, 0.05]))
        commands = tuple({"alerts": random_alerts(rng)} for _ in range(n_commands))
        moment = Moment(seq, ts_ms, n_events, {"f": {"line": seq}}, None, bool(rng.random() < 0.2))
        batches.append((Figures(value), moment, commands))
    return batches


def first_loop(seed: int) -> Loop:
    rng = np.random.default_rng(seed ^ 1)
    return Loop(AlertsConfig.model_validate(random_alerts(rng)))


@given(seed=st.integers(0, 2**32 - 1), cut=st.integers(0, 40))
@settings(deadline=None, max_examples=100)
def test_a_loop_with_reloads_that_is_killed_and_resumed_equals_an_unbroken_one(seed, cut):
    batches = random_batches(seed, 40)
    unbroken, killed, resumed = first_loop(seed), first_loop(seed), first_loop(seed)
    for batch in batches[:cut]:
        unbroken.take(*batch)
        killed.take(*batch)
    resumed.load_state_dict(copy.deepcopy(killed.state_dict()))
    for batch in batches[cut:]:
        assert_same_bits(resumed.take(*batch), unbroken.take(*batch))
        assert_same_bits(resumed.state_dict(), unbroken.state_dict())


@given(seed=st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=100)
def test_nothing_is_on_that_no_rule_in_force_asks_for(seed):
    loop = first_loop(seed)
    for batch in random_batches(seed, 60):
        _, reactions = loop.take(*batch)
        keys = [(record["seq"], record["name"]) for record in reactions]
        assert len(keys) == len(set(keys))
        champion, active = loop.champion, loop.reactor.active
        react_of = {rule.name: rule.react for rule in loop.alerts.config.rules}
        asked = {react_of[name] for name in loop.alerts.firing}
        assert set(active) <= asked
        assert champion.is_frozen == ("freeze" in active)
        assert "boost" in active or champion.factors == (1.0, 1.0)
        assert champion.serves == ("shadow" if "switch" in active else None)
        assert not (champion.is_frozen and champion.factors != (1.0, 1.0))
