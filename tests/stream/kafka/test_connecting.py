from contextlib import closing

import pytest
from kafka import KafkaAdminClient, KafkaConsumer

from deploy.kafka.local_kafka import Listener, free_ports
from stream.errors import KafkaError
from stream.kafka.connecting import connect, find_fault, greeted
from stream.kafka.connection import ConnectionConfig, is_temporary


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


def test_brokers_that_send_clients_elsewhere_are_told_apart_from_absent_ones(own_kafka):
    nowhere = next(free_ports())
    listener = Listener("MISLED", advertised_port=nowhere)
    broker = own_kafka(listeners=[listener])
    fault = find_fault(ConnectionConfig(bootstrap=broker.address("MISLED")))
    assert fault is not None
    assert f"use 127.0.0.1:{nowhere}, where nobody gets in" in str(fault)
    assert "advertised.listeners" in str(fault)
