import copy

import numpy as np
import pytest

from evaluators.alert_rules import AlertsConfig
from stream.errors import CheckpointError
from stream.notices import AlertState, Moment, Notice
from stream.reactor import Reactor
from stream.values import Bools, Reading, Record, State
from tests.conformance.stateful_contract import StatefulContract

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


class FakePanel:
    """Writes down what it is told."""

    def __init__(self, is_adjustable: bool = True) -> None:
        self.is_adjustable = is_adjustable
        self.orders: list[tuple[str, object]] = []

    def adjust(self, replay_factor: float, learning_rate_factor: float) -> None:
        self.orders.append(("adjust", (replay_factor, learning_rate_factor)))

    def freeze(self, is_frozen: bool) -> None:
        self.orders.append(("freeze", is_frozen))

    def restore(self, state: State, is_same_V: Bools) -> None:
        self.orders.append(("restore", (state["weights"], is_same_V.tolist())))

    def serve(self, shadow: str | None) -> None:
        self.orders.append(("serve", shadow))


class FakeAnchors:
    """Anchors by name and event time; a state is named like its anchor."""

    def __init__(self, taken: dict[str, int], damaged: tuple[str, ...] = ()) -> None:
        self._taken = taken
        self._damaged = damaged

    def before(self, ts_ms: int, older_than: str | None = None) -> str | None:
        names = [name for name, taken_ms in self._taken.items() if taken_ms <= ts_ms]
        if older_than in names:
            names = names[: names.index(older_than)]
        return names[-1] if names else None

    def champion_state(self, name: str) -> tuple[State, Bools]:
        if name in self._damaged:
            raise CheckpointError(f"{name}: its weights are not the ones that were written")
        return {"weights": name}, np.array([True, False])


class FakeStandings:
    """One figure of the champion and its shadows, each of as many samples; counts the questions."""

    def __init__(self, n_samples: int = 1_000, **values: float) -> None:
        self.values = values
        self.n_samples = n_samples
        self.asked: list[tuple[str, str]] = []

    def standings(self, figure: str, over: str) -> dict[str, Reading]:
        self.asked.append((figure, over))
        return {name: Reading(value, self.n_samples) for name, value in self.values.items()}


def reactor_of(reactions: dict | None = None, **react_of: str) -> Reactor:
    rules = [
        {"name": name, "kind": "below", "metric": "recall@20", "threshold": 0.2, "react": react}
        for name, react in react_of.items()
    ]
    config = AlertsConfig.model_validate({"rules": rules, "reactions": reactions or {}})
    return Reactor(config.reactions, config.rules, "recall@20")


class Run:
    """A reactor with its panel and anchors, an hour of event time from call to call."""

    def __init__(
        self, reactor: Reactor, panel: FakePanel | None = None, anchors: FakeAnchors | None = None
    ) -> None:
        self.reactor = reactor
        self.panel = panel or FakePanel()
        self.anchors = anchors or FakeAnchors({})
        self.standings = FakeStandings(champion=0.2)
        self.hour = 0

    def pass_hours(self, n_hours: int, *told: tuple[str, AlertState]) -> list[Record]:
        """Let time pass, then react; the condition of what is told became true an hour before."""
        self.hour += n_hours
        now_ms = self.hour * HOUR_MS
        notices = [Notice(rule, state, now_ms, now_ms - HOUR_MS, {}) for rule, state in told]
        moment = Moment(self.hour, now_ms, self.hour * 1000, {}, "anchor-9")
        return self.reactor.react(notices, moment, self.panel, self.anchors, self.standings)

    def orders(self) -> list[tuple[str, object]]:
        """What the panel was told since the last look."""
        orders, self.panel.orders = self.panel.orders, []
        return orders


def deeds(records: list[Record]) -> list[tuple[str, str, str]]:
    return [(record["reaction"], record["action"], record["rule"]) for record in records]


def test_a_boost_begins_when_its_rule_fires_and_is_undone_when_it_resolves():
    run = Run(reactor_of({"boost": {"replay_factor": 3, "learning_rate_factor": 1.5}}, low="boost"))
    assert deeds(run.pass_hours(1, ("low", "pending"))) == []
    assert deeds(run.pass_hours(1, ("low", "firing"))) == [("boost", "begin", "low")]
    assert run.orders() == [("adjust", (3.0, 1.5))]
    assert deeds(run.pass_hours(1)) == []
    assert deeds(run.pass_hours(1, ("low", "resolved"))) == [("boost", "end", "low")]
    assert run.orders() == [("adjust", (1.0, 1.0))]


