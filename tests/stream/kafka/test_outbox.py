import time

import pytest
from kafka.errors import KafkaTimeoutError, MessageSizeTooLargeError

from stream.errors import KafkaError, SinkError
from stream.kafka.cluster.connection import ConnectionConfig
from stream.kafka.outbox import Outbox, open_outbox
from tests.brokers import admin_of, delete_topic, read_topic, unique_name
from tests.fakes_producer import FakeProducer


def outbox_of(producer, n_partitions=4, **settings):
    return Outbox(producer, "clicks", range(n_partitions), KafkaError, **settings)


def put(outbox, *ts_ms):
    for ts in ts_ms:
        outbox.put(b"u%d" % ts, b"v%d" % ts, ts)


# What Java's Utils.murmur2 gives for these, from the tests of Kafka's own clients.
@pytest.mark.parametrize(
    ("key", "hashed"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
    ],
)
def test_a_key_goes_where_every_client_sends_it(key, hashed):
    producer = FakeProducer()
    outbox_of(producer, n_partitions=7).put(key, b"v", 1)
    assert producer.sent[0].partition == (hashed & 0x7FFFFFFF) % 7


def test_a_message_without_a_key_goes_by_its_bytes():
    producer = FakeProducer()
    for value in (b"a", b"b", b"c", b"d", b"e") * 2:
        outbox_of(producer).put(None, value, None)
    partitions = [sent.partition for sent in producer.sent]
    assert partitions[:5] == partitions[5:]
    assert len(set(partitions)) > 1


def test_only_what_is_acknowledged_counts():
    producer = FakeProducer(acknowledges_at_once=False)
    outbox = outbox_of(producer, n_partitions=1)
    put(outbox, 10, 11, 12)
    outbox.settle()
    assert (outbox.n_delivered, outbox.delivered_to_ms) == (0, None)
    producer.acknowledge(0, 2)
    outbox.settle()
    assert (outbox.n_delivered, outbox.delivered_to_ms) == (1, 10)
    outbox.finish()
    assert (outbox.n_delivered, outbox.delivered_to_ms) == (3, 12)
    assert outbox.n_by_partition == {0: 3}


def test_what_waits_is_bounded():
    producer = FakeProducer(acknowledges_at_once=False)
    most = []
    outbox = outbox_of(producer, max_waiting_bytes=20_000)
    for ts in range(300):
        put(outbox, ts)
        most.append(producer.n_waiting)
    assert 15 < max(most) <= 20
    outbox.finish()
    assert (outbox.n_delivered, producer.n_waiting) == (300, 0)


def test_a_lost_message_ends_it_with_the_number_of_those_that_are_there():
    producer = FakeProducer(acknowledges_at_once=False)
    outbox = outbox_of(producer)
    put(outbox, 1_000, 2_000, 3_000, 4_000)
    producer.acknowledge(0, 1, 3)
    producer.deliveries[2].fail(MessageSizeTooLargeError("too large"))
    with pytest.raises(
        SinkError, match=r"topic clicks: .*too large; events delivered for sure: 3,"
    ) as told:
        put(outbox, 5_000)
    assert len(producer.sent) == 4
    assert "up to event time 1970-01-01T00:00:02.000Z" in str(told.value)


def test_a_lost_message_is_noticed_behind_one_that_waits():
    producer = FakeProducer(acknowledges_at_once=False)
    outbox = outbox_of(producer)
    put(outbox, 1, 2)
    producer.deliveries[1].fail(MessageSizeTooLargeError("too large"))
    with pytest.raises(SinkError, match="events delivered for sure: 0,"):
        outbox.settle()


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        (MessageSizeTooLargeError("5 bytes"), "5 bytes"),
        (KafkaTimeoutError("Failed to update metadata after 10.0 secs."), "UnknownTopic.*clicks"),
        (ValueError("Unrecognized partition 3 for topic clicks"), "UnknownTopic.*clicks"),
    ],
)
def test_a_message_that_the_client_refuses_ends_it(raised, told):
    def on_send(number):
        if number == 2:
            raise raised

    outbox = outbox_of(FakeProducer(on_send=on_send))
    with pytest.raises(SinkError, match=rf"{told}.*; events delivered for sure: 2,"):
        put(outbox, 1, 2, 3)


def test_a_client_that_never_answers_is_not_waited_for_for_ever():
    outbox = outbox_of(FakeProducer(acknowledges_at_once=False, is_ever_done=False))
    put(outbox, 1)
    with pytest.raises(
        SinkError, match=r"Timeout after waiting for 120.0 secs.*; events delivered for sure: 0,"
    ):
        outbox.finish()


def test_messages_are_on_the_topic_with_the_time_of_their_production(kafka, topic):
    name = topic(3)
    before_ms = time.time_ns() // 1_000_000
    with open_outbox(ConnectionConfig(bootstrap=kafka.bootstrap), name) as outbox:
        put(outbox, *range(1, 501))
        outbox.finish()
    records = read_topic(kafka.bootstrap, name)
    assert outbox.n_by_partition == {
        partition: sum(record.partition == partition for record in records)
        for partition in range(3)
    }
    assert sorted(record.value for record in records) == sorted(b"v%d" % n for n in range(1, 501))
    assert {record.key.replace(b"u", b"v") == record.value for record in records} == {True}
    assert min(record.timestamp for record in records) >= before_ms


def test_a_message_larger_than_the_topic_takes_is_told(kafka, topic):
    name = topic(1, {"max.message.bytes": "1000"})

    def two_messages():
        with open_outbox(ConnectionConfig(bootstrap=kafka.bootstrap), name) as outbox:
            outbox.put(b"u", b"v" * 10, 1)
            outbox.finish()
            outbox.put(b"u", b"v" * 2000, 2)
            outbox.finish()

    with pytest.raises(
        SinkError,
        match=r"could not be delivered: .*max.message.bytes.*; events delivered for sure: 1,",
    ):
        two_messages()
    assert [len(record.value) for record in read_topic(kafka.bootstrap, name)] == [10]


def opened(bootstrap, name, create_partitions=None):
    """The partitions of an outbox that was opened and closed."""
    with open_outbox(ConnectionConfig(bootstrap=bootstrap), name, create_partitions) as outbox:
        return outbox.partitions


def test_a_missing_topic_is_told_and_not_created(kafka):
    name = unique_name("missing")
    with pytest.raises(KafkaError, match=f"topic {name}: does not exist.*--create PARTITIONS"):
        opened(kafka.bootstrap, name)
    with admin_of(kafka.bootstrap) as admin:
        assert name not in admin.list_topics()


def test_a_missing_topic_is_created_when_asked_for_and_left_as_it_is_after_that(kafka):
    name = unique_name()
    assert opened(kafka.bootstrap, name, create_partitions=3) == (0, 1, 2)
    assert opened(kafka.bootstrap, name, create_partitions=5) == (0, 1, 2)
    delete_topic(kafka.bootstrap, name)


def test_a_topic_that_cannot_be_is_told(kafka):
    with pytest.raises(KafkaError, match="'wrong name' is no name of a topic"):
        opened(kafka.bootstrap, "wrong name", create_partitions=1)


def test_an_absent_broker_is_told():
    with pytest.raises(KafkaError, match=r"bootstrap: no broker answers at 127.0.0.1:1 "):
        opened("127.0.0.1:1", "clicks")
