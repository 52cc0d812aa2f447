"""Offsets for tools that show lag: advisory, and of no consequence if they cannot be written."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError as ClientError
from kafka.errors import KafkaTimeoutError
from kafka.structs import OffsetAndMetadata

from stream.errors import KafkaError
from stream.kafka.cluster.connecting import connect
from stream.kafka.cluster.connection import explain
from stream.kafka.fetching.positions import number_of, topic_of
from stream.kafka.settings import KafkaSourceConfig
from stream.values import Position

LOGGER = logging.getLogger("freshrank.kafka")

_COMMIT_TIMEOUT_MS = 5_000
_CLOSE_TIMEOUT_S = 6.0
_CLOSE_CONSUMER_MS = 500


class OffsetCommitter:
    """Commits the offsets of a group from a thread of its own, through a consumer of its own.

    A group whose coordinator is away, or which this client may not use, keeps nothing from being
    read that way. Of positions that wait only the newest is committed.

    Parameters
    ----------
    config : KafkaSourceConfig
        Names the group; without one nothing is committed.
    open_group : callable
        Opens a consumer of the group.
    """

    def __init__(
        self,
        config: KafkaSourceConfig,
        open_group: Callable[[], KafkaConsumer],
    ) -> None:
        self._config = config
        self._open_group = open_group
        self._lock = threading.Lock()
        self._waiting: dict[str, int] = {}
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="kafka-offsets")
        self._consumer: KafkaConsumer | None = None
        self._is_failing = False
        self._is_closed = False

    def commit(self, end: Position) -> None:
        """Have a position committed, sooner or later."""
        if self._config.group is None:
            return
        with self._lock:
            is_idle = not self._waiting
            self._waiting = {name: int(fields["offset"]) for name, fields in end.items()}
            if is_idle and self._waiting:
                self._writer.submit(self._commit).add_done_callback(self._tell)

    def close(self) -> None:
        """Wait some seconds for what is to be committed, and close the consumer."""
        if not self._is_closed:
            self._is_closed = True
            closing = self._writer.submit(self._close)
            closing.add_done_callback(self._tell)
            wait([closing], timeout=_CLOSE_TIMEOUT_S)
            self._writer.shutdown(wait=False)

    def _commit(self) -> None:
        with self._lock:
            offsets, self._waiting = self._waiting, {}
        parts = {
            TopicPartition(topic_of(name), number_of(name)): OffsetAndMetadata(offset)
            for name, offset in offsets.items()
        }
        try:
            if self._consumer is None:
                self._consumer = self._open_group()
            self._consumer.commit(parts, timeout_ms=_COMMIT_TIMEOUT_MS)
        except (ClientError, KafkaError) as err:
            self._close()
            if not self._is_failing:
                # kafka-python waits for a topic that is gone as for a broker that is away.
                late = f"it took more than {_COMMIT_TIMEOUT_MS / 1000:g} s"
                LOGGER.warning(
                    "offsets of group %s cannot be committed: %s (they are for lag tools only; "
                    "source.kafka.group: null does without)",
                    self._config.group,
                    late
                    if isinstance(err, KafkaTimeoutError)
                    else explain(err, self._config.connection),
                )
            self._is_failing = True
        else:
            self._is_failing = False

    def _close(self) -> None:
        consumer, self._consumer = self._consumer, None  # whatever comes of it: not used again
        if consumer is not None:
            consumer.close(autocommit=False, timeout_ms=_CLOSE_CONSUMER_MS)

    def _tell(self, work: Future[None]) -> None:
        """Tell of an error that nobody waits for."""
        if not work.cancelled() and (err := work.exception()) is not None:
            LOGGER.error(
                "offsets of group %s cannot be committed (they are for lag tools only)",
                self._config.group,
                exc_info=err,
            )


def open_group(config: KafkaSourceConfig) -> KafkaConsumer:
    """A consumer that can commit offsets of the group, and joins nothing.

    Raises
    ------
    KafkaError
        If no broker lets us in.
    """
    return connect(
        KafkaConsumer,
        config.connection,
        group_id=config.group,
        enable_auto_commit=False,
        metrics_enabled=False,
    )
