"""A broker that dies, hangs, crawls or is not there: it costs the daemon time, and nothing else."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.kafka.local_kafka import Listener, LocalKafka
from tests.brokers import create_topic, kafka_jars, produce, unique_name
from tests.daemons import Daemon, live_settings
from tests.feeding import Feeder
from tests.live_runs import (
    assert_each_record_was_taken_in_once,
    assert_the_topics_hold_what_the_files_hold,
    clicks,
    n_read,
)
from tests.runs import write_shop
from tests.tcp_proxy import TcpProxy

# What the client's library says of one outage, in all its threads; it must not grow with time.
MAX_CLIENT_LINES = 40
QUIET = {"every": "200ms", "rules": [{"name": "quiet", "kind": "silent", "for": "4s"}]}
OUTPUTS = ("metrics", "alerts", "dead_letters")


@dataclass(frozen=True)
class Cluster:
    """A broker that clients of `address` reach through a network that can be made bad."""

    broker: LocalKafka
    proxy: TcpProxy

    @property
    def address(self) -> str:
        return self.proxy.address

    def topic(self, n_partitions: int = 1) -> str:
        return create_topic(self.broker.bootstrap, unique_name(), n_partitions)

    def mend(self) -> None:
        """Undo what a test that failed left broken."""
        self.proxy.heal()
        try:
            self.broker.unpause()
        except ValueError:  # it does not run
            self.broker.start()


@pytest.fixture(scope="module")
def shared_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with TcpProxy() as proxy:
        broker = LocalKafka(
            tmp_path_factory.mktemp("kafka"),
            kafka_jars(),
            listeners=[Listener("PROXIED", advertised_port=proxy.port)],
        )
        proxy.forward_to(broker.address("PROXIED"))
        broker.start()
        yield Cluster(broker, proxy)
        broker.stop()


@pytest.fixture
def cluster(shared_cluster: Cluster) -> Iterator[Cluster]:
    yield shared_cluster
    shared_cluster.mend()


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Clicks and lists of a small shop."""
    path = write_shop(tmp_path_factory.mktemp("shop") / "events.jsonl", 1_200)
    return path.read_bytes().splitlines()


@contextmanager
def fed(cluster: Cluster, events: list[bytes], folder: Path) -> Iterator[Daemon]:
    """A daemon that is fed, bad records among the good, while the block is under way.

    After the block it must come to the end of what was produced, with each record once.
    """
    topic = cluster.topic(4)
    outputs = {output: cluster.topic() for output in OUTPUTS}
    settings = live_settings(
        cluster.address, [topic], {"buffer_records": 200}, watch=QUIET, outputs={"kafka": outputs}
    )
    # The feeder goes around the bad network.
    feeder = Feeder(cluster.broker.bootstrap, topic, events, seed=0)
    with feeder, Daemon(settings, folder / "run") as daemon:
        daemon.wait_until(lambda: n_read(daemon) > 0)
        yield daemon
        n_produced = feeder.finish()
        daemon.wait_until(lambda: n_read(daemon) >= n_produced and daemon.is_ready())
        daemon.wait_until(lambda: not any(daemon.status()["sinks_pending"].values()))
        daemon.sigterm()
        assert daemon.wait() == 0
    bootstrap = cluster.broker.bootstrap
    assert_each_record_was_taken_in_once(daemon, bootstrap, [topic])
    assert_the_topics_hold_what_the_files_hold(daemon, bootstrap, outputs)


def client_lines(daemon: Daemon) -> list[dict]:
    """What the library that speaks to Kafka said."""
    return [line for line in daemon.lines() if line.get("logger", "").startswith("kafka")]


def incidents(daemon: Daemon) -> list[tuple[str, str]]:
    return [(one["kind"], one["state"]) for one in daemon.records("incidents.jsonl")]


def test_a_broker_that_is_killed_and_restarted_costs_time_alone(cluster, events, tmp_path):
    with fed(cluster, events, tmp_path) as daemon:
        cluster.broker.kill()
        daemon.wait_until(lambda: ("silent", "firing") in incidents(daemon))
        status, answer = daemon.ask("/readyz")
        assert (status, daemon.ask("/healthz")[0]) == (503, 200)
        assert "the brokers at" in answer["reasons"][0]
        cluster.broker.start()
        daemon.wait_until(daemon.is_ready)
    assert len(daemon.said("Kafka is not ready for us, trying again")) == 1
    assert len(daemon.said("Kafka answers again after")) == 1
    assert len(client_lines(daemon)) < MAX_CLIENT_LINES
    assert incidents(daemon)[:2] == [("silent", "firing"), ("silent", "resolved")]
    [firing, *_] = daemon.records("incidents.jsonl")
    assert "not connected, source.kafka.connection.bootstrap: " in firing["text"]


