"""Messages on their way to a topic: handed over in order, and counted once the broker has them."""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple, Protocol
from zlib import crc32

from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import NewTopic
from kafka.errors import KafkaError as ClientError
from kafka.errors import KafkaTimeoutError as ClientTimeoutError
from kafka.errors import TopicAlreadyExistsError, UnknownTopicOrPartitionError, for_code
from kafka.partitioner import murmur2

from stream.errors import FreshrankError, KafkaError, SinkError
from stream.kafka.cluster.connecting import connect
from stream.kafka.cluster.connection import ConnectionConfig, explain

MAX_MESSAGE_BYTES = 1 << 20
"""What a topic takes unless it is told otherwise (its `max.message.bytes`), to a few bytes."""

# The client holds back nothing by itself. Much less than this, and it waits for half-full batches.
MAX_WAITING_BYTES = 32 << 20
# What the client keeps beside a message until it is acknowledged.
_WAITING_OVERHEAD_BYTES = 1000
_MAX_CACHED_KEYS = 1 << 16
_ANSWER_TIMEOUT_MS = 10_000
# A broker that restarts, or stands still for half a minute, is waited for.
_DELIVERY_TIMEOUT_MS = 60_000

# Measured with 100,000 clicks of 100 bytes: 52,000 messages a CPU second by default, 57,000 with
# the hashes of keys kept, 59,000 without metrics, 62,000 with larger batches. What is left is the
# client's work in Python, on one core. Compression costs more than it saves (lz4 5 %, gzip 20 %).
_PRODUCER_SETTINGS: dict[str, Any] = {
    "acks": "all",
    "enable_idempotence": True,
    "allow_auto_create_topics": False,
    "batch_size": 1 << 18,
    "linger_ms": 20,
    "max_request_size": MAX_MESSAGE_BYTES,
    "max_block_ms": _ANSWER_TIMEOUT_MS,
    "request_timeout_ms": 15_000,
    "delivery_timeout_ms": _DELIVERY_TIMEOUT_MS,
    "metrics_enabled": False,
}


class Delivery(Protocol):
    """A message on its way, as kafka-python's futures have it."""

    is_done: bool
    exception: Exception | None

    def get(self, timeout: float) -> object: ...

    def add_errback(self, told: Callable[[Exception], None]) -> object: ...


class Producer(Protocol):
    """Sends messages, as kafka-python's producer does."""

    def send(self, topic: str, value: bytes, key: bytes | None, *, partition: int) -> Delivery: ...


class _Waiting(NamedTuple):
    """A message that was handed over and is not known to be there."""

    delivery: Delivery
    partition: int
    ts_ms: int | None
    n_bytes: int


