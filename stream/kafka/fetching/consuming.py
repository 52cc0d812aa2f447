"""Opening a consumer that reads partitions it was told to, from offsets it was told to."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kafka import KafkaConsumer

from stream.kafka.cluster.connecting import connect
from stream.kafka.settings import KafkaSourceConfig

if TYPE_CHECKING:
    from kafka.cluster import ClusterMetadata

# New partitions and topics that were created again are seen within this time.
METADATA_AGE_MS = 3_000
# A broker that is there has answered by then; and a thread that is to end must do so in time.
_BOOTSTRAP_TIMEOUT_MS = 5_000
_CLOSE_TIMEOUT_MS = 1_000
_FETCH_PARTITION_BYTES = 512 << 10
_MIN_FETCH_PARTITION_BYTES = 16 << 10
_RECORD_BYTES = 160  # few are shorter
_FETCH_MAX_BYTES = 50 << 20
# A fetch waits for so much, but no longer: of records that come one by one each would cost a round
# of the thread that reads, and time of the loop, which shares the interpreter with it. At 1,000
# events/s that alone made the difference between keeping up and falling behind.
_FETCH_MIN_BYTES = 64 << 10
_FETCH_MAX_WAIT_MS = 50


@dataclass(frozen=True, slots=True)
class Opened:
    """A consumer, what it knows of the cluster, and how to let go of both.

    `has_connection` says whether any broker is connected at the moment. `share_among` is told how
    many partitions there are, and has less fetched of each the more they are.
    """

    consumer: KafkaConsumer
    cluster: "ClusterMetadata"
    has_connection: Callable[[], bool]
    close: Callable[[], None]
    share_among: Callable[[int], None]


def open_consumer(config: KafkaSourceConfig) -> Opened:
    """A consumer of no group, that moves no offset by itself and creates no topic.

    Without a group nothing that is wrong with its coordinator keeps records from being read.

    Parameters
    ----------
    config : KafkaSourceConfig
        What is read, and how the cluster is reached.

    Raises
    ------
    KafkaError
        If no broker lets us in; `is_temporary` says whether to wait and try again.
    """
    clients: list[Any] = []

    def make(**settings: Any) -> KafkaConsumer:
        def net_client(**configs: Any) -> Any:
            clients.append(settings["kafka_client"](**configs))
            return clients[-1]

        return KafkaConsumer(**{**settings, "kafka_client": net_client})

    consumer = connect(make, config.connection, **_settings(config))
    client = clients[-1]
    cluster = client.cluster
    # kafka-python 3.0.12 does not hand this on from the consumer: where brokers create topics by
    # themselves, it would bring a deleted one back, empty.
    cluster.config["allow_auto_create_topics"] = False

    def has_connection() -> bool:
        return any(client.connected(broker.node_id) for broker in cluster.brokers())

    def close() -> None:
        consumer.close(autocommit=False, timeout_ms=_CLOSE_TIMEOUT_MS)

    def share_among(n_partitions: int) -> None:
        # Of each partition that much may be on its way when enough waits already. kafka-python
        # 3.0.12 reads this setting anew for each request, and offers no way to change it.
        buffer_bytes = min(config.buffer_bytes, config.buffer_records * _RECORD_BYTES)
        share = buffer_bytes // max(1, n_partitions)
        consumer._fetcher.config["max_partition_fetch_bytes"] = min(
            _largest_fetch(config), max(share, _MIN_FETCH_PARTITION_BYTES)
        )

    return Opened(consumer, cluster, has_connection, close, share_among)


def _largest_fetch(config: KafkaSourceConfig) -> int:
    """How many bytes of one partition are fetched at once, at most."""
    return min(config.buffer_bytes, _FETCH_PARTITION_BYTES)


def _settings(config: KafkaSourceConfig) -> dict[str, Any]:
    return {
        "bootstrap_timeout_ms": _BOOTSTRAP_TIMEOUT_MS,
        "metadata_max_age_ms": METADATA_AGE_MS,
        "group_id": None,
        "enable_auto_commit": False,
        "auto_offset_reset": "none",
        "allow_auto_create_topics": False,
        "metrics_enabled": False,
        "isolation_level": config.isolation,
        "fetch_min_bytes": _FETCH_MIN_BYTES,
        "fetch_max_wait_ms": _FETCH_MAX_WAIT_MS,
        "max_partition_fetch_bytes": _largest_fetch(config),
        "fetch_max_bytes": min(config.buffer_bytes // 4, _FETCH_MAX_BYTES),
    }
