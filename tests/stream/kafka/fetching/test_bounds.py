from contextlib import contextmanager

import pytest
from kafka import TopicPartition
from kafka.errors import KafkaTimeoutError, TopicAuthorizationFailedError

from stream.kafka.fetching.bounds import Bounds
from tests.stream.kafka.fakes_kafka import FakeBroker

PARTS = [TopicPartition("clicks", number) for number in range(4)]


class Asked:
    """A consumer of a fake broker that notes what it is asked, and takes a second for no answer."""

    def __init__(self, *leaderless):
        self.broker = FakeBroker(clicks=4)
        self.broker.leaderless = {("clicks", number) for number in leaderless}
        self.consumer = self.broker.open().consumer
        self.now_s = 0.0
        self.questions = []
        self.bounds = Bounds(self, lambda: self.now_s)

    @contextmanager
    def _noted(self, parts):
        self.questions.append([part.partition for part in parts])
        try:
            yield
        except KafkaTimeoutError:
            self.now_s += 1.0
            raise

    def beginning_offsets(self, parts, timeout_ms):
        with self._noted(parts):
            return self.consumer.beginning_offsets(parts, timeout_ms)

    def end_offsets(self, parts, timeout_ms):
        with self._noted(parts):
            return self.consumer.end_offsets(parts, timeout_ms)


def test_all_are_asked_about_at_once():
    asked = Asked()
    asked.broker.click("clicks/2", 1000)
    assert asked.bounds.both(PARTS, 500) == {part: (0, int(part == PARTS[2])) for part in PARTS}
    assert asked.questions == [[0, 1, 2, 3]] * 2
    assert asked.bounds.problem is None


def test_one_that_nobody_answers_for_is_left_out_and_asked_about_apart_from_then_on():
    asked = Asked(1)
    assert sorted(asked.bounds.ends(PARTS, 500)) == [PARTS[0], PARTS[2], PARTS[3]]
    assert asked.bounds.problem == (
        "source.kafka.topics: nobody answers for clicks/1: they may have no leader"
    )
    asked.questions.clear()
    asked.broker.leaderless = set()
    assert sorted(asked.bounds.ends(PARTS, 500)) == PARTS
    assert asked.questions == [[0, 2, 3], [1]]
    assert asked.bounds.problem is None


def test_they_are_not_waited_for_longer_than_some_seconds_and_take_turns():
    asked = Asked(0, 1, 2)
    assert asked.bounds.ends(PARTS, 500) == {}
    assert asked.questions == [[0, 1, 2, 3], [0], [1]]
    asked.questions.clear()
    assert asked.bounds.ends(PARTS, 500) == {PARTS[3]: 0}
    assert asked.questions == [[2], [3], [0]]


def test_what_no_waiting_mends_is_raised():
    asked = Asked()

    def forbidden(parts, timeout_ms):
        raise TopicAuthorizationFailedError("clicks")

    asked.end_offsets = forbidden
    with pytest.raises(TopicAuthorizationFailedError):
        asked.bounds.ends(PARTS, 500)


def test_a_partition_that_is_gone_is_not_spoken_of():
    asked = Asked(1)
    asked.bounds.ends(PARTS, 500)
    asked.bounds.keep([PARTS[0]])
    assert asked.bounds.problem is None