class Outbox:
    """Hands messages to a producer, and counts those that the broker has acknowledged.

    A key's partition is the one that every Kafka client chooses for it by default. What waits to
    be acknowledged takes bounded memory: `put` waits for room. After the first message that
    could not be delivered nothing is handed over any more.

    Parameters
    ----------
    producer : Producer
        Who sends.
    topic : str
        Where to.
    partitions : iterable of int
        The partitions of the topic.
    explain : callable
        What to tell of an error of the client.
    max_waiting_bytes : int
        How much may wait.

    Attributes
    ----------
    n_delivered : int
        Messages that are surely on the topic.
    n_by_partition : Counter
        The same, by partition.
    delivered_to_ms : int or None
        The time up to which all that was handed over is there.
    """

    def __init__(
        self,
        producer: Producer,
        topic: str,
        partitions: Iterable[int],
        explain: Callable[[Exception], FreshrankError],
        max_waiting_bytes: int = MAX_WAITING_BYTES,
    ) -> None:
        self.topic = topic
        self.partitions = tuple(sorted(partitions))
        self.n_delivered = 0
        self.n_by_partition: Counter[int] = Counter()
        self.delivered_to_ms: int | None = None
        self._producer = producer
        self._explain = explain
        self._max_waiting_bytes = max_waiting_bytes
        self._waiting: deque[_Waiting] = deque()
        self._waiting_bytes = 0
        self._failure: Exception | None = None
        # Users come back, and the client's hash of a key is plain Python.
        self._hash = lru_cache(_MAX_CACHED_KEYS)(murmur2)

    def put(self, key: bytes | None, value: bytes, ts_ms: int | None) -> None:
        """Hand over a message; None where its time is not known.

        Raises
        ------
        SinkError
            If this message, or one before it, cannot be delivered.
        """
        if self._failure:
            self.settle()
        # A bad record has no key; it goes by its bytes, so that a second run does the same.
        hashed = crc32(value) if key is None else self._hash(key) & 0x7FFF_FFFF
        partition = self.partitions[hashed % len(self.partitions)]
        try:
            # No time is given: Kafka's own time of a message stays that of its production.
            # Retention goes by it, and would delete old events as soon as they came.
            delivery = self._producer.send(self.topic, value, key, partition=partition)
        except (ClientTimeoutError, ValueError) as err:
            # An absent broker is not noticed here: the topic, or its partition, was deleted.
            self._note_failure(UnknownTopicOrPartitionError(self.topic))
            raise self._undelivered() from err
        except ClientError as err:
            self._note_failure(err)
            raise self._undelivered() from err
        delivery.add_errback(self._note_failure)
        n_bytes = len(value) + _WAITING_OVERHEAD_BYTES
        self._waiting.append(_Waiting(delivery, partition, ts_ms, n_bytes))
        self._waiting_bytes += n_bytes
        if self._waiting_bytes > self._max_waiting_bytes:
            # Half of it: room that is made one message at a time keeps both sides waking up.
            self._wait_down_to(self._max_waiting_bytes // 2)

    def settle(self) -> None:
        """Count what has been acknowledged in the meantime.

        Raises
        ------
        SinkError
            If a message cannot be delivered.
        """
        self._count()
        if self._failure:
            raise self._undelivered() from self._failure

    def finish(self) -> None:
        """Wait until all that was handed over is acknowledged.

        Raises
        ------
        SinkError
            If a message cannot be delivered.
        """
        self._wait_down_to(0)
        self.settle()

    def _wait_down_to(self, n_bytes: int) -> None:
        timeout_s = 2 * _DELIVERY_TIMEOUT_MS / 1000  # the client's own comes first
        while self._waiting_bytes > n_bytes:
            try:
                self._waiting[0].delivery.get(timeout_s)
            except ClientError as err:
                self._note_failure(err)
            self.settle()

    def _count(self) -> None:
        while self._waiting and _is_delivered(self._waiting[0].delivery):
            first = self._waiting.popleft()
            self._waiting_bytes -= first.n_bytes
            self.n_delivered += 1
            self.n_by_partition[first.partition] += 1
            if first.ts_ms is not None:
                self.delivered_to_ms = first.ts_ms

    def _note_failure(self, err: Exception) -> None:
        """Also called in the thread of the producer."""
        self._failure = self._failure or err

    def _undelivered(self) -> SinkError:
        self._count()
        # Partitions do not wait for each other.
        n_out_of_turn = sum(_is_delivered(sent.delivery) for sent in self._waiting)
        assert self._failure is not None, "somebody has noted it"
        return SinkError(
            f"topic {self.topic}: an event could not be delivered: {self._explain(self._failure)}; "
            f"events delivered for sure: {self.n_delivered + n_out_of_turn:,}, among them all up "
            f"to event time {moment_text(self.delivered_to_ms)}"
        )


def _is_delivered(delivery: Delivery) -> bool:
    return delivery.is_done and delivery.exception is None


def moment_text(ts_ms: int | None) -> str:
    """An event time as `--from` takes it.

    Examples
    --------
    >>> moment_text(1_704_067_200_500), moment_text(None)
    ('2024-01-01T00:00:00.500Z', 'none')
    """
    if ts_ms is None:
        return "none"
    moment = datetime.fromtimestamp(ts_ms / 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{ts_ms % 1000:03}Z"


@contextmanager
def open_outbox(
    config: ConnectionConfig, topic: str, create_partitions: int | None = None
) -> Iterator[Outbox]:
    """An outbox of a topic, for the length of a `with` block.

    Parameters
    ----------
    config : ConnectionConfig
        How the brokers are reached.
    topic : str
        The topic.
    create_partitions : int, optional
        Create the topic with so many partitions if it is missing.

    Raises
    ------
    KafkaError
        If no broker answers, or the topic is missing or may not be written to; within 15 s.
    """
    try:
        _refuse_unless_writable(config, topic, create_partitions)
    except ClientError as err:
        raise explain(err, config) from err
    producer = connect(KafkaProducer, config, **_PRODUCER_SETTINGS)
    is_done = False
    try:
        # Asked now, or the first message would wait for it.
        partitions = producer.partitions_for(topic)
        yield Outbox(producer, topic, partitions, lambda err: explain(err, config))
        is_done = True
    except ClientError as err:
        raise explain(err, config) from err
    finally:
        if not is_done:
            # What follows a lost message must not go out any more, and `close` would wait for it.
            producer._sender.force_close()
        producer.close()


def _refuse_unless_writable(
    config: ConnectionConfig, topic: str, create_partitions: int | None
) -> None:
    with connect(KafkaAdminClient, config, request_timeout_ms=_ANSWER_TIMEOUT_MS) as admin:
        (found,) = admin.describe_topics([topic])
        is_missing = found["error_code"] == UnknownTopicOrPartitionError.errno
        if is_missing and create_partitions:
            with suppress(TopicAlreadyExistsError):
                # -1: as many copies as the broker makes by default.
                admin.create_topics(
                    [NewTopic(topic, create_partitions, -1)], wait_for_metadata=True
                )
            (found,) = admin.describe_topics([topic])
        elif is_missing:
            raise KafkaError(
                f"topic {topic}: does not exist at {', '.join(config.bootstrap)}; name one that "
                "does, or create it with --create PARTITIONS"
            )
    if found["error_code"]:
        raise for_code(found["error_code"])(topic)
    allowed = found.get("authorized_operations")
    if allowed and "WRITE" not in allowed:
        raise KafkaError(
            f"topic {topic}: may not be written to; allowed is {', '.join(allowed)}; "
            "let this user WRITE, or connect as another"
        )
