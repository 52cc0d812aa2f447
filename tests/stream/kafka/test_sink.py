import time
from contextlib import closing
from dataclasses import replace

import msgspec
import pytest
from kafka import KafkaProducer
from structlog.testing import capture_logs

from stream.errors import SinkError
from stream.kafka.sink import SinkLimits
from stream.kafka.writing.messages import dead_letter_message
from tests.brokers import (
    add_partitions,
    create_topic,
    delete_records,
    delete_topic,
    offsets,
    unique_name,
)
from tests.conformance.sink_contract import SinkContract
from tests.kafka_sinks import (
    LIMITS,
    headers_of,
    messages_on,
    numbers_on,
    record,
    seqs_on,
    sink_on,
    wait_until_sent,
    write,
)


class TestKafkaSink(SinkContract):
    examples = 4

    @pytest.fixture(autouse=True)
    def broker(self, kafka, topic):
        self.kafka = kafka
        self.new_topic = topic
        self.topic_of = {}

    def make(self, place):
        is_resumed = place in self.topic_of
        if not is_resumed:
            self.topic_of[place] = self.new_topic(3)
        return sink_on(self.kafka, self.topic_of[place], is_resumed=is_resumed)

    def read(self, place):
        messages = messages_on(self.kafka, self.topic_of[place])
        return [msgspec.json.decode(message.value) for message in messages]

    def crash(self, sink):
        sink.close(timeout_s=0)


@pytest.mark.acceptance
class TestKafkaSinkAtLength(TestKafkaSink):
    examples = 50


def saved(sink):
    """The state as it comes back from a checkpoint."""
    sink.flush()
    return msgspec.msgpack.decode(msgspec.msgpack.encode(sink.state_dict()))


def resumed(kafka, topic, state, **settings):
    sink = sink_on(kafka, topic, **settings)
    sink.load_state_dict(state)
    return sink


def test_a_message_says_of_which_run_and_record_it_is(kafka, topic):
    name = topic()
    sink = sink_on(kafka, name, output="alerts", run_id="4f2c")
    write(sink, 12, 13)
    sink.close()
    _, message = messages_on(kafka, name)
    assert message.key == b"4f2c"
    assert message.value == b'{"seq":13,"name":"recall@20","total":1.625}'
    assert headers_of(message) == {
        "freshrank-run": b"4f2c",
        "freshrank-output": b"alerts",
        "freshrank-number": b"1",
        "freshrank-seq": b"13",
        "freshrank-name": b"recall@20",
    }


def test_dead_letters_arrive_as_the_bytes_that_came(kafka, topic):
    name = topic()
    sink = sink_on(kafka, name, output="dead_letters", message=dead_letter_message)
    letter = {"seq": 1, "name": "dead_letter-0", "origin": "c[0]@3", "reason": "no JSON"}
    noise = bytes(range(256)) * 2000
    for raw in (b"", b"{\xff", noise):
        sink.write({**letter, "raw": raw})
    sink.close()
    messages = messages_on(kafka, name)
    assert [message.value for message in messages] == [b"", b"{\xff", noise]
    assert headers_of(messages[2])["freshrank-origin"] == b"c[0]@3"
    assert headers_of(messages[2])["freshrank-reason"] == b"no JSON"


def test_all_messages_of_a_run_lie_in_the_partition_that_its_id_has_for_every_client(kafka, topic):
    name = topic(5)
    run_ids = ("4f2c", "77aa", "0f3b7c", "r1")
    for run_id in run_ids:
        sink = sink_on(kafka, name, run_id=run_id)
        write(sink, *range(20))
        sink.close()
    with closing(KafkaProducer(bootstrap_servers=kafka.bootstrap)) as client:
        expected = {
            key: {client.send(name, b"{}", key=key).get(timeout=20).partition}
            for key in (run_id.encode() for run_id in run_ids)
        }
    found = {key: set() for key in expected}
    for message in messages_on(kafka, name):
        found[message.key].add(message.partition)
    assert found == expected
    assert len(set.union(*found.values())) > 1


