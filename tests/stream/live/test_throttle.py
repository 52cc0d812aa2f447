import logging
import threading

import pytest

from stream.live.throttle import Throttle


class Clock:
    now_s = 0.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def throttle(clock):
    return Throttle("kafka", clock)


def line(message, *args, name="kafka.net.manager", level=logging.WARNING):
    return logging.LogRecord(name, level, "", 0, message, args, None)


def test_one_of_like_lines_passes_a_minute_and_counts_the_others(throttle, clock):
    passed = []
    for second in range(0, 130, 10):
        clock.now_s = float(second)
        record = line("Bootstrap to %s failed (backoff %.2f secs)", "node-0", second / 7)
        if throttle.filter(record):
            passed.append((second, record.getMessage()))
    assert passed == [
        (0, "Bootstrap to node-0 failed (backoff 0.00 secs)"),
        (60, "Bootstrap to node-0 failed (backoff 8.57 secs) (and 5 more like it since)"),
        (120, "Bootstrap to node-0 failed (backoff 17.14 secs) (and 5 more like it since)"),
    ]


@pytest.mark.parametrize(
    "other",
    [
        line("connection to node-1 lost"),
        line("connection to node-0 lost", level=logging.ERROR),
        line("connection to node-0 lost", name="kafka.net.connection"),
        line("connection to 127.0.0.1:9092 lost"),
    ],
)
def test_lines_that_say_something_else_pass(throttle, other):
    assert throttle.filter(line("connection to node-0 lost"))
    assert throttle.filter(line("connection to 127.0.0.2:9092 lost"))
    assert throttle.filter(other)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("backoff 0.12 secs", "backoff 25.97 secs"),
        ("waiting 3 secs", "waiting 12 secs"),
        ("timed out after 100 ms", "timed out after 30000 ms"),
        ("[127.0.0.1:9092<-35188]: disconnected", "[127.0.0.1:9092<-35190]: disconnected"),
        ("Task object at 0x7f8b467b9750> ran", "Task object at 0x7f8b467b9b10> ran"),
    ],
)
def test_what_differs_each_time_makes_no_other_line(throttle, first, second):
    assert throttle.filter(line(first))
    assert not throttle.filter(line(second))


def test_lines_of_other_loggers_and_lower_levels_are_left_alone(throttle):
    for record in (
        line("again", name="freshrank.alerts"),
        line("again", name="kafkaesque"),
        line("again", level=logging.INFO),
        line("again", level=logging.DEBUG),
    ):
        assert [throttle.filter(record) for _ in range(3)] == [True] * 3
    assert [throttle.filter(line("again", name="kafka")) for _ in range(2)] == [True, False]


def test_what_is_remembered_is_bounded(throttle):
    for number in range(1000):
        assert throttle.filter(line(f"topic-{number} is away"))
    assert len(throttle._seen) == 256
    assert throttle.filter(line("topic-0 is away"))
    assert not throttle.filter(line("topic-999 is away"))


def test_many_threads_at_once_lose_no_count(throttle, clock):
    def say():
        for _ in range(200):
            throttle.filter(line("again"))

    threads = [threading.Thread(target=say) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    clock.now_s = 61.0
    last = line("again")
    assert throttle.filter(last)
    assert last.getMessage() == "again (and 1599 more like it since)"
