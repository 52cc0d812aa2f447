"""A broker fails under a sink, and the topic shows nothing of it."""

import random
import threading
import time

import pytest
from structlog.testing import capture_logs

from tests.brokers import RunningKafka, create_topic, unique_name
from tests.kafka_sinks import (
    numbers_on,
    seqs_on,
    sink_on,
    wait_until,
    write,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed.*socket:ResourceWarning"),
    pytest.mark.usefixtures("sockets_of_failed_connections"),
]


class Writer(threading.Thread):
    """Writes records to a sink at a steady pace until it is told to stop."""

    def __init__(self, sink):
        super().__init__()
        self.sink = sink
        self.n_records = 0
        self._is_over = threading.Event()
        self.start()

    def run(self):
        while not self._is_over.wait(0.001):
            write(self.sink, self.n_records)
            self.n_records += 1

    def stop(self):
        self._is_over.set()
        self.join()
        return self.n_records


LOST_AND_BACK = [
    "a topic cannot be reached; its messages wait in memory",
    "a topic is reached again",
]


@pytest.mark.parametrize("n_faults", [1, pytest.param(8, marks=pytest.mark.acceptance)])
def test_a_topic_has_each_record_once_and_in_order_whatever_its_broker_went_through(
    breakable, n_faults
):
    broker, proxy = breakable.broker, breakable.proxy
    name = create_topic(broker.bootstrap, unique_name(), 2)
    draws = random.Random(n_faults)
    incidents = []
    sink = sink_on(RunningKafka(proxy.address), name, report=incidents.append)
    with capture_logs() as logs:
        writer = Writer(sink)
        wait_until(lambda: writer.n_records > 200 and sink.n_pending < 50)
        proxy.delay(10)  # so that there is always a request under way
        for _ in range(10 * n_faults):
            time.sleep(draws.random() / 5)
            proxy.reset()
        proxy.heal()
        for _ in range(n_faults):
            broker.kill()
            wait_until(lambda: sink.is_lost)
            broker.start()
            wait_until(lambda: not sink.is_lost and sink.n_pending < 50)
        for _ in range(n_faults):
            broker.pause()
            wait_until(lambda: sink.is_lost)
            broker.unpause()
            wait_until(lambda: not sink.is_lost and sink.n_pending < 50)
        n_records = writer.stop()
        sink.close()
    assert sink.n_pending == 0
    assert numbers_on(broker, name) == seqs_on(broker, name) == list(range(n_records))
    assert [log["event"] for log in logs] == LOST_AND_BACK * (2 * n_faults)
    assert incidents == []  # nothing lasted for a minute


@pytest.mark.acceptance
def test_a_request_that_arrives_after_it_was_given_up_is_on_the_topic_once(breakable):
    broker, proxy = breakable.broker, breakable.proxy
    name = create_topic(broker.bootstrap, unique_name(), 2)
    sink = sink_on(RunningKafka(proxy.address), name)
    writer = Writer(sink)
    wait_until(lambda: writer.n_records > 200 and sink.n_pending < 50)
    proxy.hold()
    time.sleep(40)  # a request is given up after 15 s, and repeated over another connection
    proxy.release()
    wait_until(lambda: sink.n_pending < 50, timeout_s=60)
    n_records = writer.stop()
    sink.close()
    assert numbers_on(broker, name) == list(range(n_records))
