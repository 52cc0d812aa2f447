from stream.kafka.chunks import ChunkDecoder
from stream.kafka.positions import Stretch
from stream.kafka.reading import Reading
from stream.kafka.settings import TopicConfig
from tests.stream.kafka.fakes_kafka import Record

VALUE = b'{"user": "u", "item": "a", "ts": %d}'


def reading(*ahead):
    return Reading("clicks/3", ahead, ChunkDecoder(TopicConfig(name="clicks"), 1000))


def records(*offsets):
    return [Record(offset, 10 * offset, VALUE % (1000 + offset)) for offset in offsets]


def test_a_chunk_reaches_from_where_it_was_asked_for_to_the_position():
    one = reading(Stretch("a", 5))
    chunk = one.chunk(records(7, 8), 12, 3.5)
    assert (chunk.start, chunk.stop, chunk.offsets) == (5, 12, [7, 8])
    assert (chunk.timestamps, chunk.ts_N.tolist()) == ([70, 80], [1007, 1008])
    assert (chunk.topic_id, chunk.arrived_s, one.offset, one.delivered) == ("a", 3.5, 12, 5)


def test_what_lies_between_two_stretches_is_not_read():
    one = reading(Stretch("a", 5, 8), Stretch("a", 40))
    chunk = one.chunk(records(6, 7, 8, 9), 10, 0.0)
    assert (chunk.stop, chunk.offsets, one.offset) == (8, [6, 7], 40)
    assert one.chunk(records(41), 42, 0.0).start == 40


def test_a_reading_goes_to_the_next_offset_that_is_to_be_read():
    one = reading(Stretch("a", 5, 8), Stretch("a", 40))
    found = []
    for offset in (3, 6, 8, 20, 50):
        one.go_to(offset)
        found.append(one.offset)
    assert (found, one.open_start) == ([5, 6, 40, 40, 50], 40)


def test_a_bad_record_has_the_time_of_the_one_before_it():
    one = reading(Stretch("a", 0))
    one.chunk(records(0), 1, 0.0)
    chunk = one.chunk([Record(1, 0, None), Record(2, 0, b"{")], 3, 0.0)
    assert (chunk.ts_N.tolist(), chunk.values, chunk.n_bytes) == ([1000, 1000], [b"", b"{"], 1)


def test_a_topic_without_an_id_takes_the_one_it_gets():
    one = reading(Stretch("", 0, 4), Stretch("", 9))
    one.adopt("b")
    assert (one.topic_id, one.ahead) == ("b", (Stretch("b", 0, 4), Stretch("b", 9)))
