from stream.kafka.chunks import ChunkDecoder
from stream.kafka.positions import Stretch
from stream.kafka.reading import Reading
from stream.kafka.settings import TopicConfig
from stream.kafka.topic_watch import TopicWatch
from stream.kafka.trial import Trial
from tests.stream.kafka.fakes_kafka import Clock, FakeBroker, FakeCluster
from tests.stream.kafka.made import chunk


class Made:
    def __init__(self):
        self.broker = FakeBroker(clicks=1)
        self.topic_id = self.broker.ids["clicks"].hex
        self.cluster = FakeCluster(self.broker)
        self.trial = Trial(TopicWatch(self.cluster, ["clicks"], Clock()))
        decoder = ChunkDecoder(TopicConfig(name="clicks"), 1000)
        self.reading = Reading("clicks/0", (Stretch(self.topic_id, 0),), decoder)
        self.broker.is_mute = True

    def add(self, start, stop):
        self.trial.add(self.reading, chunk(start, stop, topic_id=self.topic_id))

    def acquitted(self):
        return [(made.start, made.stop) for _, made in self.trial.acquitted()]


def test_records_wait_for_an_answer_that_was_asked_for_after_they_came():
    made = Made()
    made.add(0, 3)
    assert (made.acquitted(), bool(made.trial), made.trial.held("clicks/0")[0]) == ([], True, 3)
    made.add(3, 5)
    made.cluster.answer()
    assert made.acquitted() == [(0, 3)]
    assert made.acquitted() == []
    made.cluster.answer()
    assert made.acquitted() == [(3, 5)]
    assert (bool(made.trial), made.trial.held("clicks/0")) == (False, (0, 0))


def test_records_of_another_topic_of_the_same_name_are_not_let_go():
    made = Made()
    made.add(0, 3)
    made.acquitted()
    made.broker.delete("clicks")
    made.broker.create("clicks", 1)
    made.cluster.answer()
    assert (made.acquitted(), bool(made.trial)) == ([], True)
    made.trial.drop(made.reading)
    assert not made.trial


def test_records_of_a_topic_that_is_gone_wait_until_it_is_back():
    made = Made()
    made.add(0, 3)
    made.acquitted()
    logs, ids = dict(made.broker.logs), dict(made.broker.ids)
    made.broker.delete("clicks")
    made.cluster.answer()
    assert made.acquitted() == []
    made.broker.logs, made.broker.ids = logs, ids
    made.cluster.answer()
    assert made.acquitted() == [(0, 3)]


def test_the_end_of_the_log_is_believed_with_the_records_it_came_with():
    made = Made()
    made.reading.end = 40
    made.add(0, 3)
    made.acquitted()
    made.reading.end = 90
    made.cluster.answer()
    made.acquitted()
    assert made.reading.proven_end == 40
