"""Kafka for tests: where the broker comes from, and what tests do with topics.

The order: `KAFKA_BOOTSTRAP` in the environment, a broker that somebody runs; else one that the
tests start from the jars in `FRESHRANK_KAFKA_JARS` or `build/kafka/lib` (`make kafka-jars`); else
the tests are skipped, and fail where `CI` is set. Who kills, pauses or configures a broker has one
of its own, from the jars in any case. The fixtures `kafka`, `own_kafka` and `topic` are in
`tests/conftest.py`.
"""

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import count, cycle, repeat
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ScramMechanism, UserScramCredentialUpsertion

ROOT = Path(__file__).parents[1]
NUMBERS = count()


@dataclass(frozen=True)
class RunningKafka:
    """A broker that somebody else started."""

    bootstrap: str


def kafka_jars() -> Path:
    """The jars of Kafka; without them, or without Java, the test is skipped, or fails in CI."""
    jars = Path(os.environ.get("FRESHRANK_KAFKA_JARS", ROOT / "build" / "kafka" / "lib"))
    if not any(jars.glob("kafka_2.13-*.jar")):
        without_kafka(f"no jars of Kafka in {jars}: make kafka-jars")
    if not (os.environ.get("JAVA_HOME") or shutil.which("java")):
        without_kafka("no Java, which Kafka needs: apt-get install default-jre-headless")
    return jars


def without_kafka(reason: str) -> None:
    """Skip the test; fail it in CI, where nobody would read the reason."""
    if os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def unique_name(stem: str = "test") -> str:
    """A topic's name that no other test has, of this process or another."""
    return f"{stem}-{os.getpid()}-{next(NUMBERS)}"


def admin_of(bootstrap: str) -> closing[KafkaAdminClient]:
    """An admin client for a `with`."""
    return closing(KafkaAdminClient(bootstrap_servers=bootstrap, bootstrap_timeout_ms=20_000))


def create_topic(
    bootstrap: str,
    name: str,
    n_partitions: int = 1,
    configs: Mapping[str, str] | None = None,
) -> str:
    """Make a topic, wait until it can be used, and return its name."""
    spec = {"num_partitions": n_partitions, "replication_factor": 1, "configs": dict(configs or {})}
    with admin_of(bootstrap) as admin:
        admin.create_topics({name: spec}, wait_for_metadata=True)
    return name


def delete_topic(bootstrap: str, name: str) -> None:
    """Delete a topic, and wait until nobody sees it."""
    with admin_of(bootstrap) as admin:
        admin.delete_topics([name])
        while name in admin.list_topics():
            pass


def add_partitions(bootstrap: str, name: str, n_partitions: int) -> None:
    """Grow a topic to so many partitions in all, and wait until they can be used."""
    with admin_of(bootstrap) as admin:
        admin.create_partitions({name: n_partitions})
        while len(admin.describe_topics([name])[0]["partitions"]) < n_partitions:
            pass
        admin.wait_for_topics([name])


def topic_id(bootstrap: str, name: str) -> str:
    """The id of a topic, 32 hexadecimal digits: another one after it was deleted and made again."""
    with admin_of(bootstrap) as admin:
        return UUID(admin.describe_topics([name])[0]["topic_id"]).hex


def produce(
    bootstrap: str,
    topic: str,
    values: Iterable[bytes | None],
    *,
    partition: int | None = None,
    key: bytes = b"",
    **record: Any,
) -> list[tuple[int, int]]:
    """Append records, wait for the broker, and return (partition, offset) of each.

    Without a partition they take turns over all of them, from 0. `record`: what else
    `KafkaProducer.send` takes, `headers` and `timestamp_ms`. It wants a key beside a null value.
    """
    client = KafkaProducer(
        bootstrap_servers=bootstrap, acks="all", linger_ms=5, bootstrap_timeout_ms=20_000
    )
    with closing(client) as producer:
        every = sorted(producer.partitions_for(topic))
        turns = cycle(every) if partition is None else repeat(partition)
        sent = [
            producer.send(topic, value, key, partition=turn, **record)
            for value, turn in zip(values, turns, strict=False)
        ]
        producer.flush()
        done = [one.get(timeout=30) for one in sent]
    return [(one.partition, one.offset) for one in done]


def offsets(bootstrap: str, topic: str) -> dict[int, tuple[int, int]]:
    """The first offset there is and the next to come, by partition."""
    with closing(_consumer(bootstrap)) as consumer:
        return _offsets(consumer, topic)


def read_topic(bootstrap: str, topic: str) -> list[Any]:
    """Every `ConsumerRecord` that a topic holds now, by partition and offset."""
    with closing(_consumer(bootstrap)) as consumer:
        missing = {
            TopicPartition(topic, partition): end
            for partition, (first, end) in _offsets(consumer, topic).items()
            if first < end
        }
        consumer.assign(sorted(missing))
        if missing:
            consumer.seek_to_beginning()
        records: dict[TopicPartition, list[Any]] = {one: [] for one in sorted(missing)}
        while missing:
            for one, fetched in consumer.poll(timeout_ms=200).items():
                records[one] += [
                    record for record in fetched if record.offset < missing.get(one, 0)
                ]
            # The position, not the last record's: markers of transactions have offsets too.
            missing = {one: end for one, end in missing.items() if consumer.position(one) < end}
    return [record for fetched in records.values() for record in fetched]


def values_of(bootstrap: str, topic: str) -> list[bytes | None]:
    """The values that a topic holds now, by partition and offset."""
    return [record.value for record in read_topic(bootstrap, topic)]


def delete_records(bootstrap: str, topic: str, before: Mapping[int, int]) -> None:
    """Lose what lies before an offset, by partition, as retention does, but now."""
    records = {TopicPartition(topic, partition): offset for partition, offset in before.items()}
    with admin_of(bootstrap) as admin:
        admin.delete_records(records)


def set_scram_password(bootstrap: str, user: str, password: str) -> None:
    """Let a user in with SCRAM-SHA-256 and this password."""
    with admin_of(bootstrap) as admin:
        made = UserScramCredentialUpsertion(user, ScramMechanism.SCRAM_SHA_256, password)
        assert admin.alter_user_scram_credentials([made]) == {user: None}


def _consumer(bootstrap: str) -> KafkaConsumer:
    return KafkaConsumer(
        bootstrap_servers=bootstrap,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        bootstrap_timeout_ms=20_000,
    )


def _offsets(consumer: KafkaConsumer, topic: str) -> dict[int, tuple[int, int]]:
    partitions: Sequence[TopicPartition] = [
        TopicPartition(topic, partition)
        for partition in sorted(consumer.partitions_for_topic(topic))
    ]
    firsts, ends = consumer.beginning_offsets(partitions), consumer.end_offsets(partitions)
    return {one.partition: (firsts[one], ends[one]) for one in partitions}