@pytest.mark.parametrize("reaction", ["boost", "freeze", "rollback"])
def test_that_a_rule_which_fires_is_muted_or_no_longer_asks_for_nothing(reaction):
    run = Run(reactor_of(low=reaction), anchors=FakeAnchors({"anchor-1": 0}))
    run.pass_hours(1, ("low", "firing"))
    run.orders()
    notice = Notice("low", "firing", 2 * HOUR_MS, HOUR_MS, {}, is_transition=False)
    moment = Moment(2, 2 * HOUR_MS, 2_000, {}, "anchor-9")
    assert run.reactor.react([notice], moment, run.panel, run.anchors, run.standings) == []
    assert run.orders() == []


def test_a_freeze_begins_when_its_rule_fires_and_is_undone_when_it_resolves():
    run = Run(reactor_of(low="freeze"))
    assert deeds(run.pass_hours(1, ("low", "firing"))) == [("freeze", "begin", "low")]
    assert deeds(run.pass_hours(1, ("low", "resolved"))) == [("freeze", "end", "low")]
    assert run.orders() == [("freeze", True), ("freeze", False)]


def test_a_record_tells_what_when_and_why():
    run = Run(reactor_of(low="boost"))
    assert run.pass_hours(2, ("low", "firing")) == [
        {
            "seq": 2,
            "name": "reaction:boost:begin:low",
            "reaction": "boost",
            "action": "begin",
            "rule": "low",
            "reason": "replay x 2, learning rate x 1.5",
            "ts": 2 * HOUR_MS,
            "anchor": None,
            "serves": None,
        }
    ]


def test_rules_without_a_reaction_change_nothing():
    run = Run(reactor_of(low="none"))
    assert run.pass_hours(1, ("low", "firing")) == []
    assert run.orders() == []


@pytest.mark.parametrize("reaction", ["boost", "freeze"])
def test_a_reaction_lasts_while_any_of_its_rules_fires(reaction):
    run = Run(reactor_of(first=reaction, second=reaction))
    assert deeds(run.pass_hours(1, ("first", "firing"))) == [(reaction, "begin", "first")]
    assert deeds(run.pass_hours(1, ("second", "firing"))) == []
    assert deeds(run.pass_hours(1, ("first", "resolved"))) == []
    assert deeds(run.pass_hours(1, ("second", "resolved"))) == [(reaction, "end", "first")]
    assert len(run.orders()) == 2


@pytest.mark.parametrize("reaction", ["boost", "freeze"])
def test_a_reaction_ends_after_its_longest_time_though_its_rule_still_fires(reaction):
    run = Run(reactor_of({reaction: {"at_most": "5h"}}, low=reaction))
    run.pass_hours(1, ("low", "firing"))
    assert deeds(run.pass_hours(4)) == []
    ended = run.pass_hours(1)
    assert deeds(ended) == [(reaction, "end", "low")]
    assert ended[0]["reason"] == "after 5h, the most"
    assert len(run.orders()) == 2
    assert deeds(run.pass_hours(1)) == []
    assert run.reactor.active == {}


def test_a_reaction_that_used_up_its_time_begins_again_only_after_its_rule_resolved():
    run = Run(reactor_of({"boost": {"at_most": "5h"}}, low="boost"))
    run.pass_hours(1, ("low", "firing"))
    run.pass_hours(5)
    assert deeds(run.pass_hours(1, ("low", "resolved"))) == []
    assert deeds(run.pass_hours(1, ("low", "firing"))) == [("boost", "begin", "low")]


def test_a_rule_that_fires_after_the_time_of_another_was_used_up_begins_anew():
    run = Run(reactor_of({"boost": {"at_most": "5h"}}, first="boost", second="boost"))
    run.pass_hours(1, ("first", "firing"))
    records = run.pass_hours(5, ("second", "firing"))
    assert deeds(records) == [("boost", "end", "first"), ("boost", "begin", "second")]
    assert len({record["name"] for record in records}) == 2
    assert run.reactor.active == {"boost": 6 * HOUR_MS}
    assert deeds(run.pass_hours(1, ("second", "resolved"))) == [("boost", "end", "second")]


