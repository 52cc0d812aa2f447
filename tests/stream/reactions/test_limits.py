from stream.reactions.limits import Limits
from tests.conformance.stateful_contract import StatefulContract

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


def refusal(limits: Limits, now_ms: int, *, per_day: int = 3, cool_down_ms: int = 0) -> str | None:
    return limits.refusal(now_ms, per_day, cool_down_ms)


def drive(limits: Limits, step: int) -> str | None:
    limits.begin(step * 5 * HOUR_MS, at_most_per_day=3)
    limits.end(step * 5 * HOUR_MS + 1)
    return refusal(limits, (step * 5 + 1) * HOUR_MS)


class TestLimits(StatefulContract):
    make = staticmethod(lambda: Limits("were begun", "ended"))
    drive = staticmethod(drive)


def test_nothing_is_refused_that_was_never_done():
    assert refusal(Limits("were begun", "ended"), 0, per_day=1, cool_down_ms=DAY_MS) is None


def test_the_cool_down_counts_from_the_end():
    limits = Limits("were begun", "ended")
    limits.begin(0, at_most_per_day=3)
    limits.end(5 * HOUR_MS)
    assert refusal(limits, 7 * HOUR_MS - 1, cool_down_ms=2 * HOUR_MS) == (
        "one ended within the last 2h"
    )
    assert refusal(limits, 7 * HOUR_MS, cool_down_ms=2 * HOUR_MS) is None


def test_a_day_is_any_24_hours():
    limits = Limits("were done", "was done")
    for hour in (20, 22):
        limits.begin(hour * HOUR_MS, at_most_per_day=2)
    told = "2 were done within the last day, the most"
    assert refusal(limits, 26 * HOUR_MS, per_day=2) == told
    assert refusal(limits, 44 * HOUR_MS - 1, per_day=2) == told
    assert refusal(limits, 44 * HOUR_MS, per_day=2) is None


def test_no_more_is_remembered_than_could_forbid_anything():
    limits = Limits("were begun", "ended")
    for ms in range(1_000):
        limits.begin(ms, at_most_per_day=5)
    assert limits.state_dict()["begun_ms"] == [995, 996, 997, 998, 999]
    limits.begin(3 * DAY_MS, at_most_per_day=5)
    assert limits.state_dict()["begun_ms"] == [3 * DAY_MS]
