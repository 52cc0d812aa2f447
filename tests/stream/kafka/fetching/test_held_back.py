from stream.kafka.fetching.chunks import ChunkDecoder
from stream.kafka.fetching.held_back import HeldBack
from stream.kafka.fetching.partitions import Partition
from stream.kafka.fetching.positions import Stretch
from stream.kafka.fetching.topic_watch import TopicWatch
from stream.kafka.settings import TopicConfig
from tests.stream.kafka.fakes_kafka import Clock, FakeBroker, FakeCluster
from tests.stream.kafka.made import chunk


class Made:
    def __init__(self):
        self.broker = FakeBroker(clicks=1)
        self.topic_id = self.broker.ids["clicks"].hex
        self.cluster = FakeCluster(self.broker)
        self.held_back = HeldBack(TopicWatch(self.cluster, ["clicks"], Clock()))
        decoder = ChunkDecoder(TopicConfig(name="clicks"), 1000)
        self.partition = Partition("clicks/0", (Stretch(self.topic_id, 0),), decoder)
        self.broker.is_mute = True

    def add(self, start, stop):
        self.held_back.add(self.partition, chunk(start, stop, topic_id=self.topic_id))

    def released(self):
        return [(made.start, made.stop) for _, made in self.held_back.released()]


def test_records_wait_for_an_answer_that_was_asked_for_after_they_came():
    made = Made()
    made.add(0, 3)
    assert (made.released(), bool(made.held_back), made.held_back.held("clicks/0")[0]) == (
        [],
        True,
        3,
    )
    made.add(3, 5)
    made.cluster.answer()
    assert made.released() == [(0, 3)]
    assert made.released() == []
    made.cluster.answer()
    assert made.released() == [(3, 5)]
    assert (bool(made.held_back), made.held_back.held("clicks/0")) == (False, (0, 0))


def test_records_of_another_topic_of_the_same_name_are_not_let_go():
    made = Made()
    made.add(0, 3)
    made.released()
    made.broker.delete("clicks")
    made.broker.create("clicks", 1)
    made.cluster.answer()
    assert (made.released(), bool(made.held_back)) == ([], True)
    made.held_back.drop(made.partition)
    assert not made.held_back


def test_records_of_a_topic_that_is_gone_wait_until_it_is_back():
    made = Made()
    made.add(0, 3)
    made.released()
    logs, ids = dict(made.broker.logs), dict(made.broker.ids)
    made.broker.delete("clicks")
    made.cluster.answer()
    assert made.released() == []
    made.broker.logs, made.broker.ids = logs, ids
    made.cluster.answer()
    assert made.released() == [(0, 3)]


def test_the_end_of_the_log_is_believed_with_the_records_it_came_with():
    made = Made()
    made.partition.end = 40
    made.add(0, 3)
    made.released()
    made.partition.end = 90
    made.cluster.answer()
    made.released()
    assert made.partition.proven_end == 40