def test_many_records_arrive_in_order(kafka, topic):
    name = topic(2)
    sink = sink_on(kafka, name)
    write(sink, *range(5_000))
    sink.close()
    assert numbers_on(kafka, name) == list(range(5_000))
    assert seqs_on(kafka, name) == list(range(5_000))


def test_two_outputs_of_a_run_may_share_a_topic(kafka, topic):
    name = topic()
    outputs = ("metrics", "alerts")
    first = {output: sink_on(kafka, name, output) for output in outputs}
    for sink in first.values():
        write(sink, 0, 1)
        wait_until_sent(sink)
    states = {output: saved(sink) for output, sink in first.items()}
    for sink in first.values():
        write(sink, 2)
        sink.close()
    for output in outputs:
        sink = resumed(kafka, name, states[output], output=output)
        write(sink, 2, 3)
        sink.close()
        assert numbers_on(kafka, name, output) == [0, 1, 2, 3]


def test_a_state_without_a_place_is_searched_for_in_the_whole_topic(kafka, topic):
    name = topic(3)
    sink = sink_on(kafka, name)
    state = sink.state_dict()
    assert state["place"] is None
    write(sink, *range(5))
    sink.close()
    again = resumed(kafka, name, state)
    write(again, *range(7))
    again.close()
    assert seqs_on(kafka, name) == list(range(7))


def test_a_run_that_crashed_before_its_first_checkpoint_repeats_nothing(kafka, topic):
    name = topic(3)
    sink = sink_on(kafka, name)
    write(sink, *range(5))
    sink.close()
    again = sink_on(kafka, name, is_resumed=True)
    write(again, *range(7))
    again.close()
    assert seqs_on(kafka, name) == list(range(7))


def test_a_crash_while_the_past_is_repeated_repeats_nothing(kafka, topic):
    name = topic()
    sink = sink_on(kafka, name)
    write(sink, 0)
    wait_until_sent(sink)
    state = saved(sink)
    write(sink, *range(1, 10))
    sink.close()
    again = resumed(kafka, name, state)
    write(again, 1, 2)
    wait_until_sent(again)
    state = saved(again)  # it stands at number 3, and the topic at 9
    again.close()
    last = resumed(kafka, name, state)
    write(last, *range(3, 12))
    last.close()
    assert seqs_on(kafka, name) == list(range(12))


def test_messages_that_retention_deleted_are_not_missed(kafka, topic):
    name = topic()
    sink = sink_on(kafka, name)
    write(sink, *range(3))
    wait_until_sent(sink)
    state = saved(sink)
    write(sink, *range(3, 9))
    sink.close()
    delete_records(kafka.bootstrap, name, {0: 6})
    again = resumed(kafka, name, state)
    write(again, *range(3, 12))
    again.close()
    assert seqs_on(kafka, name) == list(range(6, 12))


def test_a_topic_that_was_made_again_gets_what_the_old_one_never_had(kafka):
    name = create_topic(kafka.bootstrap, unique_name(), 1)
    sink = sink_on(kafka, name)
    write(sink, *range(5))
    sink.close()
    state = saved(sink)
    delete_topic(kafka.bootstrap, name)
    create_topic(kafka.bootstrap, name, 1)
    again = resumed(kafka, name, state)
    write(again, *range(5, 9))
    again.close()
    # The state is older than what the new topic has, and its offset lies amid that.
    once_more = resumed(kafka, name, state)
    write(once_more, *range(5, 12))
    once_more.close()
    assert seqs_on(kafka, name) == list(range(5, 12))
    delete_topic(kafka.bootstrap, name)


def test_a_run_stays_in_its_partition_when_others_are_added(kafka, topic):
    name = topic(1)
    sink = sink_on(kafka, name, run_id="run-a")
    write(sink, 0)
    sink.close()
    add_partitions(kafka.bootstrap, name, 5)  # by its id the run would lie in another one now
    again = resumed(kafka, name, saved(sink), run_id="run-a")
    write(again, 1, 2)
    again.close()
    assert offsets(kafka.bootstrap, name) == {0: (0, 3), **dict.fromkeys(range(1, 5), (0, 0))}


