import pytest

from stream.errors import GapError
from stream.kafka.fetching.chunks import ChunkDecoder
from stream.kafka.fetching.gaps import Gaps
from stream.kafka.fetching.partitions import Partition, Partitions
from stream.kafka.fetching.positions import Stretch
from stream.kafka.fetching.topic_watch import TopicFacts
from stream.kafka.settings import TopicConfig
from tests.stream.kafka.fakes_kafka import Record, config_of

VALUE = b'{"user": "u", "item": "a", "ts": %d}'


def partition(*ahead):
    return Partition("clicks/3", ahead, ChunkDecoder(TopicConfig(name="clicks"), 1000))


def records(*offsets):
    return [Record(offset, 10 * offset, VALUE % (1000 + offset)) for offset in offsets]


def test_a_chunk_reaches_from_where_it_was_asked_for_to_the_position():
    one = partition(Stretch("a", 5))
    chunk = one.chunk(records(7, 8), 12, 3.5)
    assert (chunk.start, chunk.stop, chunk.offsets) == (5, 12, [7, 8])
    assert (chunk.timestamps, chunk.ts_N.tolist()) == ([70, 80], [1007, 1008])
    assert (chunk.topic_id, chunk.arrived_s, one.offset, one.delivered) == ("a", 3.5, 12, 5)


def test_what_lies_between_two_stretches_is_not_read():
    one = partition(Stretch("a", 5, 8), Stretch("a", 40))
    chunk = one.chunk(records(6, 7, 8, 9), 10, 0.0)
    assert (chunk.stop, chunk.offsets, one.offset) == (8, [6, 7], 40)
    assert one.chunk(records(41), 42, 0.0).start == 40


def test_a_partition_goes_to_the_next_offset_that_is_to_be_read():
    one = partition(Stretch("a", 5, 8), Stretch("a", 40))
    found = []
    for offset in (3, 6, 8, 20, 50):
        one.go_to(offset)
        found.append(one.offset)
    assert (found, one.open_start) == ([5, 6, 40, 40, 50], 40)


def test_a_bad_record_has_the_time_of_the_one_before_it():
    one = partition(Stretch("a", 0))
    one.chunk(records(0), 1, 0.0)
    chunk = one.chunk([Record(1, 0, None), Record(2, 0, b"{")], 3, 0.0)
    assert (chunk.ts_N.tolist(), chunk.values, chunk.n_bytes) == ([1000, 1000], [b"", b"{"], 1)


def test_a_topic_without_an_id_takes_the_one_it_gets():
    one = partition(Stretch("", 0, 4), Stretch("", 9))
    one.adopt("b")
    assert (one.topic_id, one.ahead) == ("b", (Stretch("b", 0, 4), Stretch("b", 9)))


class Made:
    def __init__(self, *ahead, may_pass=True):
        self.incidents = []
        self.partitions = Partitions(
            config_of("clicks", "views"), Gaps(may_pass, self.incidents.append)
        )
        if ahead:
            self.partitions.add({"clicks/0": ahead})

    def compare(self, **topics):
        facts = {
            name: TopicFacts(topic_id, frozenset(range(count)))
            for name, (topic_id, count) in topics.items()
        }
        restarted, appeared = self.partitions.compare(facts)
        return [one.name for one in restarted], sorted(one.name for one in appeared)


def test_partitions_that_appear_are_read_from_their_beginning():
    made = Made(Stretch("a", 7))
    assert made.compare(clicks=("a", 3)) == ([], ["clicks/0", "clicks/1", "clicks/2"])
    assert made.compare(clicks=("a", 3)) == ([], [])
    assert {one.name: one.offset for one in made.partitions} == {
        "clicks/0": 7,
        "clicks/1": 0,
        "clicks/2": 0,
    }


def test_in_a_topic_created_again_the_reading_begins_anew_and_tells_what_it_knows_is_lost():
    made = Made(Stretch("a", 7))
    partition = made.partitions.by_name["clicks/0"]
    partition.proven_end, partition.end = 12, 500
    assert made.compare(clicks=("b", 1)) == (["clicks/0"], ["clicks/0"])
    assert (partition.topic_id, partition.offset, partition.end) == ("b", 0, None)
    [incident] = made.incidents
    assert incident.details["lost_records"] == 5
    assert incident.details["is_lower_bound"]


def test_where_the_journal_goes_on_in_the_new_topic_so_does_the_reading():
    made = Made(Stretch("a", 7, 20), Stretch("b", 3, 9), Stretch("b", 30))
    made.compare(clicks=("b", 1))
    partition = made.partitions.by_name["clicks/0"]
    assert partition.ahead == (Stretch("b", 3, 9), Stretch("b", 30))
    [incident] = made.incidents
    assert incident.details["lost_records"] == 13
    assert not incident.details["is_lower_bound"]


def test_a_partition_that_the_new_topic_does_not_have_is_missing():
    made = Made()
    made.partitions.add({"clicks/0": (Stretch("a", 4),), "clicks/1": (Stretch("a", 4),)})
    made.compare(clicks=("b", 1))
    assert [(one.name, one.is_missing) for one in made.partitions] == [
        ("clicks/0", False),
        ("clicks/1", True),
    ]
    assert {one.topic_id for one in made.partitions} == {"b"}


def test_a_topic_created_again_ends_the_run_unless_it_may_be_passed():
    with pytest.raises(GapError, match="deleted and created again"):
        Made(Stretch("a", 7), may_pass=False).compare(clicks=("b", 1))


def test_a_topic_that_is_away_and_comes_back_is_the_same():
    made = Made(Stretch("a", 7))
    made.compare(clicks=("a", 1), views=("v", 1))
    assert made.partitions.problem is None
    made.compare(views=("v", 1))
    assert "clicks does not exist" in made.partitions.problem
    assert made.partitions.marks(are_ends_known=True)["clicks/0"].is_missing
    assert made.compare(clicks=("a", 1), views=("v", 1)) == ([], ["clicks/0"])
    assert made.partitions.problem is None
    assert [(one.kind, one.name, one.is_resolved) for one in made.incidents] == [
        ("topic", "clicks", False),
        ("topic", "clicks", True),
    ]


def test_a_topic_that_had_no_id_takes_the_one_it_gets():
    made = Made(Stretch("", 7))
    assert made.compare(clicks=("b", 1)) == ([], ["clicks/0"])
    assert made.partitions.by_name["clicks/0"].topic_id == "b"


def test_ends_that_nobody_is_sure_of_are_not_told():
    made = Made(Stretch("a", 7))
    made.partitions.by_name["clicks/0"].end = 9
    assert made.partitions.marks(are_ends_known=True)["clicks/0"].end == 9
    assert made.partitions.marks(are_ends_known=False)["clicks/0"].end is None
