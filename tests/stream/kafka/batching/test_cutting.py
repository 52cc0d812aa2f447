import pytest

from stream.kafka.batching.cutting import Cutter
from stream.kafka.batching.lanes import Lane
from stream.kafka.fetching.handover import Mark
from stream.kafka.fetching.positions import Cursor
from stream.sources.batching import BatchConfig
from tests.stream.kafka.made import chunk

AT_END = Mark("a", 0, 0)
BEHIND = Mark("a", 0, 99)
FULL = Mark("a", 0, 99, is_full=True)


def lane(number, *ts, arrived_s=0.0):
    made = Lane(f"clicks/{number}", Cursor(0, "a"), 10**9, lambda *_: None)
    if ts:
        made.add(chunk(0, len(ts), ts=list(ts), arrived_s=arrived_s))
    return made


def asked(lanes, marks, now_s=0.0, is_forced=False, cutter=None, events=4):
    cutter = cutter or Cutter(BatchConfig(events=events, max_age_ms=500))
    named = {one.name: mark for one, mark in zip(lanes, marks, strict=True)}
    return cutter.counts(lanes, named, now_s, is_forced)


def test_enough_records_are_cut_at_once_the_earliest_first():
    lanes = [lane(0, 1, 4, 9), lane(1, 2, 3, 5)]
    assert asked(lanes, [AT_END, AT_END]) == [2, 2]


@pytest.mark.parametrize(("now_s", "counts"), [(10.4, None), (10.6, [2, 1])])
def test_few_records_wait_until_the_first_is_old_enough(now_s, counts):
    lanes = [lane(0, 1, 4, arrived_s=10.0), lane(1, 2, arrived_s=10.3)]
    assert asked(lanes, [AT_END, AT_END], now_s) == counts


def test_what_is_ahead_of_a_partition_that_is_behind_waits_for_it():
    lanes = [lane(0, 1, 7, 8, 9), lane(1)]
    cutter = Cutter(BatchConfig(events=2, max_age_ms=500))
    assert asked(lanes, [AT_END, BEHIND], 10.0, cutter=cutter) is None
    assert cutter.wait_s == pytest.approx(0.5)
    lanes[1].add(chunk(0, 2, ts=[2, 3]))
    assert asked(lanes, [AT_END, BEHIND], 10.1, cutter=cutter) == [1, 1]


def test_but_no_longer_than_a_batch_may_wait_since_it_was_asked_for():
    lanes = [lane(0, 1, 7, 8, 9, arrived_s=0.0), lane(1)]
    cutter = Cutter(BatchConfig(events=2, max_age_ms=500))
    assert asked(lanes, [AT_END, BEHIND], 10.0, cutter=cutter) is None
    assert asked(lanes, [AT_END, BEHIND], 10.4, cutter=cutter) is None
    assert asked(lanes, [AT_END, BEHIND], 10.6, cutter=cutter) == [2, 0]
    assert asked(lanes, [AT_END, BEHIND], 10.7, cutter=cutter) is None


def test_a_partition_that_cannot_grow_is_not_waited_for():
    lanes = [lane(0, 1, 2, arrived_s=10.0), lane(1, 7, 8, arrived_s=10.0)]
    assert asked(lanes, [BEHIND, AT_END], 10.0) is None
    assert asked(lanes, [FULL, AT_END], 10.0) == [2, 0]


def test_a_jump_is_not_waited_for():
    lanes = [lane(0, 1, 2, arrived_s=10.0), lane(1, 7, 8, arrived_s=10.0)]
    lanes[0].add(chunk(50, 52))
    assert asked(lanes, [AT_END, AT_END], 10.0) == [2, 0]


def test_a_forced_cut_takes_what_is_there_and_be_it_nothing():
    assert asked([lane(0, 1), lane(1)], [AT_END, BEHIND], is_forced=True) == [1, 0]
    assert asked([lane(0), lane(1)], [AT_END, BEHIND], is_forced=True) == [0, 0]
    assert asked([lane(0), lane(1)], [AT_END, BEHIND]) is None


def test_many_batches_are_cut_of_one_order():
    lanes = [lane(0, *range(0, 40, 2)), lane(1, *range(1, 41, 2))]
    cutter = Cutter(BatchConfig(events=4, max_age_ms=500))
    for _ in range(10):
        counts = asked(lanes, [AT_END, AT_END], cutter=cutter)
        for one, count in zip(lanes, counts, strict=True):
            one.take(count)
        assert counts == [2, 2]
    assert asked(lanes, [AT_END, AT_END], 99.0, cutter=cutter) is None


def test_a_lane_that_appears_gets_its_turn():
    lanes = [lane(0, 10, 11, 12, 13)]
    cutter = Cutter(BatchConfig(events=2, max_age_ms=500))
    assert asked(lanes, [AT_END], cutter=cutter) == [2]
    lanes[0].take(2)
    lanes.insert(0, lane(1, 1, 2))
    assert asked(lanes, [AT_END, AT_END], cutter=cutter) == [2, 0]
