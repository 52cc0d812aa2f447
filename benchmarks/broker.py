"""A broker of a benchmark's own, and the benchmark's events on its topics."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.kafka.local_kafka import LocalKafka, LocalKafkaError
from stream.kafka.cluster.connection import ConnectionConfig
from stream.kafka.outbox import open_outbox
from stream.kafka.producing import Production
from stream.sources.file import FileSource, FileSourceConfig

N_PARTITIONS = 4

_ROOT = Path(__file__).resolve().parents[1]


@contextmanager
def running_broker(folder: Path) -> Iterator[LocalKafka]:
    """One node of Kafka, for a `with`; an exit that says how to get it if it cannot start."""
    jars = Path(os.environ.get("FRESHRANK_KAFKA_JARS", _ROOT / "build" / "kafka" / "lib"))
    broker = LocalKafka(folder, jars)
    try:
        try:
            broker.start()
        except LocalKafkaError as err:
            sys.exit(str(err))
        yield broker
    finally:
        broker.stop()


def fill(bootstrap: str, topic: str, events: Path) -> int:
    """Put a file of events onto a new topic, keyed by user; how many there are."""
    source = FileSource(FileSourceConfig(), [str(events)])
    connection = ConnectionConfig(bootstrap=(bootstrap,))
    with open_outbox(connection, topic, N_PARTITIONS) as outbox:
        Production(outbox).run(source.records(), source.paths)
        return outbox.n_delivered
