import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluators.reference import Reference
from evaluators.same_time import BUCKETS_OF_OVER, SameTimeBefore, SameTimeReference
from stream.durations import Span
from tests.conformance.stateful_contract import StatefulContract

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
DAILY = SameTimeBefore(same_time_before="1d", over="4h")


def daily(ts_ms: int) -> float:
    return 0.5 + 0.25 * math.sin(2 * math.pi * ts_ms / DAY_MS)


def reference_after(n_hours: int, value=daily, span: SameTimeBefore = DAILY) -> SameTimeReference:
    reference = SameTimeReference(span)
    for hour in range(n_hours):
        reference.absorb(hour * HOUR_MS, value(hour * HOUR_MS))
    return reference


def test_what_comes_and_goes_with_the_hour_is_its_own_reference():
    reference = reference_after(24)
    for hour in range(24, 96):
        at = hour * HOUR_MS
        if hour >= 26:
            assert reference.level(at) == pytest.approx(daily(at), abs=0.02)
        reference.absorb(at, daily(at))


def test_the_mean_of_the_whole_time_would_take_every_night_for_a_drop():
    trailing, night = Reference(Span(time_ms=DAY_MS)), 18 * HOUR_MS
    for hour in range(3 * 24 + 18):
        trailing.absorb(hour * HOUR_MS, daily(hour * HOUR_MS))
    at = 3 * DAY_MS + night
    assert daily(at) < 0.6 * trailing.level(at)
    assert daily(at) > 0.9 * reference_after(3 * 24 + 18).level(at)


@given(
    steps=st.lists(st.tuples(st.integers(1, 40), st.integers(0, 64)), min_size=1, max_size=80),
    later=st.integers(0, 60),
)
@settings(deadline=None)
def test_the_level_equals_the_one_recomputed_over_all_readings(steps, later):
    before, over = 160, 48
    reference = SameTimeReference(SameTimeBefore(same_time_before=before, over=over))
    width, readings, at = over // BUCKETS_OF_OVER, [], 0
    for step, sixty_fourths in steps:
        at += step
        readings.append((at // width, sixty_fourths / 64))
        reference.absorb(at, sixty_fourths / 64)
    at += later
    first, middle, last = ((at - before + d) // width for d in (-over // 2, 0, over // 2))
    early = [value for bucket, value in readings if first <= bucket < middle]
    late = [value for bucket, value in readings if middle <= bucket <= last]
    expected = sum(early + late) / len(early + late) if early and late else None
    assert reference.level(at) == expected


def test_without_readings_a_week_before_there_is_no_reference():
    reference = SameTimeReference(SameTimeBefore(same_time_before="7d", over="4h"))
    known = []
    for hour in range(14 * 24):
        if reference.level(hour * HOUR_MS) is not None:
            known.append(hour - 7 * 24)
        if not 50 <= hour < 60:  # nothing came for ten hours
            reference.absorb(hour * HOUR_MS, 0.5)
    assert known == [*range(1, 50), *range(61, 168)]


@pytest.mark.parametrize("gone", [range(20, 25), range(15, 20)])
def test_a_stretch_with_one_half_empty_tells_nothing(gone):
    """A stream that had just begun, or just stopped, was not what it is at that time."""
    reference = SameTimeReference(DAILY)
    for hour in range(43):
        if hour not in gone:
            reference.absorb(hour * HOUR_MS, 0.5)
    assert reference.level(44 * HOUR_MS) is None
    assert reference_after(43, lambda _: 0.5).level(44 * HOUR_MS) == 0.5


def test_an_incident_does_not_become_the_normal_of_the_day_after():
    reference = reference_after(24 + 12, lambda _: 0.5)
    reference.hold(0.5)
    for hour in range(36, 40):
        reference.absorb(hour * HOUR_MS, 0.125)
    reference.release()
    for hour in range(40, 60):
        reference.absorb(hour * HOUR_MS, 0.5)
    assert reference.level(62 * HOUR_MS) == 0.5


def test_what_lasted_as_long_as_it_reaches_back_becomes_normal():
    reference = reference_after(30, lambda _: 0.5)
    reference.hold(0.5)
    for hour in range(30, 54):
        assert not reference.renew(hour * HOUR_MS, 30 * HOUR_MS)
        assert reference.level(hour * HOUR_MS) == 0.5
        reference.absorb(hour * HOUR_MS, 0.25)
    # Half of the stretch around the beginning of the drop was read before it.
    assert reference.renew(54 * HOUR_MS, 30 * HOUR_MS)
    assert reference.level(57 * HOUR_MS) == 0.25
    assert not reference.renew(58 * HOUR_MS, 30 * HOUR_MS)


def test_memory_is_fixed_when_it_is_made():
    week = SameTimeReference(SameTimeBefore(same_time_before="7d"))
    empty = n_bytes(week.state_dict())
    for minute in range(0, 15 * 24 * 60, 7):
        week.absorb(minute * 60_000, 0.5)
    assert n_bytes(week.state_dict()) == empty < 90_000
    assert week.level(15 * DAY_MS) == 0.5


def n_bytes(state) -> int:
    if isinstance(state, dict):
        return sum(map(n_bytes, state.values()))
    return state.nbytes if isinstance(state, np.ndarray) else 0


class TestSameTimeReferenceState(StatefulContract):
    @staticmethod
    def make() -> SameTimeReference:
        return SameTimeReference(SameTimeBefore(same_time_before="12h", over="4h"))

    @staticmethod
    def drive(reference: SameTimeReference, step: int) -> list[float | bool | None]:
        told: list[float | bool | None] = []
        for hour in range(step * 7, step * 7 + 7):
            at = hour * HOUR_MS
            if hour == 20:
                reference.hold(0.5)
            told += [reference.renew(at, 20 * HOUR_MS), reference.level(at)]
            reference.absorb(at, (hour * 37 % 64) / 64)
        return told