def test_a_frozen_champion_is_not_boosted_until_it_learns_again():
    run = Run(reactor_of(low="boost", loss="freeze"))
    assert deeds(run.pass_hours(1, ("low", "firing"))) == [("boost", "begin", "low")]
    records = run.pass_hours(1, ("loss", "firing"))
    assert deeds(records) == [("freeze", "begin", "loss"), ("boost", "end", "low")]
    assert records[1]["reason"] == "the champion is frozen"
    assert deeds(run.pass_hours(1, ("loss", "resolved"))) == [
        ("freeze", "end", "loss"),
        ("boost", "begin", "low"),
    ]
    assert run.orders() == [
        ("adjust", (2.0, 1.5)),
        ("freeze", True),
        ("adjust", (1.0, 1.0)),
        ("freeze", False),
        ("adjust", (2.0, 1.5)),
    ]


def test_a_boost_whose_rule_resolves_under_a_freeze_does_not_begin():
    run = Run(reactor_of(low="boost", loss="freeze"))
    run.pass_hours(1, ("loss", "firing"), ("low", "firing"))
    run.pass_hours(1, ("low", "resolved"))
    assert deeds(run.pass_hours(1, ("loss", "resolved"))) == [("freeze", "end", "loss")]
    assert run.orders() == [("freeze", True), ("freeze", False)]


def test_a_rollback_goes_to_the_newest_anchor_from_before_the_condition():
    anchors = FakeAnchors({"old": 3 * HOUR_MS, "good": 9 * HOUR_MS, "late": 9 * HOUR_MS + 1})
    run = Run(reactor_of(low="rollback"), anchors=anchors)
    record = run.pass_hours(10, ("low", "firing"))[0]
    assert run.orders() == [("restore", ("good", [True, False]))]
    assert (record["action"], record["anchor"], record["reason"]) == ("done", "good", "to good")


def test_a_rollback_that_helped_is_done_once_and_not_undone():
    run = Run(reactor_of(low="rollback"), anchors=FakeAnchors({"old": 0, "good": 1}))
    run.pass_hours(10, ("low", "firing"))
    run.orders()
    assert run.pass_hours(23) + run.pass_hours(1, ("low", "resolved")) + run.pass_hours(99) == []
    assert run.orders() == []