@pytest.mark.parametrize(
    "paused_s", [10.0, pytest.param(30.0, marks=pytest.mark.acceptance)], ids="{:.0f} s".format
)
def test_a_broker_that_is_paused_costs_time_alone(cluster, events, tmp_path, paused_s):
    with fed(cluster, events, tmp_path) as daemon:
        cluster.broker.pause()
        paused_at_s = time.monotonic()
        daemon.wait_until(lambda: not daemon.is_ready())
        assert daemon.ask("/healthz")[0] == 200
        time.sleep(max(0.0, paused_at_s + paused_s - time.monotonic()))
        cluster.broker.unpause()
        daemon.wait_until(daemon.is_ready)
    assert len(daemon.said("Kafka is not ready for us, trying again")) == 1
    assert len(daemon.said("Kafka answers again after")) == 1
    assert len(client_lines(daemon)) < MAX_CLIENT_LINES
    assert incidents(daemon)[:2] == [("silent", "firing"), ("silent", "resolved")]


@pytest.mark.acceptance
def test_a_long_outage_is_an_incident_of_each_output_until_it_is_over(cluster, events, tmp_path):
    with fed(cluster, events, tmp_path) as daemon:
        cluster.broker.kill()
        is_told = lambda state: {  # noqa: E731
            one["details"]["setting"]
            for one in daemon.records("incidents.jsonl")
            if (one["kind"], one["state"]) == ("sink", state)
        }
        expected = {f"outputs.kafka.{output}" for output in OUTPUTS}
        daemon.wait_until(lambda: is_told("firing") == expected, timeout_s=100.0)
        cluster.broker.start()
        daemon.wait_until(lambda: is_told("resolved") == expected)
    assert len(daemon.said("Kafka is not ready for us, trying again")) == 1
    assert len(client_lines(daemon)) < MAX_CLIENT_LINES


def test_a_slow_network_is_waited_for_without_a_word(cluster, events, tmp_path):
    with fed(cluster, events, tmp_path) as daemon:
        cluster.proxy.delay(250)
        cluster.proxy.limit(40_000)
        n_before = n_read(daemon)
        daemon.wait_until(lambda: n_read(daemon) > n_before + 300)
        assert daemon.is_ready()
        cluster.proxy.heal()
    assert daemon.said("not ready for us") == []
    assert ("silent", "firing") not in incidents(daemon)


def test_connections_that_are_reset_again_and_again_cost_time_alone(cluster, events, tmp_path):
    n_before = cluster.proxy.n_accepted
    with fed(cluster, events, tmp_path) as daemon:
        for _ in range(8):
            n_read_before = n_read(daemon)
            cluster.proxy.reset()
            daemon.wait_until(lambda n=n_read_before: n_read(daemon) > n)
    assert cluster.proxy.n_accepted - n_before > 8
    assert len(client_lines(daemon)) < MAX_CLIENT_LINES


@pytest.mark.parametrize("is_resumed", [False, True], ids=["first start", "resumed"])
def test_a_broker_that_is_absent_at_the_start_is_waited_for(cluster, tmp_path, is_resumed):
    topic = cluster.topic(2)
    produce(cluster.broker.bootstrap, topic, clicks(40))
    daemon = Daemon(live_settings(cluster.address, [topic]), tmp_path / "run")
    if is_resumed:
        with daemon:
            daemon.wait_until(lambda: n_read(daemon) == 40)
    cluster.broker.stop()
    with daemon:
        daemon.wait_until(lambda: daemon.said("Kafka is not ready for us, trying again"))
        time.sleep(6.0)  # several attempts
        [told] = daemon.said("Kafka is not ready for us")
        assert "source.kafka.connection.bootstrap: " in told["event"]
        assert client_lines(daemon) == []
        status, answer = daemon.ask("/readyz")
        assert (status, daemon.ask("/healthz")[0]) == (503, 200)
        assert cluster.address in answer["reasons"][0]
        cluster.broker.start()
        produce(cluster.broker.bootstrap, topic, clicks(20, 40))
        daemon.wait_until(lambda: n_read(daemon) == 60 and daemon.is_ready())
        assert len(daemon.said("Kafka answers")) == 1
        daemon.sigterm()
        assert daemon.wait() == 0
    assert_each_record_was_taken_in_once(daemon, cluster.broker.bootstrap, [topic])
