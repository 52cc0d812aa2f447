import time
from functools import partial

import pytest
from kafka.errors import KafkaTimeoutError

from stream.errors import KafkaError
from stream.kafka.fetching.fetcher import Fetcher
from stream.kafka.fetching.gaps import Gaps
from tests.stream.kafka.fakes_kafka import Clock, FakeBroker, config_of


@pytest.fixture
def fetchers():
    made = []

    def make(broker, connect=None):
        gaps = Gaps(False, print)
        made.append(Fetcher(config_of(), connect or broker.open, gaps, Clock()))
        made[-1].start({})
        return made[-1]

    yield make
    for fetcher in made:
        fetcher.close()


def until(is_true, within_s=5.0):
    deadline_s = time.monotonic() + within_s
    while not is_true():
        assert time.monotonic() < deadline_s


def test_chunks_come_from_the_thread(fetchers):
    broker = FakeBroker(clicks=1)
    broker.click("clicks/0", 1000)
    fetcher = fetchers(broker)
    found = []
    until(lambda: found.extend(fetcher.take(0.1)[0]) or found)
    assert [(name, chunk.offsets) for name, chunk in found] == [("clicks/0", [0])]
    assert fetcher.view.marks["clicks/0"].delivered == 1


def test_what_ends_the_thread_is_raised_where_chunks_are_taken(fetchers):
    def refuse():
        raise KafkaError("wrong password") from ValueError()

    fetcher = fetchers(FakeBroker(), refuse)
    with pytest.raises(KafkaError, match="wrong password"):
        until(partial(lambda: fetcher.take(0.1)[0]))


def test_a_consumer_that_fails_for_now_is_replaced(fetchers):
    broker = FakeBroker(clicks=1)
    fetcher = fetchers(broker)
    until(lambda: fetcher.view.is_connected)
    broker.opened[0].error = KafkaTimeoutError()
    until(lambda: len(broker.opened) == 2 and fetcher.view.is_connected)
    assert [consumer.is_closed for consumer in broker.opened] == [True, False]


def test_while_nothing_is_heard_no_end_is_known(fetchers):
    broker = FakeBroker(clicks=1)
    fetcher = fetchers(broker)
    until(lambda: "clicks/0" in fetcher.view.marks)
    assert fetcher.view.marks["clicks/0"].end == 0
    broker.is_mute = True
    fetcher._clock.skip(8)
    until(lambda: fetcher.view.marks["clicks/0"].end is None)
    assert not fetcher.view.is_connected
    broker.is_mute = False
    broker.tell()
    until(lambda: fetcher.view.marks["clicks/0"].end == 0)
    assert fetcher.view.is_connected


def test_a_closed_fetcher_has_closed_its_consumer(fetchers):
    broker = FakeBroker(clicks=1)
    fetcher = fetchers(broker)
    until(lambda: broker.opened)
    fetcher.close()
    assert broker.opened[0].is_closed
