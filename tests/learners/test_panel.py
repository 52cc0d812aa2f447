from dataclasses import replace

import numpy as np
import pytest

from learners.counting import CountingLearner
from learners.panel import Adjustable, Panel, Rehearsing
from learners.popularity import Popularity, PopularityConfig
from learners.transformer import TransformerLearner
from learners.transformer_config import TransformerConfig
from stream.errors import CheckpointError
from stream.targets import Choice, ChoiceAsked, ChoiceRule
from stream.values import Bools, Changes, Lessons, Outcomes, Predictions, Queries, State, Steps
from tests.conformance.learner_contract import LearnerContract, random_shown
from tests.conformance.stateful_contract import StatefulContract, assert_same_bits
from tests.stream_values import make_changes, make_lessons, make_outcomes, make_queries


def make_panel() -> Panel:
    shadows = {"counting": CountingLearner(), "abacus": CountingLearner()}
    return Panel(("popularity", Popularity(PopularityConfig())), shadows)


class TestPanel(StatefulContract):
    make = staticmethod(make_panel)
    drive = staticmethod(LearnerContract.drive)


def test_the_champion_comes_first_and_shadows_keep_their_order() -> None:
    panel = make_panel()
    assert panel.names == ("popularity", "counting", "abacus")
    assert tuple(panel.predict(make_queries([[]], n_items=2))) == panel.names


def test_everyone_learns_and_follows_and_predicts_by_name() -> None:
    panel = make_panel()
    panel.learn(make_outcomes(make_lessons([[], [], []], [4, 4, 1])))
    panel.follow(make_changes(6, recycled=[4]))
    predictions = panel.predict(make_queries([[]], n_items=6, k=2))
    assert predictions["popularity"].top_items_BK.tolist() == [[1, 0]]
    assert predictions["counting"].top_items_BK.tolist() == [[-1, -1]]
    assert panel.state_dict()["learners"]["abacus"]["n_lessons"] == 3


def test_two_learners_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="both named 'counting'"):
        Panel(("counting", CountingLearner()), {"counting": CountingLearner()})


class Chooser(CountingLearner):
    """Says how it would choose, whenever it is asked."""

    def predict(self, queries: Queries) -> Predictions:
        told = super().predict(queries)
        if queries.shown is None or queries.shown.choice is None:
            return told
        return replace(told, choice=Choice(np.ones(len(queries.shown.item_S))))


def test_only_the_champion_is_asked_how_it_would_choose() -> None:
    panel = Panel(("champion", Chooser()), {"shadow": Chooser()})
    shown = random_shown(0, 9)
    asked = ChoiceAsked(ChoiceRule(1.0, 3), np.zeros(len(shown), np.int32))
    queries = replace(make_queries([[]], n_items=9), shown=replace(shown, choice=asked))
    told = panel.predict(queries)
    assert told["champion"].choice is not None
    assert told["shadow"].choice is None
    assert panel.predict(replace(queries, shown=shown))["champion"].choice is None


class Duet(CountingLearner):
    """A learner of two parts that answer for themselves."""

    parts = ("left", "right")

    def predict_all(self, queries: Queries) -> tuple[Predictions, dict[str, Predictions]]:
        own = self.predict(queries)
        return own, {
            name: Predictions(np.full_like(own.top_items_BK, place))
            for place, name in enumerate(self.parts)
        }


def test_a_part_of_the_champion_is_a_shadow_that_is_not_asked_and_not_taught_by_itself() -> None:
    panel = Panel(("duet", Duet()), {"counting": CountingLearner(), "right": None})
    assert panel.names == ("duet", "counting", "right")
    predictions = panel.predict(make_queries([[]], n_items=2, k=2))
    assert tuple(predictions) == panel.names
    assert predictions["right"].top_items_BK.tolist() == [[1, 1]]
    panel.learn(make_outcomes(make_lessons([[]], [1])))
    assert set(panel.state_dict()["learners"]) == {"duet", "counting"}


def test_a_shadow_that_is_no_part_of_the_champion_is_refused() -> None:
    with pytest.raises(ValueError, match="'middle' is no part of the champion 'duet'"):
        Panel(("duet", Duet()), {"middle": None})


@pytest.mark.parametrize("shadows", [["counting"], ["counting", "abacus", "other"]])
def test_a_state_of_other_learners_is_refused_by_name(shadows: list[str]) -> None:
    panel = Panel(
        ("popularity", Popularity(PopularityConfig())),
        {name: CountingLearner() for name in shadows},
    )
    expected = "holds the learners abacus, counting, popularity but the settings want " + ", ".join(
        sorted(["popularity", *shadows])
    )
    with pytest.raises(CheckpointError, match=expected):
        panel.load_state_dict(make_panel().state_dict())


class Weighty:
    """A learner that writes down how it is adjusted, and what it is given to take back."""

    def __init__(self) -> None:
        self.orders: list[tuple[object, ...]] = []
        self._counting = CountingLearner()
        self.steps = Steps(7, 2)

    def adjust(self, replay_factor: float, learning_rate_factor: float) -> None:
        self.orders.append(("adjust", replay_factor, learning_rate_factor))

    def restore(self, state: State, is_same_V: Bools) -> None:
        self.orders.append(("restore", state["n_lessons"], is_same_V.tolist()))

    def predict(self, queries: Queries) -> Predictions:
        return self._counting.predict(queries)

    def learn(self, outcomes: Outcomes) -> None:
        self._counting.learn(outcomes)

    def follow(self, changes: Changes) -> None:
        self._counting.follow(changes)

    def state_dict(self) -> State:
        return self._counting.state_dict()

    def load_state_dict(self, state: State) -> None:
        self._counting.load_state_dict(state)