def test_a_run_that_moves_to_another_topic_goes_on_there(kafka, topic):
    old, new = topic(), topic(3)
    sink = sink_on(kafka, old)
    write(sink, 0, 1)
    sink.close()
    again = resumed(kafka, new, saved(sink))
    assert again.state_dict()["place"] is None
    write(again, 2, 3)
    again.close()
    assert (seqs_on(kafka, old), seqs_on(kafka, new)) == ([0, 1], [2, 3])


def test_a_state_of_another_run_is_refused(kafka):
    state = sink_on(kafka, "t", run_id="4f2c").state_dict()
    with pytest.raises(SinkError, match=r"outputs\.kafka\.metrics: the checkpoint is of run 4f2c"):
        sink_on(kafka, "t", run_id="77aa").load_state_dict(state)


def test_without_a_broker_the_state_holds_everything(nowhere, kafka, topic):
    name = topic()
    sink = sink_on(nowhere, name)
    write(sink, *range(50))
    sink.flush()
    state = saved(sink)
    sink.close()
    assert [message["value"] for message in state["messages"]] == [
        msgspec.json.encode(record(seq)) for seq in range(50)
    ]
    resumed(kafka, name, state).close()
    assert seqs_on(kafka, name) == list(range(50))


def test_a_topic_that_is_away_is_not_waited_for_at_the_end(nowhere):
    sink = sink_on(nowhere, "t")
    write(sink, 0)
    while not sink.is_lost:
        time.sleep(0.01)
    begun_s = time.monotonic()
    sink.close()
    assert time.monotonic() - begun_s < 5
    assert sink.n_pending == 1


def test_closing_takes_bounded_time_while_the_broker_is_looked_for(nowhere):
    sink = sink_on(nowhere, "t")
    write(sink, 0)
    begun_s = time.monotonic()
    sink.close(timeout_s=0.5)
    assert time.monotonic() - begun_s < 6
    assert sink.n_pending == 1


def test_a_full_queue_lets_writes_pass_once_the_end_is_near(nowhere):
    sink = sink_on(nowhere, "t", limits=replace(LIMITS, max_pending=3))
    write(sink, *range(3))
    sink.let_pass()
    write(sink, *range(3, 7))
    assert sink.n_pending == 7
    sink.close(timeout_s=0)


def test_what_a_loop_waits_for_is_told_and_the_loop_beats_meanwhile(nowhere):
    sink = sink_on(nowhere, "t", limits=replace(LIMITS, max_pending=3))
    told = []

    def look():
        if sink.is_lost:
            told.append(sink.waited_for)
            sink.let_pass()

    sink.while_waiting(look)
    write(sink, *range(3))
    assert sink.waited_for is None
    write(sink, 3)
    [text] = told
    start, reason = "3 records wait for topic t: ", f"{nowhere.bootstrap}"
    assert text.startswith(start)
    assert reason in text.removeprefix(start)
    assert sink.waited_for is None
    sink.close(timeout_s=0)


@pytest.mark.parametrize(
    ("is_saved", "told"),
    [
        (True, "the checkpoint holds them, a resumed run sends them"),
        (False, "will not be; the output's file alone holds them"),
    ],
)
def test_what_is_not_sent_at_the_end_is_told_with_who_has_it(nowhere, is_saved, told):
    sink = sink_on(nowhere, "t", output="metrics" if is_saved else "incidents")
    write(sink, 0)
    if is_saved:
        sink.state_dict()
    with capture_logs() as logs:
        sink.close(timeout_s=0)
    assert [log["messages"] for log in logs if log["event"].endswith(told)] == [1]


def test_a_sink_that_was_never_used_asks_nobody(nowhere):
    sink = sink_on(nowhere, "t")
    sink.close()
    assert sink.state_dict()["messages"] == []
    assert not sink.is_lost


def test_the_limits_are_the_promised_ones():
    assert (SinkLimits().max_pending, SinkLimits().patience.incident_s) == (10_000, 60.0)
