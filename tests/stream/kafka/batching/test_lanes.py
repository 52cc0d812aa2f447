import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.journal import Range
from stream.kafka.batching.lanes import Lane
from stream.kafka.fetching.chunks import nothing
from stream.kafka.fetching.positions import Cursor
from tests.stream.kafka.made import chunk


class Opened:
    """A lane, and what it told of room."""

    def __init__(self, offset=0, topic_id="a", ts_ms=0, max_ahead_ms=10_000):
        self.used = []
        self.lane = Lane(
            "clicks/3",
            Cursor(offset, topic_id, ts_ms),
            max_ahead_ms,
            lambda *told: self.used.append(told),
        )


def origins(taken):
    return [origin for part in taken for origin in part.origins]


def offsets(taken):
    return [int(origin.partition("@")[2]) for origin in origins(taken)]


def test_records_are_taken_in_order_across_chunks():
    opened = Opened()
    opened.lane.add(chunk(0, 3))
    opened.lane.add(chunk(3, 5))
    assert origins(opened.lane.take(4)) == [f"clicks[3]@{n}" for n in range(4)]
    assert (opened.lane.offset, opened.lane.n_ready, opened.lane.fetched) == (4, 1, 5)
    assert opened.used == [("clicks/3", 3, 21)]


def test_a_range_ends_behind_the_last_record_or_behind_the_chunk():
    opened = Opened()
    opened.lane.add(chunk(0, 9, offsets=[0, 4, 5]))
    opened.lane.take(2)
    assert opened.lane.offset == 5
    opened.lane.take(1)
    assert opened.lane.offset == 9


def test_offsets_without_records_are_gone_over_by_the_next_range():
    opened = Opened()
    opened.lane.add(nothing("a", 0, 4, 0.0))
    assert (opened.lane.offset, opened.lane.fetched, opened.lane.is_moved) == (0, 4, False)
    opened.lane.add(chunk(4, 6))
    assert offsets(opened.lane.take(2)) == [4, 5]
    assert opened.lane.offset == 6


def test_or_by_whoever_asks_for_it_when_all_records_were_taken():
    opened = Opened()
    opened.lane.add(chunk(0, 2))
    opened.lane.add(nothing("a", 2, 4, 0.0))
    opened.lane.catch_up()
    assert (opened.lane.offset, opened.lane.is_short, opened.lane.is_moved) == (0, False, False)
    opened.lane.take(2)
    opened.lane.add(nothing("a", 4, 5, 0.0))
    assert opened.lane.is_short
    opened.lane.catch_up()
    assert (opened.lane.offset, opened.lane.is_short, opened.lane.is_moved) == (5, False, True)


def test_a_jump_of_the_journal_that_nothing_was_read_after_is_not_waited_for():
    lane = Opened().lane
    assert not lane.has_passed(Range("a", 0, 4, 7))
    lane.add(chunk(0, 4))
    assert offsets(lane.take_of(Range("a", 0, 4, 7))) == [0, 1, 2, 3]
    assert lane.has_passed(Range("a", 0, 4, 7))
    assert lane.has_passed(Range("a", 9, 9, 7))
    lane.add(chunk(9, 10))
    assert (lane.offset, lane.n_ready, lane.is_moved) == (9, 1, False)


@pytest.mark.parametrize(("start", "topic_id"), [(9, "a"), (2, "b"), (0, "b")])
def test_records_beyond_a_jump_wait_until_the_others_are_taken(start, topic_id):
    opened = Opened()
    opened.lane.add(chunk(0, 2))
    opened.lane.add(chunk(start, start + 2, topic_id=topic_id))
    opened.lane.add(chunk(start + 2, start + 3, topic_id=topic_id))
    assert (opened.lane.n_ready, opened.lane.n_waiting) == (2, 5)
    opened.lane.take(2)
    assert (opened.lane.offset, opened.lane.is_moved) == (2, False)
    opened.lane.settle()
    assert (opened.lane.offset, opened.lane.topic_id) == (start, topic_id)
    assert (opened.lane.is_moved, opened.lane.n_ready) == (True, 3)


