import pytest
from kafka.errors import UnknownTopicOrPartitionError

from stream.errors import KafkaError
from stream.kafka.writing.messages import Place, number_headers
from stream.kafka.writing.tail import Tail, read_tail
from tests.brokers import produce, unique_name
from tests.kafka_sinks import destination_of


def send(kafka, topic, *numbers, partition=0, run_id="r1", output="metrics"):
    for number in numbers:
        headers = list(number_headers(run_id, output, number))
        produce(kafka.bootstrap, topic, [b"{}"], partition=partition, headers=headers)


def tail_of(kafka, topic, place=None, is_new=False, settle=lambda: None):
    return read_tail(destination_of(kafka.bootstrap, topic), place, is_new, settle)


def test_a_new_run_begins_at_the_end_of_its_partition(kafka, topic):
    name = topic(1)
    send(kafka, name, 0, 1, 2, run_id="another")
    tail = tail_of(kafka, name, is_new=True)
    assert (tail.number, tail.place.partition, tail.place.offset) == (-1, 0, 3)
    assert len(tail.place.topic_id) == 32


def test_the_highest_number_of_the_run_is_found_among_those_of_others(kafka, topic):
    name = topic(1)
    place = tail_of(kafka, name, is_new=True).place
    send(kafka, name, 4, 5)
    send(kafka, name, 90, run_id="another")
    send(kafka, name, 91, output="alerts")
    produce(kafka.bootstrap, name, [b"of somebody else", None], key=b"k")
    assert tail_of(kafka, name, place) == Tail(5, Place(place.topic_id, 0, 6))


def test_what_lies_before_the_place_is_not_read(kafka, topic):
    name = topic(1)
    send(kafka, name, 3)
    place = tail_of(kafka, name, is_new=True).place
    assert tail_of(kafka, name, place) == Tail(-1, place)


def test_without_a_place_every_partition_is_searched(kafka, topic):
    name = topic(3)
    send(kafka, name, 3, 4, partition=2)
    send(kafka, name, 9, partition=0, run_id="another")
    tail = tail_of(kafka, name)
    assert (tail.number, tail.place.partition, tail.place.offset) == (4, 2, 2)


@pytest.mark.parametrize(
    "place",
    [
        pytest.param(Place("another topic", 0, 2), id="a topic that was deleted and made again"),
        pytest.param(Place("", 5, 2), id="a partition that is there no more"),
    ],
)
def test_a_place_that_is_gone_is_searched_for_everywhere(kafka, topic, place):
    name = topic(2)
    send(kafka, name, 3, 4, 5, partition=1)
    tail = tail_of(kafka, name, place)
    assert (tail.number, tail.place.partition, tail.place.offset) == (5, 1, 3)


def test_a_log_that_is_shorter_than_it_was_is_read_from_its_start(kafka, topic):
    name = topic(1)
    send(kafka, name, 3, 4)
    topic_id = tail_of(kafka, name).place.topic_id
    assert tail_of(kafka, name, Place(topic_id, 0, 50)) == Tail(4, Place(topic_id, 0, 2))


def test_what_arrives_while_it_settles_is_found(kafka, topic):
    name = topic(1)
    place = tail_of(kafka, name, is_new=True).place
    send(kafka, name, 0)
    tail = tail_of(kafka, name, place, settle=lambda: send(kafka, name, 1))
    assert (tail.number, tail.place.offset) == (1, 2)


def test_a_topic_that_does_not_exist_is_an_error(kafka):
    with pytest.raises(UnknownTopicOrPartitionError):
        tail_of(kafka, unique_name("missing"))


def test_a_broker_that_is_not_there_is_an_error_with_the_setting():
    destination = destination_of("127.0.0.1:1", "t")
    with pytest.raises(KafkaError, match=r"source\.kafka\.connection\.bootstrap: no broker"):
        read_tail(destination, None, True, lambda: None)
