from stream.kafka.fetching.topic_watch import TopicFacts, TopicWatch
from tests.stream.kafka.fakes_kafka import Clock, FakeBroker, FakeCluster


def watched(broker):
    cluster = FakeCluster(broker)
    return cluster, TopicWatch(cluster, ["clicks", "views"], Clock())


def test_an_answer_tells_which_topics_are_there():
    broker = FakeBroker(clicks=2)
    _, watch = watched(broker)
    expected = TopicFacts(broker.ids["clicks"].hex, frozenset({0, 1}))
    assert watch.facts == {"clicks": expected}


def test_a_topic_that_may_not_be_seen_is_forbidden():
    broker = FakeBroker(clicks=1, other=1)
    broker.unauthorized = {"clicks", "other"}
    _, watch = watched(broker)
    assert (watch.facts, watch.forbidden) == ({}, {"clicks"})


def test_an_answer_counts_only_if_it_was_asked_for():
    broker = FakeBroker(clicks=1)
    _, watch = watched(broker)
    broker.is_mute = True
    watch.ask()
    assert not watch.is_answered()
    broker.is_mute = False
    assert [watch.is_answered(), watch.is_answered()] == [False, True]


def test_an_answer_that_was_under_way_is_too_old_to_count():
    broker = FakeBroker(clicks=1)
    cluster, watch = watched(broker)
    broker.is_mute = cluster.metadata_refresh_in_progress = True
    watch.ask()
    cluster.answer()  # the one that was under way
    cluster.metadata_refresh_in_progress = False
    assert not watch.is_answered()
    cluster.answer()
    assert watch.is_answered()


def test_the_broker_is_heard_with_every_answer():
    cluster, watch = watched(FakeBroker(clicks=1))
    before_s = watch.heard_s
    cluster.answer()
    assert watch.heard_s > before_s
