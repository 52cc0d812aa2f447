"""For the tests of this folder: a broker that they share and may break, and none at all."""

import gc
import logging
import warnings
from dataclasses import dataclass

import pytest

from deploy.kafka.local_kafka import Listener, LocalKafka, free_ports
from tests.brokers import RunningKafka, kafka_jars
from tests.tcp_proxy import TcpProxy


@dataclass(frozen=True)
class Breakable:
    """A broker that may be killed and paused, and the network before its listener `PROXIED`.

    Clients that come by the listener `MISLED` are told to go where nobody is. Whoever asks for a
    topic may make it, by accident too.
    """

    broker: LocalKafka
    proxy: TcpProxy


@pytest.fixture(scope="session")
def shared_breakable(tmp_path_factory):
    with TcpProxy() as proxy:
        broker = LocalKafka(
            tmp_path_factory.mktemp("kafka"),
            kafka_jars(),
            listeners=[
                Listener("PROXIED", advertised_port=proxy.port),
                Listener("MISLED", advertised_port=next(free_ports())),
            ],
            properties={"auto.create.topics.enable": "true"},
        )
        try:
            broker.start()
            proxy.forward_to(broker.address("PROXIED"))
            yield Breakable(broker, proxy)
        finally:
            broker.stop()


@pytest.fixture
def breakable(shared_breakable):
    """It works at the beginning of each test, and what broke is mended at its end."""
    yield shared_breakable
    shared_breakable.proxy.heal()
    try:
        shared_breakable.broker.unpause()
    except ValueError:  # it was killed
        shared_breakable.broker.start()


@pytest.fixture
def nowhere():
    """An address at which no broker is."""
    return RunningKafka(f"127.0.0.1:{next(free_ports())}")


@pytest.fixture
def sockets_of_failed_connections(caplog):
    """kafka-python leaves them to the garbage collector, which would warn in some later test."""
    caplog.set_level(logging.CRITICAL, "kafka")  # what is logged is kept, sockets and all
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
