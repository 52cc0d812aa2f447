import pytest

from learners.counting import CountingLearner
from learners.panel import Panel
from learners.popularity import Popularity, PopularityConfig
from stream.errors import CheckpointError
from tests.conformance.learner_contract import LearnerContract
from tests.conformance.stateful_contract import StatefulContract
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
