"""The local Kafka, the broker that tests share, and the network between."""

import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import yaml
from kafka import KafkaAdminClient
from kafka.errors import KafkaError, UnknownTopicOrPartitionError

from deploy.kafka.local_kafka import HOST, Listener, LocalKafka, LocalKafkaError, free_ports
from tests.brokers import (
    ROOT,
    add_partitions,
    create_topic,
    delete_records,
    delete_topic,
    kafka_jars,
    offsets,
    produce,
    read_topic,
    set_scram_password,
    topic_id,
    values_of,
)

NOBODY = Path("/nonexistent")


# The helpers that other tests build on.


def test_records_are_read_back_by_partition_and_offset(kafka, topic):
    name = topic(2)
    sent = produce(kafka.bootstrap, name, [b"a", b"b", None], timestamp_ms=7, headers=[("h", b"v")])
    assert sent == [(0, 0), (1, 0), (0, 1)]
    assert values_of(kafka.bootstrap, name) == [b"a", None, b"b"]
    first = read_topic(kafka.bootstrap, name)[0]
    assert (first.timestamp, tuple(first.headers)) == (7, (("h", b"v"),))


def test_records_go_to_the_partition_that_was_asked_for(kafka, topic):
    name = topic(3)
    assert produce(kafka.bootstrap, name, [b"a", b"b"], partition=2) == [(2, 0), (2, 1)]
    assert offsets(kafka.bootstrap, name) == {0: (0, 0), 1: (0, 0), 2: (0, 2)}


def test_deleted_records_are_gone_and_the_rest_stays(kafka, topic):
    name = topic(1)
    produce(kafka.bootstrap, name, [b"%d" % i for i in range(5)])
    delete_records(kafka.bootstrap, name, {0: 3})
    assert offsets(kafka.bootstrap, name) == {0: (3, 5)}
    assert values_of(kafka.bootstrap, name) == [b"3", b"4"]


def test_a_topic_made_again_has_another_id(kafka, topic):
    name = topic(1)
    before = topic_id(kafka.bootstrap, name)
    delete_topic(kafka.bootstrap, name)
    create_topic(kafka.bootstrap, name)
    assert re.fullmatch("[0-9a-f]{32}", before)
    assert topic_id(kafka.bootstrap, name) != before


def test_a_topic_grows(kafka, topic):
    name = topic(1)
    add_partitions(kafka.bootstrap, name, 3)
    assert offsets(kafka.bootstrap, name) == {0: (0, 0), 1: (0, 0), 2: (0, 0)}


def test_a_topic_that_nobody_made_is_unknown(kafka):
    with pytest.raises(UnknownTopicOrPartitionError):
        delete_topic(kafka.bootstrap, "nobody-made-this")


# A broker of one's own.


def test_what_was_acknowledged_survives_a_kill(own_kafka):
    broker = own_kafka()
    create_topic(broker.bootstrap, "kept", 2)
    produce(broker.bootstrap, "kept", [b"a", b"b"])
    before = broker.bootstrap
    broker.kill()
    with pytest.raises(ConnectionRefusedError):
        knock(broker.bootstrap)
    broker.restart()
    assert broker.bootstrap == before
    assert values_of(broker.bootstrap, "kept") == [b"a", b"b"]


def test_a_paused_broker_is_silent_and_then_goes_on(own_kafka):
    broker = own_kafka()
    broker.pause()
    with pytest.raises(KafkaError):
        topics_of(broker.bootstrap, timeout_ms=700)
    broker.unpause()
    assert topics_of(broker.bootstrap) == []


def test_properties_and_further_listeners_reach_the_broker(own_kafka):
    plain = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
    broker = own_kafka(
        listeners=[Listener("SECURED", "SASL_PLAINTEXT")],
        properties={
            "auto.create.topics.enable": "true",
            "sasl.enabled.mechanisms": "SCRAM-SHA-256",
            "listener.name.secured.scram-sha-256.sasl.jaas.config": plain,
        },
    )
    set_scram_password(broker.bootstrap, "reader", "right")
    secured = broker.address("SECURED")
    assert topics_of(secured, **scram("reader", "right")) == []
    with pytest.raises(KafkaError):
        topics_of(secured, timeout_ms=3_000, **scram("reader", "wrong"))
    create_topic(broker.bootstrap, "made")
    assert topics_of(secured, **scram("reader", "right")) == ["made"]


