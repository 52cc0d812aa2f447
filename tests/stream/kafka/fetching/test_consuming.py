import threading
from contextlib import closing

import pytest

from stream.errors import KafkaError
from stream.kafka.cluster.connection import ConnectionConfig
from stream.kafka.fetching.consuming import open_consumer
from stream.kafka.settings import KafkaSourceConfig


def config_of(bootstrap):
    return KafkaSourceConfig(connection=ConnectionConfig(bootstrap=bootstrap), topics=("clicks",))


def test_a_consumer_moves_no_offset_and_creates_no_topic(kafka):
    opened = open_consumer(config_of(kafka.bootstrap))
    with closing(opened):
        assert opened.consumer.config["auto_offset_reset"] == "none"
        assert opened.consumer.config["group_id"] is None
        assert opened.consumer.config["isolation_level"] == "read_committed"
        assert opened.cluster.config["allow_auto_create_topics"] is False
        assert opened.consumer.topics() is not None
        assert opened.has_connection()
    assert not opened.has_connection()


@pytest.mark.parametrize(
    ("n_partitions", "fetch_bytes"), [(1, 512 << 10), (100, 160_000), (100_000, 16 << 10)]
)
def test_the_more_partitions_the_less_is_fetched_of_each(kafka, n_partitions, fetch_bytes):
    opened = open_consumer(config_of(kafka.bootstrap))
    with closing(opened):
        opened.share_among(n_partitions)
        assert opened.consumer._fetcher.config["max_partition_fetch_bytes"] == fetch_bytes


def test_one_that_cannot_be_opened_leaves_no_thread():
    before = threading.active_count()
    with pytest.raises(KafkaError, match=r"source\.kafka\.connection\.bootstrap"):
        open_consumer(config_of("127.0.0.1:1"))
    assert threading.active_count() == before
