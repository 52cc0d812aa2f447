import threading

import pytest
from structlog.testing import capture_logs

from stream.errors import SinkError
from stream.kafka.writing.messages import Message, Place
from stream.kafka.writing.unacknowledged import Unacknowledged
from tests.conformance.stateful_contract import StatefulContract

PLACE = Place("9f", 2, 40)


def message(number, n_bytes=10):
    return Message(None, b"%0*d" % (n_bytes, number), (("name", b"value"),))


def filled(n_messages, max_messages=100, max_bytes=1 << 20):
    waiting = Unacknowledged("metrics", max_messages, max_bytes)
    for number in range(n_messages):
        waiting.put(message(number))
    return waiting


def numbers(waiting, max_messages=100, max_bytes=1 << 20):
    first, taken = waiting.next_messages(max_messages, max_bytes, timeout_s=0)
    return list(range(first, first + len(taken)))


class TestState(StatefulContract):
    @staticmethod
    def make():
        return Unacknowledged("metrics", 100, 1 << 20)

    @staticmethod
    def drive(waiting, step):
        waiting.put(message(2 * step))
        waiting.put(message(2 * step + 1))
        waiting.acknowledge(2 * step - 1, Place("9f", 2, step))
        return numbers(waiting)


def test_messages_are_numbered_and_come_in_order():
    waiting = filled(3)
    assert waiting.next_messages(100, 1 << 20, 0) == (0, [message(n) for n in range(3)])


def test_messages_stay_until_they_are_acknowledged():
    waiting = filled(3)
    assert numbers(waiting) == numbers(waiting) == [0, 1, 2]
    waiting.acknowledge(1, PLACE)
    assert numbers(waiting) == [2]
    assert len(waiting) == 1


def test_no_more_messages_come_than_are_asked_for():
    assert numbers(filled(9), max_messages=4) == [0, 1, 2, 3]


def test_no_more_bytes_come_than_are_asked_for_unless_one_has_them_all():
    waiting = filled(9)
    size = message(0).n_bytes
    assert numbers(waiting, max_bytes=3 * size) == [0, 1, 2]
    assert numbers(waiting, max_bytes=1) == [0]


def test_a_number_that_was_sent_before_a_crash_is_dropped_when_it_is_written_again():
    waiting = filled(2)
    waiting.acknowledge(4, PLACE)
    for number in range(2, 7):
        waiting.put(message(number))
    assert waiting.next_messages(100, 1 << 20, 0) == (5, [message(5), message(6)])


def test_a_state_saved_while_the_past_is_repeated_knows_what_was_sent():
    waiting = filled(2)
    waiting.acknowledge(4, PLACE)
    waiting.put(message(2))
    resumed = Unacknowledged("metrics", 100, 1 << 20)
    resumed.load_state_dict(waiting.state_dict())
    assert resumed.place == PLACE
    for number in range(3, 6):
        resumed.put(message(number))
    assert numbers(resumed) == [5]


def test_an_older_acknowledgement_takes_nothing_back():
    waiting = filled(4)
    waiting.acknowledge(2, PLACE)
    waiting.acknowledge(-1, PLACE)
    assert numbers(waiting) == [3]
    waiting.put(message(4))
    assert numbers(waiting) == [3, 4]


def test_another_message_takes_the_number_of_the_first():
    waiting = filled(2)
    waiting.replace_first(message(7))
    assert waiting.next_messages(100, 1 << 20, 0) == (0, [message(7), message(1)])


def put_in_thread(waiting, number):
    thread = threading.Thread(target=waiting.put, args=(message(number),))
    thread.start()
    return thread


@pytest.mark.parametrize("limits", [(3, 1 << 20), (100, 3 * message(0).n_bytes)])
def test_a_full_queue_makes_the_writer_wait_until_there_is_room(limits):
    waiting = filled(3, *limits)
    thread = put_in_thread(waiting, 3)
    thread.join(0.05)
    assert thread.is_alive()
    assert numbers(waiting) == [0, 1, 2]
    waiting.acknowledge(0, PLACE)
    thread.join(5)
    assert numbers(waiting) == [1, 2, 3]


def test_one_message_finds_room_however_large():
    waiting = Unacknowledged("metrics", 1, 1)
    waiting.put(message(0, n_bytes=1000))
    assert len(waiting) == 1


def test_a_long_wait_is_logged_once():
    waiting = filled(1, max_messages=1)
    with capture_logs() as logs:
        thread = put_in_thread(waiting, 1)
        thread.join(0.5)
        waiting.let_pass()
        thread.join(5)
    assert [(log["event"], log["messages"]) for log in logs] == [
        ("the loop waits until a topic takes messages again", 1)
    ]


def test_who_waits_for_room_is_heard_of_and_beats_meanwhile():
    beats = threading.Semaphore(0)
    waiting = filled(1, max_messages=1)
    waiting.while_waiting(beats.release)
    assert not waiting.is_waited_for
    thread = put_in_thread(waiting, 1)
    assert all(beats.acquire(timeout=5) for _ in range(3))
    assert waiting.is_waited_for
    waiting.acknowledge(0, PLACE)
    thread.join(5)
    assert not waiting.is_waited_for


def test_nobody_waits_any_more_when_the_end_is_near():
    waiting = filled(3, max_messages=3)
    thread = put_in_thread(waiting, 3)
    waiting.let_pass()
    thread.join(5)
    waiting.put(message(4))
    assert numbers(waiting) == [0, 1, 2, 3, 4]


def test_a_failure_is_told_to_whoever_writes_and_whoever_waits():
    waiting = filled(1, max_messages=1)
    told = []

    def put():
        try:
            waiting.put(message(1))
        except SinkError as err:
            told.append(str(err))

    thread = threading.Thread(target=put)
    thread.start()
    waiting.fail(SinkError("no permission"))
    waiting.fail(SinkError("a later one"))
    thread.join(5)
    assert told == ["no permission"]
    with pytest.raises(SinkError, match="no permission"):
        waiting.put(message(1))
    assert numbers(waiting) == [0]
