"""Settings for every test, and the fixtures that give a test Kafka."""

import os
import signal
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import settings

from deploy.kafka.local_kafka import LocalKafka

with warnings.catch_warnings():
    # kafka-python reads its schemas in a way that Python 3.11 and 3.12 call deprecated.
    warnings.simplefilter("ignore", DeprecationWarning)
    from tests.brokers import RunningKafka, create_topic, delete_topic, kafka_jars, unique_name

# Read by OpenMP when torch is first imported; as in `stream.cli`.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# A shell has what it starts in the background ignore Ctrl-C, and what that starts as well: the
# processes that tests start are to heed it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# On a machine that others share, a slow example says nothing about the code.
settings.register_profile("patient", settings.default, deadline=None)
settings.load_profile("patient")


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningKafka | LocalKafka]:
    """The broker that all tests share: `kafka.bootstrap`. Nobody stops, pauses or configures it."""
    if bootstrap := os.environ.get("KAFKA_BOOTSTRAP"):
        yield RunningKafka(bootstrap)
        return
    broker = LocalKafka(tmp_path_factory.mktemp("kafka"), kafka_jars())
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()


@pytest.fixture
def topic(kafka: RunningKafka | LocalKafka) -> Iterator[Callable[..., str]]:
    """Make topics on the shared broker, deleted after the test.

    `topic(4)` gives the name of one with 4 partitions; `topic(1, {"retention.ms": "1000"})` is
    configured.
    """
    names: list[str] = []

    def make(n_partitions: int = 1, configs: dict[str, str] | None = None) -> str:
        name = unique_name()
        create_topic(kafka.bootstrap, name, n_partitions, configs)
        names.append(name)
        return name

    yield make
    for name in names:
        delete_topic(kafka.bootstrap, name)


@pytest.fixture
def own_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., LocalKafka]]:
    """Start brokers that belong to the test, which may kill, pause and configure them.

    `own_kafka()` gives a running one; `listeners` and `properties` are those of `LocalKafka`.
    """
    brokers: list[LocalKafka] = []

    def start(**settings: Any) -> LocalKafka:
        brokers.append(LocalKafka(tmp_path_factory.mktemp("kafka"), kafka_jars(), **settings))
        brokers[-1].start()
        return brokers[-1]

    yield start
    for broker in brokers:
        broker.stop()
