from evaluators.reaction_settings import RollbackConfig
from stream.errors import CheckpointError
from stream.reactions.change import Change
from stream.reactions.rollbacks import Rollbacks, Way
from tests.conformance.stateful_contract import StatefulContract

HOUR_MS = 3_600_000


class Shelf:
    """Anchors named by the hour they were taken at, and what was gone back to."""

    def __init__(self, *hours: int, damaged: tuple[int, ...] = ()) -> None:
        self.names = [f"{hour:02d}" for hour in hours]
        self._damaged = [f"{hour:02d}" for hour in damaged]
        self.went_to: list[str] = []

    def before(self, ts_ms: int, older_than: str | None) -> str | None:
        found = [n for n in self.names if int(n) * HOUR_MS <= ts_ms and n < (older_than or "99")]
        return found[-1] if found else None

    def go_back_to(self, name: str) -> None:
        if name in self._damaged:
            raise CheckpointError(f"{name} is damaged")
        self.went_to.append(name)

    def way(self) -> Way:
        return Way(self.before, self.go_back_to)


CONFIG = RollbackConfig(at_most_every=2 * HOUR_MS, attempts=2)


def step(
    rollbacks: Rollbacks,
    shelf: Shelf,
    hour: int,
    fired: dict[str, int] | None = None,
    resolved: tuple[str, ...] = (),
) -> list[Change]:
    since = {rule: at * HOUR_MS for rule, at in (fired or {}).items()}
    return rollbacks.step(since, resolved, hour * HOUR_MS, CONFIG, shelf.way())


def deeds(changes: list[Change]) -> list[tuple[str, str]]:
    return [(change.action, change.reason) for change in changes]


class TestRollbacks(StatefulContract):
    """One that does not help, another rule that asks meanwhile, and all of it resolved."""

    make = staticmethod(Rollbacks)

    @staticmethod
    def drive(rollbacks: Rollbacks, number: int) -> object:
        shelf = Shelf(1, 2, 3, 4)
        fired = ({"a": 4}, {}, {"b": 5}, {}, {}, {"c": 9})[number]
        resolved = (("a", "b"),) if number == 5 else ((),)
        changes = step(rollbacks, shelf, 5 + 2 * number, fired, *resolved)
        return deeds(changes), shelf.went_to


def test_each_attempt_goes_to_an_older_anchor_and_the_last_one_is_followed_by_a_stop():
    rollbacks, shelf = Rollbacks(), Shelf(1, 2, 3)
    told = deeds(step(rollbacks, shelf, 4, {"a": 3}))
    for hour in range(5, 40):
        told += deeds(step(rollbacks, shelf, hour))
    assert shelf.went_to == ["03", "02"]
    assert told == [
        ("done", "to 03"),
        ("done", "to 02, attempt 2 of 2"),
        ("stopped", "2 did not help; waits until its rules resolve"),
    ]


def test_where_no_older_anchor_is_kept_it_stops_before():
    rollbacks, shelf = Rollbacks(), Shelf(3)
    step(rollbacks, shelf, 4, {"a": 3})
    assert deeds(step(rollbacks, shelf, 6)) == [
        ("stopped", "1 did not help, and no older anchor is kept; waits until its rules resolve")
    ]
    assert step(rollbacks, shelf, 60) == []


def test_after_a_stop_nothing_is_done_until_all_rules_have_resolved():
    rollbacks, shelf = Rollbacks(), Shelf(3)
    step(rollbacks, shelf, 4, {"a": 3})
    step(rollbacks, shelf, 6)
    refused = ("refused", "those before did not help, and a rule still fires")
    assert deeds(step(rollbacks, shelf, 9, {"b": 8})) == [refused]
    assert deeds(step(rollbacks, shelf, 10, {"c": 8}, ("a",))) == [refused]
    assert step(rollbacks, shelf, 11, {}, ("b", "c")) == []
    assert deeds(step(rollbacks, shelf, 12, {"a": 11})) == [("done", "to 03")]


def test_a_rule_that_came_too_soon_has_its_turn_if_it_still_fires_then():
    rollbacks, shelf = Rollbacks(), Shelf(3)
    step(rollbacks, shelf, 4, {"a": 3})
    step(rollbacks, shelf, 5, {}, ("a",))
    assert deeds(step(rollbacks, shelf, 5, {"b": 5})) == [
        ("refused", "one was done within the last 2h")
    ]
    assert deeds(step(rollbacks, shelf, 6)) == [("done", "to 03")]


def test_attempts_of_several_rules_are_counted_together():
    rollbacks, shelf = Rollbacks(), Shelf(1, 2, 3, 4, 5, 6, 7, 8, 9)
    assert deeds(step(rollbacks, shelf, 4, {"a": 3})) == [("done", "to 03")]
    assert deeds(step(rollbacks, shelf, 6, {"b": 5})) == [("done", "to 05, attempt 2 of 2")]
    assert deeds(step(rollbacks, shelf, 9, {"c": 8})) == [
        ("refused", "2 were done and a rule still fires: no more are tried")
    ]
    assert deeds(step(rollbacks, shelf, 9))[0][0] == "stopped"


def test_an_anchor_that_cannot_be_read_is_told_and_an_older_one_is_tried():
    rollbacks, shelf = Rollbacks(), Shelf(1, 2, 3, damaged=(2, 3))
    told = [change for hour in (4, 4, 4, 4) for change in step(rollbacks, shelf, hour)]
    assert told == []
    assert deeds(step(rollbacks, shelf, 4, {"a": 3})) == [("refused", "03 is damaged")]
    assert deeds(step(rollbacks, shelf, 4)) == [("refused", "02 is damaged")]
    assert deeds(step(rollbacks, shelf, 4)) == [("done", "to 01")]


def test_where_none_can_be_read_it_stops():
    rollbacks, shelf = Rollbacks(), Shelf(3, damaged=(3,))
    step(rollbacks, shelf, 4, {"a": 3})
    assert deeds(step(rollbacks, shelf, 4)) == [
        (
            "stopped",
            "none could be done, and no older anchor is kept; waits until its rules resolve",
        )
    ]
