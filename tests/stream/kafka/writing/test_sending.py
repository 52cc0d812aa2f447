import threading
import time
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from stream.errors import JournalError, SinkError
from stream.kafka.writing.messages import dead_letter_message
from tests.brokers import create_topic, delete_topic, unique_name
from tests.kafka_sinks import (
    LIMITS,
    headers_of,
    messages_on,
    numbers_on,
    record,
    seqs_on,
    sink_on,
    wait_until,
    wait_until_sent,
    write,
)

SMALL_TOPIC = {"max.message.bytes": "2000"}
LETTER = {"seq": 1, "name": "dead_letter-0", "origin": "c[0]@3", "reason": "no JSON"}


def failure_of(sink):
    """What the next flush raises, as soon as there is something."""
    give_up_s = time.monotonic() + 20
    while time.monotonic() < give_up_s:
        try:
            sink.flush()
        except SinkError as err:
            return str(err)
        time.sleep(0.01)
    raise AssertionError("nothing was raised")


def test_nothing_leaves_before_what_it_rests_on_is_on_disk(kafka, topic):
    name = topic()
    order = []
    may_leave = threading.Event()

    def sync():
        order.append(len(messages_on(kafka, name)))
        may_leave.wait()

    sink = sink_on(kafka, name, before_send=sync)
    write(sink, 0, 1)
    wait_until(lambda: order)
    assert messages_on(kafka, name) == []
    may_leave.set()
    sink.close()
    assert order[0] == 0
    assert seqs_on(kafka, name) == [0, 1]


def test_what_keeps_a_message_from_leaving_is_raised_in_the_loop(kafka, topic):
    name = topic()

    def sync():
        raise JournalError("journal cannot be written to disk")

    sink = sink_on(kafka, name, before_send=sync)
    write(sink, 0)
    with pytest.raises(JournalError, match="journal cannot be written"):
        wait_until(sink.flush)
    with pytest.raises(JournalError):
        sink.close()
    assert messages_on(kafka, name) == []


def test_a_topic_that_does_not_exist_is_told_with_its_setting(kafka):
    name = unique_name("missing")
    sink = sink_on(kafka, name, output="alerts")
    write(sink, 0)
    told = failure_of(sink)
    assert told.startswith(f"outputs.kafka.alerts: topic {name} cannot be written: no such topic")
    with pytest.raises(SinkError):
        sink.write(record(1))
    with pytest.raises(SinkError):
        sink.close()
    assert len(sink.state_dict()["messages"]) == 1


def test_a_topic_that_is_made_a_moment_later_is_waited_for(kafka):
    name = unique_name("late")
    patient = replace(LIMITS, patience=replace(LIMITS.patience, refused_s=20.0))
    sink = sink_on(kafka, name, limits=patient)
    write(sink, 0)
    wait_until(lambda: sink.is_lost)
    create_topic(kafka.bootstrap, name)
    wait_until_sent(sink)
    sink.close()
    assert seqs_on(kafka, name) == [0]
    delete_topic(kafka.bootstrap, name)


def test_a_broker_that_is_not_there_is_told_once(nowhere):
    sink = sink_on(nowhere, "t")
    with capture_logs() as logs:
        write(sink, 0)
        wait_until(lambda: sink.is_lost)
        time.sleep(0.5)  # for a second attempt and a third
        sink.close()
    lost = [log for log in logs if "cannot be reached" in log["event"]]
    assert len(lost) == 1
    assert f"no broker answers at {nowhere.bootstrap}" in lost[0]["reason"]
    assert logs[-1]["event"].startswith("messages were not sent")


def test_a_request_that_is_too_large_goes_in_parts(kafka, topic):
    name = topic(1, SMALL_TOPIC)
    sink = sink_on(kafka, name)
    write(sink, *range(300))
    sink.close()
    assert numbers_on(kafka, name) == list(range(300))


def test_a_record_that_is_too_large_stops_the_run_in_the_name_of_its_setting(kafka, topic):
    name = topic(1, SMALL_TOPIC)
    sink = sink_on(kafka, name)
    write(sink, 0, 1)
    sink.write({**record(2), "pad": "x" * 3000})
    write(sink, 3)
    told = failure_of(sink)
    assert told.startswith(f"outputs.kafka.metrics: topic {name} takes no message as large as ")
    assert "number 2 with 3050 bytes: raise the topic's max.message.bytes" in told
    assert seqs_on(kafka, name) == [0, 1]
    with pytest.raises(SinkError):
        sink.close()


def test_a_dead_letter_that_is_too_large_is_cut_and_says_so(kafka, topic):
    name = topic(1, SMALL_TOPIC)
    sink = sink_on(kafka, name, output="dead_letters", message=dead_letter_message)
    sizes = [10, 5000, 20, 6001, 1000]
    raws = [bytes([65 + i]) * size for i, size in enumerate(sizes)]
    for raw in raws:
        sink.write({**LETTER, "raw": raw})
    sink.close()
    messages = messages_on(kafka, name)
    assert [int(headers_of(one)["freshrank-number"]) for one in messages] == [0, 1, 2, 3, 4]
    assert [len(one.value) for one in messages] == [10, 1250, 20, 1500, 1000]
    assert all(raw.startswith(one.value) for raw, one in zip(raws, messages, strict=True))
    cuts = [headers_of(one).get("freshrank-cut") for one in messages]
    assert cuts == [None, b"5000", None, b"6001", None]


def test_a_dead_letter_larger_than_any_request_is_cut(kafka, topic):
    name = topic()
    sink = sink_on(kafka, name, output="dead_letters", message=dead_letter_message)
    sink.write({**LETTER, "raw": b"x" * (40 << 20)})
    sink.write({**LETTER, "raw": b"y"})
    sink.close()
    large, small = messages_on(kafka, name)
    assert headers_of(large)["freshrank-cut"] == b"%d" % (40 << 20)
    assert len(large.value) == 40 << 14  # halved until a megabyte holds it with its headers
    assert small.value == b"y"


def test_a_sink_leaves_no_thread_behind(kafka, topic):
    before = threading.active_count()
    for _ in range(3):
        sink = sink_on(kafka, topic())
        write(sink, 0)
        wait_until_sent(sink)
        sink.close()
    wait_until(lambda: threading.active_count() == before)
