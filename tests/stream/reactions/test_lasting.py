from evaluators.reaction_settings import FreezeConfig
from stream.reactions.change import Change
from stream.reactions.lasting import Lasting, Terms
from tests.conformance.stateful_contract import StatefulContract

HOUR_MS = 3_600_000


def terms(obstacle: str | None = None, not_yet: str | None = None, **bounds: object) -> Terms:
    return Terms("as told", FreezeConfig.model_validate(bounds), obstacle, not_yet)


def deeds(changes: list[Change]) -> list[tuple[str, str, str]]:
    return [(change.action, change.rule, change.reason) for change in changes]


class TestLasting(StatefulContract):
    """Two rules, of which one waits for a cool-down, and a longest time that is used up."""

    STEPS = (
        (["a"], [], None),
        (["b"], ["a"], None),
        ([], [], None),
        (["a"], [], "in the way"),
        ([], ["b"], None),
        ([], ["a"], None),
    )

    make = staticmethod(lambda: Lasting("freeze"))

    @staticmethod
    def drive(lasting: Lasting, step: int) -> object:
        fired, resolved, obstacle = TestLasting.STEPS[step]
        on = terms(obstacle, at_most=2 * HOUR_MS, cool_down=HOUR_MS, at_most_per_day=2)
        return deeds(lasting.step(fired, resolved, step * HOUR_MS, on)), lasting.is_wanted


def test_it_is_wanted_while_a_rule_asks_and_has_to_wait():
    lasting = Lasting("switch")
    assert not lasting.is_wanted
    assert deeds(lasting.step(["a"], [], 0, terms(not_yet="nobody is better"))) == [
        ("refused", "a", "nobody is better")
    ]
    assert lasting.is_wanted
    assert lasting.step([], [], 1, terms(not_yet="nobody is better")) == []
    assert deeds(lasting.step([], [], 2, terms())) == [("begin", "a", "as told")]
    assert not lasting.is_wanted
    assert lasting.is_on


def test_one_that_may_not_begin_now_goes_on_where_it_is_on():
    lasting = Lasting("switch")
    lasting.step(["a"], [], 0, terms())
    assert lasting.step([], [], 1, terms(not_yet="nobody is better")) == []
    assert lasting.is_on
    assert deeds(lasting.step([], [], 2, terms(obstacle="in the way"))) == [
        ("end", "a", "in the way")
    ]


def test_a_rule_that_used_up_its_time_is_not_wanted():
    lasting = Lasting("freeze")
    lasting.step(["a"], [], 0, terms(at_most=HOUR_MS))
    assert deeds(lasting.step([], [], HOUR_MS, terms())) == [("end", "a", "after 1h, the most")]
    assert not lasting.is_wanted


def test_a_rule_is_told_anew_that_it_has_to_wait_when_it_fires_anew():
    lasting = Lasting("freeze")
    wait = terms(not_yet="not now")
    assert len(lasting.step(["a", "b"], [], 0, wait)) == 2
    assert lasting.step([], ["a"], 1, wait) == []
    assert deeds(lasting.step(["a"], [], 2, wait)) == [("refused", "a", "not now")]