def test_docker_runs_the_version_that_maven_fetches():
    pom = (ROOT / "deploy" / "kafka" / "pom.xml").read_text()
    compose = yaml.safe_load((ROOT / "deploy" / "kafka" / "compose.yaml").read_text())
    version = re.search("<artifactId>kafka_2.13</artifactId>\\s*<version>(.+)</version>", pom)[1]
    images = {service["image"] for service in compose["services"].values()}
    assert images == {f"apache/kafka:{version}"}


# What goes wrong at the start.


def test_a_taken_port_is_named(tmp_path):
    with closing(socket.create_server((HOST, next(free_ports())))) as other:
        port = other.getsockname()[1]
        with pytest.raises(LocalKafkaError, match=f"port {port} of 127.0.0.1 is taken.* --port"):
            LocalKafka(tmp_path, kafka_jars(), port=port).start()


def test_missing_jars_are_named_with_what_fetches_them(tmp_path):
    with pytest.raises(LocalKafkaError, match=f"{tmp_path} holds no jars.*make kafka-jars"):
        LocalKafka(tmp_path, tmp_path).start()


def test_a_missing_java_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("JAVA_HOME", str(NOBODY))
    with pytest.raises(LocalKafkaError, match=r"no Java in JAVA_HOME, /nonexistent,.*17"):
        LocalKafka(tmp_path, tmp_path).start()


def test_a_node_that_dies_is_quoted(tmp_path):
    refused = LocalKafka(tmp_path, kafka_jars(), properties={"num.io.threads": "0"})
    with pytest.raises(LocalKafkaError, match=r"num\.io\.threads"):
        refused.start()


def test_a_second_node_on_one_folder_is_refused(own_kafka):
    broker = own_kafka()
    with pytest.raises(LocalKafkaError, match=f"another Kafka uses {broker.folder}: .* --data"):
        LocalKafka(broker.folder, kafka_jars()).start()


# The command.


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM], ids=lambda signum: signum.name)
def test_the_command_says_where_it_listens_and_stops_when_told(tmp_path, stop):
    port = next(free_ports())
    with command(tmp_path, port) as started:
        said = "".join(started.stdout.readline() for _ in range(3))
        assert f"Kafka listens on 127.0.0.1:{port}. Topics: events (3 partitions)." in said
        assert offsets(f"{HOST}:{port}", "events") == {0: (0, 0), 1: (0, 0), 2: (0, 0)}
        started.send_signal(stop)
        assert started.wait(timeout=30) == 0
        assert started.stdout.read() == "Stopping Kafka ...\nStopped.\n"
    with pytest.raises(ConnectionRefusedError):
        knock(f"{HOST}:{port}")


def test_the_command_ends_when_its_node_is_killed(tmp_path):
    port = next(free_ports())
    with command(tmp_path, port) as started:
        for _ in range(3):
            started.stdout.readline()
        children = Path(f"/proc/{started.pid}/task/{started.pid}/children").read_text()
        os.kill(int(children), signal.SIGKILL)
        assert started.wait(timeout=30) == 1
        assert "Kafka ended by itself, with status -9" in started.stderr.read()


@contextmanager
def command(folder, port):
    """The script as one types it, with a topic of 3 partitions; killed if it still runs."""
    script = [sys.executable, ROOT / "deploy" / "kafka" / "local_kafka.py"]
    places = ["--port", str(port), "--data", folder, "--jars", kafka_jars()]
    with subprocess.Popen(
        [*script, *places, "--topic", "events:3"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as started:
        try:
            yield started
        finally:
            started.kill()  # or a failed assertion would wait for it without end


def topics_of(bootstrap, timeout_ms=20_000, **settings):
    """What a client of its own sees."""
    with closing(
        KafkaAdminClient(bootstrap_servers=bootstrap, bootstrap_timeout_ms=timeout_ms, **settings)
    ) as admin:
        return admin.list_topics()


def scram(user, password):
    return {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "SCRAM-SHA-256",
        "sasl_plain_username": user,
        "sasl_plain_password": password,
    }


def knock(address):
    host, _, port = address.rpartition(":")
    socket.create_connection((host, int(port)), timeout=5).close()