def test_a_champion_with_weights_is_adjusted_and_restored_and_the_shadows_are_not() -> None:
    champion, shadow = Weighty(), Weighty()
    panel = Panel(("champion", champion), {"shadow": shadow})
    assert panel.is_adjustable
    assert panel.steps == Steps(7, 2)
    panel.adjust(2.0, 1.5)
    panel.restore({"n_lessons": 7}, np.array([True, False]))
    assert champion.orders == [("adjust", 2.0, 1.5), ("restore", 7, [True, False])]
    assert shadow.orders == []


def test_a_champion_without_weights_is_neither_adjusted_nor_restored() -> None:
    panel = Panel(("counting", CountingLearner()), {"shadow": Weighty()})
    assert not panel.is_adjustable
    for order in (lambda: panel.adjust(2.0, 2.0), lambda: panel.restore({}, np.zeros(0, bool))):
        with pytest.raises(ValueError, match="champion 'counting' has no weights that could be"):
            order()


def test_the_transformer_is_adjustable_and_neighbours_are_not() -> None:
    assert isinstance(TransformerLearner(TransformerConfig(width=8, device="cpu")), Adjustable)
    assert not make_panel().is_adjustable


def test_a_frozen_champion_is_not_taught_but_shadows_are_until_it_is_thawed() -> None:
    panel = Panel(("champion", CountingLearner()), {"shadow": CountingLearner()})
    outcomes = make_outcomes(make_lessons([[], []], [1, 2]))
    for is_frozen in (True, False):
        panel.freeze(is_frozen)
        assert panel.is_frozen is is_frozen
        panel.learn(outcomes)
    taught = {name: s["n_lessons"] for name, s in panel.state_dict()["learners"].items()}
    assert taught == {"champion": 2, "shadow": 4}


def test_a_resumed_panel_is_as_frozen_as_it_was() -> None:
    frozen, resumed = make_panel(), make_panel()
    frozen.freeze(True)
    resumed.load_state_dict(frozen.state_dict())
    assert resumed.is_frozen
    resumed.learn(make_outcomes(make_lessons([[]], [1])))
    assert_same_bits(
        resumed.state_dict()["learners"]["popularity"],
        frozen.state_dict()["learners"]["popularity"],
    )


class Rehearser(CountingLearner):
    """A learner that writes down what it goes over again."""

    def __init__(self) -> None:
        super().__init__()
        self.rehearsed: list[int] = []

    def rehearse(self, lessons: Lessons) -> None:
        self.rehearsed += lessons.target_M.tolist()


def test_the_champion_alone_goes_over_lessons_again() -> None:
    champion, shadow = Rehearser(), Rehearser()
    panel = Panel(("champion", champion), {"shadow": shadow})
    assert panel.is_rehearsing
    panel.rehearse(make_lessons([[], []], [4, 1]))
    assert (champion.rehearsed, shadow.rehearsed) == ([4, 1], [])


def test_a_champion_without_weights_has_nothing_to_rehearse_with() -> None:
    panel = Panel(("counting", CountingLearner()), {"shadow": Rehearser()})
    assert not panel.is_rehearsing
    with pytest.raises(ValueError, match="champion 'counting' has no weights to rehearse with"):
        panel.rehearse(make_lessons([[]], [1]))


def test_the_transformer_gains_by_rehearsing_and_neighbours_do_not() -> None:
    assert isinstance(TransformerLearner(TransformerConfig(width=8, device="cpu")), Rehearsing)
    assert not make_panel().is_rehearsing


def test_who_attends_hears_lessons_and_changes_until_sent_away_and_is_no_part_of_the_state() -> (
    None
):
    panel, listener = make_panel(), CountingLearner()
    state = panel.state_dict()
    panel.attend(listener)
    assert_same_bits(panel.state_dict(), state)
    panel.learn(make_outcomes(make_lessons([[], []], [1, 2])))
    panel.attend(None)
    panel.learn(make_outcomes(make_lessons([[]], [3])))
    assert listener.state_dict()["n_lessons"] == 2


def test_learners_are_taken_over_thawed_and_as_configured() -> None:
    """Whoever froze or raised them belongs to the other run."""
    earlier, champion = make_panel(), Weighty()
    earlier.learn(make_outcomes(make_lessons([[], []], [1, 2])))
    earlier.freeze(True)
    panel = Panel(("counting", CountingLearner()), {"popularity": Popularity(PopularityConfig())})
    panel.freeze(True)
    panel.take_over(earlier.state_dict())
    learners = panel.state_dict()["learners"]
    assert_same_bits(learners["popularity"], earlier.state_dict()["learners"]["popularity"])
    assert not panel.is_frozen
    weighty = Panel(("champion", champion), {})
    weighty.take_over(weighty.state_dict())
    assert champion.orders[-1] == ("adjust", 1.0, 1.0)


def test_a_learner_that_the_other_panel_has_not_is_named() -> None:
    panel = Panel(("popularity", Popularity(PopularityConfig())), {"other": CountingLearner()})
    with pytest.raises(CheckpointError, match="abacus, counting, popularity but not other"):
        panel.take_over(make_panel().state_dict())
