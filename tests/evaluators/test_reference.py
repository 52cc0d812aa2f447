import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluators.reference import REFERENCE_BUCKETS, Reference, TrailingMean
from stream.durations import Span
from tests.conformance.stateful_contract import StatefulContract

WEEK_MS = 604_800_000


@given(
    size=st.integers(1, 1000),
    steps=st.lists(st.tuples(st.integers(0, 300), st.integers(0, 64)), max_size=60),
)
def test_the_mean_equals_the_one_recomputed_over_all_readings(size, steps):
    trailing, readings, at = TrailingMean(size), [], 0
    width = math.ceil(size / (REFERENCE_BUCKETS - 1))
    for step, sixty_fourths in steps:
        at += step
        recent = [
            value
            for then, value in readings
            if at // width - then // width <= math.ceil(size / width)
        ]
        expected = sum(recent) / len(recent) if recent else None
        got = trailing.mean(at)
        if got is not None:
            assert got == expected
        # Sixty-fourths add up exactly, in any order.
        trailing.add(at, sixty_fourths / 64)
        readings.append((at, sixty_fourths / 64))


def test_a_mean_is_known_once_the_readings_span_the_whole_stretch():
    trailing = TrailingMean(1000)
    trailing.add(5_000, 1.0)
    trailing.add(5_600, 2.0)
    assert trailing.mean(5_999) is None
    assert trailing.mean(6_000) == 1.5


def test_after_a_gap_longer_than_the_stretch_the_readings_span_it_anew():
    trailing = TrailingMean(100)
    for at in range(0, 101, 10):
        trailing.add(at, 1.0)
    assert trailing.mean(200) == 1.0
    trailing.add(201, 3.0)
    trailing.add(299, 5.0)
    assert trailing.mean(300) is None
    assert trailing.mean(301) == 4.0


def test_a_week_of_readings_every_minute_takes_two_arrays_of_128():
    trailing = TrailingMean(WEEK_MS)
    for at in range(0, 2 * WEEK_MS, 60_000):
        trailing.add(at, 0.25)
    arrays = [value for value in trailing.state_dict().values() if isinstance(value, np.ndarray)]
    assert [len(array) for array in arrays] == [128, 128]
    assert trailing.mean(2 * WEEK_MS) == 0.25


def reference_after(values: dict[int, float], size: int = 10) -> Reference:
    reference = Reference(Span(events=size))
    for at, value in values.items():
        reference.absorb(at, value)
    return reference


def test_a_reference_that_is_held_stands_still_and_leaves_out_what_comes():
    reference = reference_after(dict.fromkeys(range(11), 0.5))
    reference.hold(0.5)
    for at in range(11, 15):
        reference.absorb(at, 0.125)
        assert reference.level(at) == 0.5
    reference.release()
    assert reference.level(15) == 0.5


def test_a_drop_that_fires_for_as_long_as_the_reference_becomes_the_normal():
    reference = reference_after(dict.fromkeys(range(11), 0.5))
    reference.hold(0.5)
    for at in range(11, 24):
        reference.absorb(at, 0.125)
    reference.renew(22, fired_at=13)
    assert reference.level(22) == 0.5
    reference.renew(24, fired_at=14)
    assert reference.level(24) == 0.125


def test_a_new_normal_goes_on_trailing_while_the_rule_still_fires():
    reference = reference_after(dict.fromkeys(range(11), 0.5))
    reference.hold(0.5)
    for at in range(11, 24):
        reference.absorb(at, 0.125)
    reference.renew(24, fired_at=14)
    for at in range(24, 34):
        reference.absorb(at, 0.25)
    assert reference.level(34) == pytest.approx(0.25)


def test_a_new_normal_holds_nothing_of_an_earlier_drop():
    reference = reference_after(dict.fromkeys(range(300), 0.5), size=200)
    reference.hold(0.5)
    reference.absorb(300, 0.0)
    reference.release()
    reference.hold(0.5)
    for at in range(301, 501):  # 300 and 301 share a bucket
        reference.absorb(at, 0.25)
    reference.renew(501, fired_at=301)
    assert reference.level(501) == 0.25


def test_nothing_becomes_normal_when_nothing_was_read_for_the_whole_stretch():
    reference = reference_after(dict.fromkeys(range(11), 0.5))
    reference.hold(0.5)
    reference.absorb(11, 0.125)
    reference.renew(40, fired_at=11)
    assert reference.level(40) == 0.5


class TestReferenceState(StatefulContract):
    @staticmethod
    def make() -> Reference:
        return Reference(Span(time_ms=400))

    @staticmethod
    def drive(reference: Reference, step: int) -> list[float | None]:
        seen = []
        for at in range(step * 300, step * 300 + 300, 25):
            reference.renew(at, fired_at=700)
            seen.append(reference.level(at))
            if at == 600:
                reference.hold(0.5)
            reference.absorb(at, (at % 7) / 8)
        return seen