def test_a_jump_without_records_moves_an_empty_lane_at_once():
    opened = Opened(offset=5)
    opened.lane.add(nothing("a", 90, 90, 0.0))
    assert (opened.lane.offset, opened.lane.is_moved) == (90, True)


def test_the_order_of_a_partition_is_kept_and_a_wrong_clock_does_not_hold_it_up():
    opened = Opened(ts_ms=1_000)
    opened.lane.add(chunk(0, 4, ts=[1_500, 900_000, 1_200, 1_700]))
    assert opened.lane.keys().tolist() == [1_500, 1_500, 1_500, 1_700]
    opened.lane.take(3)
    assert (opened.lane.keys().tolist(), opened.lane.last_key) == ([1_700], 1_700)


def test_nor_does_one_that_comes_alone():
    opened = Opened(ts_ms=1_000)
    for n, ts_ms in enumerate([1_500, 900_000, 1_600]):
        opened.lane.add(chunk(n, n + 1, ts=[ts_ms]))
    assert opened.lane.keys().tolist() == [1_500, 1_500, 1_600]


def test_a_topic_that_gets_an_id_is_the_same_topic():
    opened = Opened(topic_id="")
    opened.lane.add(chunk(0, 2))
    assert (opened.lane.n_ready, opened.lane.is_moved) == (2, False)


@given(
    sizes=st.lists(st.integers(1, 5), min_size=1, max_size=6),
    stops=st.lists(st.integers(0, 30), min_size=1, max_size=6, unique=True).map(sorted),
)
def test_ranges_of_a_journal_are_taken_however_they_came(sizes, stops):
    lane = Opened().lane
    ends = [sum(sizes[: n + 1]) for n in range(len(sizes))]
    chunks = [chunk(end - size, end) for size, end in zip(sizes, ends, strict=True)]
    stops = [stop for stop in stops if stop <= ends[-1]]
    start = 0
    for stop in stops:
        part = Range("a", start, stop, 7)
        taken = lane.take_of(part)
        while not lane.has_passed(part):
            lane.add(chunks.pop(0))
            taken += lane.take_of(part)
        assert offsets(taken) == list(range(start, stop))
        assert (lane.offset, lane.topic_id, lane.time.ts_ms) == (stop, "a", 7)
        start = stop


def test_of_a_range_that_is_partly_gone_the_rest_is_taken():
    lane = Opened().lane
    lane.add(chunk(0, 2))
    lane.add(nothing("a", 5, 5, 0.0))
    lane.add(chunk(5, 9))
    part = Range("a", 0, 7, 0)
    assert offsets(lane.take_of(part)) == [0, 1, 5, 6]
    assert lane.has_passed(part)
    assert (lane.offset, lane.is_moved) == (7, False)


def test_of_a_range_in_a_topic_that_is_gone_nothing_is_taken():
    lane = Opened().lane
    lane.add(chunk(0, 9, topic_id="b"))
    part = Range("a", 0, 7, 0)
    assert lane.take_of(part) == []
    assert lane.has_passed(part)
    following = Range("b", 0, 4, 0)
    assert offsets(lane.take_of(following)) == [0, 1, 2, 3]
    assert lane.has_passed(following)


@pytest.mark.parametrize("are_records_there", [True, False])
def test_a_jump_beyond_what_is_repeated_is_remembered(are_records_there):
    lane = Opened().lane
    lane.add(nothing("a", 30, 30, 0.0))
    if are_records_there:
        lane.add(chunk(30, 32))
    assert lane.has_passed(Range("a", 0, 20, 5))
    lane.settle()
    assert (lane.offset, lane.is_moved, lane.time.ts_ms) == (30, True, 5)


def test_a_range_that_ends_amid_a_chunk_is_no_jump():
    lane = Opened().lane
    lane.add(chunk(0, 9, offsets=[0, 4, 5]))
    part = Range("a", 0, 6, 0)
    assert offsets(lane.take_of(part)) == [0, 4, 5]
    assert lane.has_passed(part)
    assert (lane.offset, lane.is_moved) == (6, False)
