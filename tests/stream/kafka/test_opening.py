import gc
import logging
import threading
import warnings

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.errors import KafkaTimeoutError

from deploy.kafka.local_kafka import free_ports
from stream.kafka.opening import opened
from tests.kafka_sinks import wait_until


@pytest.fixture
def sockets_of_failed_connections(caplog):
    """kafka-python leaves them to the garbage collector, which would warn in some later test."""
    caplog.set_level(logging.CRITICAL, "kafka")  # what is logged is kept, sockets and all
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.mark.filterwarnings("ignore:unclosed.*socket:ResourceWarning")
@pytest.mark.usefixtures("sockets_of_failed_connections")
@pytest.mark.parametrize("kind", [KafkaAdminClient, KafkaConsumer, KafkaProducer])
def test_a_client_that_finds_no_broker_leaves_no_thread_behind(kind):
    settings = {"bootstrap_servers": f"127.0.0.1:{next(free_ports())}", "bootstrap_timeout_ms": 50}
    n_threads = threading.active_count()
    for _ in range(3):
        with pytest.raises(KafkaTimeoutError):
            opened(kind, settings)
    assert threading.active_count() == n_threads


def test_a_client_that_is_open_works_until_it_is_closed(kafka):
    n_threads = threading.active_count()
    admin = opened(KafkaAdminClient, {"bootstrap_servers": kafka.bootstrap})
    assert threading.active_count() > n_threads
    assert isinstance(admin.list_topics(), list)
    admin.close()
    wait_until(lambda: threading.active_count() == n_threads)
