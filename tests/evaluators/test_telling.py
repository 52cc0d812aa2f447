import pytest

from evaluators.telling import Telling
from tests.conformance.stateful_contract import StatefulContract

BY = ["alert:upstream"]
SILENCE = ["silence:a deploy"]


def test_who_was_told_that_it_fires_is_told_that_it_is_over_muted_or_not():
    telling = Telling()
    assert telling.of_transition("firing", []) == []
    assert telling.of_firing(BY) == "muted"
    assert telling.of_transition("resolved", BY) == []


def test_who_was_not_told_that_it_fires_is_not_told_that_it_is_over():
    telling = Telling()
    assert telling.of_transition("firing", BY) == BY
    assert telling.of_transition("resolved", []) == BY


def test_that_it_still_fires_is_told_when_nothing_mutes_it_any_more():
    telling = Telling()
    telling.of_transition("firing", BY)
    assert [telling.of_firing(by) for by in (BY, [*BY, *SILENCE], SILENCE, [])] == [
        None,
        None,
        None,
        "unmuted",
    ]
    assert telling.of_transition("resolved", BY) == []


def test_it_may_be_muted_again():
    telling = Telling()
    telling.of_transition("firing", [])
    assert [telling.of_firing(by) for by in (BY, [], [], SILENCE)] == [
        "muted",
        "unmuted",
        None,
        "muted",
    ]
    assert telling.muted_by == SILENCE


@pytest.mark.parametrize("then", [[], SILENCE])
def test_a_muted_beginning_that_falls_back_is_not_told(then):
    telling = Telling()
    telling.of_transition("pending", BY)
    assert telling.of_transition("inactive", then) == (then or BY)


def test_a_rule_that_was_pending_unheard_is_told_when_it_fires_unmuted():
    telling = Telling()
    telling.of_transition("pending", BY)
    assert telling.of_transition("firing", []) == []
    assert telling.of_transition("resolved", []) == []


def test_what_muted_an_episode_does_not_mute_the_next():
    telling = Telling()
    telling.of_transition("firing", BY)
    telling.of_transition("resolved", BY)
    assert telling.muted_by == []
    assert telling.of_transition("firing", []) == []


class TestTellingState(StatefulContract):
    @staticmethod
    def make() -> Telling:
        return Telling()

    @staticmethod
    def drive(telling: Telling, step: int) -> object:
        muted_by = [[], BY, SILENCE, []][step % 4]
        if step % 5 in (0, 4):
            return telling.of_transition("firing" if step % 5 == 0 else "resolved", muted_by)
        return telling.of_firing(muted_by)