def test_a_rollback_that_did_not_help_is_repeated_to_older_anchors_and_then_stops_and_says_so():
    anchors = FakeAnchors({"a1": 1, "a2": 2, "a3": 3, "a4": 4})
    run = Run(reactor_of({"rollback": {"attempts": 3}}, low="rollback"), anchors=anchors)
    records = run.pass_hours(10, ("low", "firing"))
    for _ in range(200):
        records += run.pass_hours(1)
    told = [(one["action"], one["anchor"], one["ts"] // HOUR_MS, one["reason"]) for one in records]
    assert told == [
        ("done", "a4", 10, "to a4"),
        ("done", "a3", 34, "to a3, attempt 2 of 3"),
        ("done", "a2", 58, "to a2, attempt 3 of 3"),
        ("stopped", None, 82, "3 did not help; waits until its rules resolve"),
    ]
    assert run.pass_hours(1, ("low", "resolved")) == []
    assert deeds(run.pass_hours(1, ("low", "firing"))) == [("rollback", "done", "low")]


def test_a_switch_serves_the_best_shadow_and_the_champion_again_when_the_rule_resolves():
    run = Run(reactor_of({"switch": {"metric": "mrr@20", "over": "time"}}, low="switch"))
    run.standings = FakeStandings(champion=0.2, popularity=0.25, item_knn=0.3, session_knn=0.3)
    (record,) = run.pass_hours(1, ("low", "firing"))
    assert (record["action"], record["serves"]) == ("begin", "item_knn")
    told = "mrr@20 over time of item_knn is 0.3, of champion 0.2"
    assert record["reason"] == f"item_knn is served: {told}"
    run.standings.values["session_knn"] = 0.9
    assert run.pass_hours(1) == []
    (record,) = run.pass_hours(1, ("low", "resolved"))
    assert (record["action"], record["serves"]) == ("end", "item_knn")
    assert run.orders() == [("serve", "item_knn"), ("serve", None)]


def test_a_switch_ends_after_its_longest_time_though_its_rule_still_fires():
    run = Run(reactor_of({"switch": {"at_most": "5h"}}, low="switch"))
    run.standings = FakeStandings(champion=0.2, popularity=0.25)
    run.pass_hours(1, ("low", "firing"))
    assert run.reactor.active == {"switch": HOUR_MS}
    assert deeds(run.pass_hours(5)) == [("switch", "end", "low")]
    assert run.pass_hours(30) == []
    assert run.orders() == [("serve", "popularity"), ("serve", None)]


def test_a_switch_waits_until_a_shadow_is_better_and_says_so_once():
    run = Run(reactor_of({"switch": {"better_by": 0.05}}, low="switch"))
    run.standings = FakeStandings(champion=0.2, popularity=0.25)
    (record,) = run.pass_hours(1, ("low", "firing"))
    told = "recall@20 over events of popularity is 0.25, of champion 0.2"
    assert (record["action"], record["reason"]) == ("refused", f"no shadow is better: {told}")
    assert run.pass_hours(1) == []
    run.standings.values["popularity"] = 0.26
    assert deeds(run.pass_hours(1)) == [("switch", "begin", "low")]


@pytest.mark.parametrize("values", [{}, {"champion": 0.1, "popularity": 0.9}])
def test_nobody_is_served_by_figures_of_few_samples(values):
    run = Run(reactor_of(low="switch"))
    run.standings = FakeStandings(n_samples=99, **values)
    (record,) = run.pass_hours(1, ("low", "firing"))
    assert record["reason"] == "recall@20 over events has fewer than 100 samples"
    assert run.orders() == []


def test_nobody_asks_who_is_the_best_while_no_rule_wants_to_know():
    run = Run(reactor_of(low="switch", other="boost"))
    run.standings = FakeStandings(champion=0.2, popularity=0.25)
    run.pass_hours(1, ("other", "firing"))
    run.pass_hours(1, ("low", "firing"))
    run.pass_hours(1)
    assert run.standings.asked == [("recall@20", "events")]


@pytest.mark.parametrize("reaction", ["boost", "freeze", "switch"])
def test_a_reaction_begins_no_sooner_than_its_cool_down_after_the_last_one(reaction):
    run = Run(reactor_of({reaction: {"cool_down": "5h"}}, low=reaction))
    run.standings = FakeStandings(champion=0.2, popularity=0.25)
    run.pass_hours(1, ("low", "firing"))
    run.pass_hours(1, ("low", "resolved"))
    (record,) = run.pass_hours(1, ("low", "firing"))
    assert (record["action"], record["reason"]) == ("refused", "one ended within the last 5h")
    assert len(run.orders()) == 2
    assert run.pass_hours(3) == []
    assert deeds(run.pass_hours(1)) == [(reaction, "begin", "low")]


@pytest.mark.parametrize("reaction", ["boost", "freeze", "switch"])
def test_a_reaction_begins_so_many_times_a_day_and_no_more(reaction):
    bounds = {"at_most_per_day": 2, "cool_down": 0}
    run = Run(reactor_of({reaction: bounds}, low=reaction))
    run.standings = FakeStandings(champion=0.2, popularity=0.25)
    for hour in (1, 1):
        run.pass_hours(hour, ("low", "firing"))
        run.pass_hours(hour, ("low", "resolved"))
    (record,) = run.pass_hours(1, ("low", "firing"))
    assert record["reason"] == "2 were begun within the last day, the most"
    assert run.pass_hours(19) == []
    assert deeds(run.pass_hours(1)) == [(reaction, "begin", "low")]


def test_so_many_rollbacks_a_day_and_no_more():
    bounds = {"at_most_every": "1h", "at_most_per_day": 2, "attempts": 9}
    anchors = FakeAnchors({f"a{number}": number for number in range(9)})
    run = Run(reactor_of({"rollback": bounds}, low="rollback"), anchors=anchors)
    records = run.pass_hours(10, ("low", "firing"))
    for _ in range(48):
        records += run.pass_hours(1)
    assert [one["ts"] // HOUR_MS for one in records] == [10, 11, 34, 35, 58]


def test_a_second_rollback_waits_for_its_time():
    run = Run(
        reactor_of({"rollback": {"at_most_every": "5h"}}, first="rollback", second="rollback"),
        anchors=FakeAnchors({"good": 0}),
    )
    records = run.pass_hours(1, ("first", "firing"), ("second", "firing"))
    assert deeds(records) == [("rollback", "done", "first"), ("rollback", "refused", "second")]
    assert records[1]["reason"] == "one was done within the last 5h"
    assert deeds(run.pass_hours(4, ("first", "firing"))) == [("rollback", "refused", "first")]
    assert deeds(run.pass_hours(1, ("second", "firing"))) == [("rollback", "done", "second")]
    assert len(run.orders()) == 2


def test_a_rollback_without_an_anchor_is_refused():
    run = Run(reactor_of(low="rollback"), anchors=FakeAnchors({"late": 50 * HOUR_MS}))
    record = run.pass_hours(1, ("low", "firing"))[0]
    assert (record["action"], record["anchor"]) == ("refused", None)
    assert record["reason"] == "no anchor is kept from before the condition became true"
    assert run.orders() == []


def test_a_rollback_to_a_damaged_anchor_is_refused_and_does_not_count_as_done():
    run = Run(reactor_of(low="rollback"), anchors=FakeAnchors({"bad": 0}, damaged=("bad",)))
    record = run.pass_hours(1, ("low", "firing"))[0]
    assert record["reason"] == "bad: its weights are not the ones that were written"
    run.anchors = FakeAnchors({"good": 0})
    assert deeds(run.pass_hours(1, ("low", "firing"))) == [("rollback", "done", "low")]


@pytest.mark.parametrize("reaction", ["boost", "rollback"])
def test_what_the_champion_cannot_do_is_refused(reaction):
    run = Run(reactor_of(low=reaction), FakePanel(is_adjustable=False), FakeAnchors({"good": 0}))
    record = run.pass_hours(1, ("low", "firing"))[0]
    assert (record["action"], record["name"]) == ("refused", f"reaction:{reaction}:refused:low")
    assert "neither be boosted nor undone" in record["reason"]
    assert run.pass_hours(30) + run.pass_hours(1, ("low", "resolved")) == []
    assert run.orders() == []


def test_any_champion_can_be_frozen():
    run = Run(reactor_of(low="freeze"), FakePanel(is_adjustable=False))
    run.pass_hours(1, ("low", "firing"))
    assert run.orders() == [("freeze", True)]


def test_what_is_on_is_told_with_its_beginning():
    run = Run(reactor_of(low="boost", loss="freeze"))
    assert run.reactor.active == {}
    run.pass_hours(3, ("low", "firing"))
    assert run.reactor.active == {"boost": 3 * HOUR_MS}


def test_a_resumed_reactor_repeats_no_order_and_still_undoes_it():
    reactor = reactor_of(low="boost")
    Run(reactor).pass_hours(1, ("low", "firing"))
    resumed = Run(reactor_of(low="boost"))
    resumed.reactor.load_state_dict(copy.deepcopy(reactor.state_dict()))
    resumed.hour = 1
    assert resumed.pass_hours(1) == []
    assert resumed.orders() == []
    assert deeds(resumed.pass_hours(1, ("low", "resolved"))) == [("boost", "end", "low")]
    assert resumed.orders() == [("adjust", (1.0, 1.0))]


def test_a_state_brings_its_own_rules_and_bounds_back():
    bounds = {"boost": {"replay_factor": 4, "at_most": "5h"}}
    reader = Run(reactor_of(low="freeze"))
    reader.reactor.load_state_dict(copy.deepcopy(reactor_of(bounds, low="boost").state_dict()))
    assert deeds(reader.pass_hours(1, ("low", "firing"))) == [("boost", "begin", "low")]
    assert reader.orders() == [("adjust", (4.0, 1.5))]
    assert reader.pass_hours(5)[0]["reason"] == "after 5h, the most"


def test_a_state_of_another_version_is_refused():
    state = reactor_of(low="boost").state_dict() | {"schema_version": 99}
    with pytest.raises(CheckpointError, match="version 99, expected 3"):
        reactor_of(low="boost").load_state_dict(state)


class TestReactorState(StatefulContract):
    """Boosts, a freeze between them, switches, and a rollback that is given up."""

    TOLD: tuple[tuple[tuple[str, AlertState], ...], ...] = (
        (("low", "firing"), ("lost", "firing")),
        (("loss", "firing"), ("worse", "firing")),
        (("loss", "resolved"), ("lower", "firing"), ("lost", "resolved")),
        (("lost", "firing"),),
        (("low", "resolved"),),
        (("lower", "resolved"), ("worse", "resolved"), ("lost", "resolved")),
    )

    @staticmethod
    def make() -> Reactor:
        bounds = {
            "boost": {"at_most": "1d", "cool_down": "1h"},
            "rollback": {"at_most_every": "2d", "attempts": 1},
            "switch": {"at_most": "1d", "at_most_per_day": 1},
        }
        return reactor_of(
            bounds, low="boost", lower="boost", loss="freeze", worse="rollback", lost="switch"
        )

    @staticmethod
    def drive(reactor: Reactor, step: int) -> object:
        run = Run(reactor, anchors=FakeAnchors({"good": 0}))
        run.standings = FakeStandings(champion=0.2, popularity=0.25)
        run.hour = step * 24
        return run.pass_hours(24, *TestReactorState.TOLD[step]), run.orders()
