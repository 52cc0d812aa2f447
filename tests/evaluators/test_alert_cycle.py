import copy

import pytest

from evaluators.alert_cycle import LifeCycle, Place
from stream.durations import parse_span


def cycle_of(for_: str = "0s", keep_firing_for: str = "0s") -> LifeCycle:
    return LifeCycle(parse_span(for_), parse_span(keep_firing_for))


def passed(cycle: LifeCycle, conditions: str, first: int = 0) -> list[str | None]:
    """What is told when the condition is true (t) or false (f), a second and 10 events a step."""
    return [
        cycle.step(condition == "t", Place(1_000 * n, 10 * n))
        for n, condition in enumerate(conditions, first)
    ]


@pytest.mark.parametrize(
    ("for_", "keep_firing_for", "conditions", "expected"),
    [
        pytest.param("0s", "0s", "tf", ["firing", "resolved"], id="no-durations"),
        pytest.param("2s", "0s", "ttt", ["pending", None, "firing"], id="for-in-time"),
        pytest.param("20 events", "0s", "ttt", ["pending", None, "firing"], id="for-in-events"),
        pytest.param("2s", "0s", "tf", ["pending", "inactive"], id="pending-falls-back"),
        pytest.param("0s", "1s", "tff", ["firing", None, "resolved"], id="kept-firing"),
        pytest.param("0s", "1s", "tftff", ["firing", None, None, None, "resolved"], id="kept-anew"),
    ],
)
def test_a_cycle_tells_each_change_once(for_, keep_firing_for, conditions, expected):
    assert passed(cycle_of(for_, keep_firing_for), conditions) == expected


def test_the_places_of_an_episode_are_known_until_it_ends():
    cycle = cycle_of("1s")
    passed(cycle, "ftt")
    assert (cycle.since, cycle.fired) == (Place(1_000, 10), Place(2_000, 20))
    passed(cycle, "f", first=3)
    assert (cycle.since, cycle.fired, cycle.episode_ms) == (None, None, 1_000)


def test_the_summary_counts_what_still_fires_up_to_now():
    cycle = cycle_of()
    passed(cycle, "ttfftt")
    assert cycle.summary(9_000) == {
        "state": "firing",
        "times_fired": 2,
        "first_firing_ts": 0,
        "last_firing_ts": 4_000,
        "last_resolved_ts": 2_000,
        "firing_ms": 2_000 + 5_000,
    }


@pytest.mark.parametrize("cut", range(9))
def test_a_cycle_given_a_state_goes_on_like_the_one_that_wrote_it(cut):
    conditions = "fttttffft"
    unbroken, stopped, resumed = (cycle_of("2s", "15 events") for _ in range(3))
    expected = passed(unbroken, conditions)
    passed(stopped, conditions[:cut])
    resumed.load_state_dict(copy.deepcopy(stopped.state_dict()))
    assert passed(resumed, conditions[cut:], first=cut) == expected[cut:]
    assert resumed.state_dict() == unbroken.state_dict()
