import threading
from contextlib import closing

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.errors import KafkaTimeoutError

from deploy.kafka.local_kafka import free_ports
from stream.errors import KafkaError
from stream.kafka.cluster.connecting import connect, find_fault, greeted, opened
from stream.kafka.cluster.connection import ConnectionConfig, is_temporary
from tests.kafka_sinks import wait_until


def absent():
    return f"127.0.0.1:{next(free_ports())}"


def test_a_cluster_is_reached_through_the_first_address_that_answers(kafka):
    config = ConnectionConfig(bootstrap=[absent(), kafka.bootstrap])
    assert kafka.bootstrap in greeted(config).addresses.values()
    assert find_fault(config) is None


def test_a_client_is_made_with_its_own_settings_on_top(kafka):
    config = ConnectionConfig(bootstrap=kafka.bootstrap, client_id="shop")
    with closing(connect(KafkaConsumer, config, max_poll_records=7)) as consumer:
        assert (consumer.config["client_id"], consumer.config["max_poll_records"]) == ("shop", 7)


def test_a_broker_that_is_absent_is_waited_for():
    config = ConnectionConfig(bootstrap=absent())
    with pytest.raises(KafkaError, match=r"connection\.bootstrap: no broker answers at") as failed:
        connect(KafkaAdminClient, config)
    assert is_temporary(failed.value)


def test_a_host_that_nobody_knows_is_not_what_a_cluster_fails_of_while_others_are_only_absent():
    config = ConnectionConfig(bootstrap=["kafka.invalid:9092", absent()])
    fault = find_fault(config)
    assert fault is not None
    assert is_temporary(fault)


def test_brokers_that_send_clients_elsewhere_are_told_apart_from_absent_ones(breakable):
    address = breakable.broker.address("MISLED")
    fault = find_fault(ConnectionConfig(bootstrap=address))
    assert fault is not None
    assert f"a broker at {address} answers, and tells clients to use 127.0.0.1:" in str(fault)
    assert "where nobody gets in" in str(fault)
    assert "advertised.listeners" in str(fault)


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
