"""The source on a real Apache Kafka."""

import json
import time
from contextlib import closing

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from stream.errors import GapError, KafkaError
from stream.journal import Journal
from stream.kafka.cluster.connection import ConnectionConfig
from stream.kafka.fetching import consuming, contact, starting
from stream.kafka.settings import KafkaSourceConfig
from stream.kafka.source import KafkaSource
from stream.sources.batching import BatchConfig
from tests.brokers import (
    add_partitions,
    create_topic,
    delete_records,
    delete_topic,
    produce,
    topic_id,
    unique_name,
)
from tests.conformance.source_contract import as_plain


def clicks(n_clicks, name="i", first_ms=1_700_000_000_000):
    return [
        json.dumps({"user": f"u{n}", "item": f"{name}{n}", "ts": first_ms + n}).encode()
        for n in range(n_clicks)
    ]


class Reader:
    """A source on a broker, closed in the end."""

    def __init__(self, bootstrap, topic, folder, until_journal_end=False, **settings):
        cut = {"events": settings.pop("events", 50), "max_age_ms": settings.pop("max_age_ms", 100)}
        self.incidents = []
        self.journal = Journal(folder)
        config = KafkaSourceConfig(
            **{
                "connection": ConnectionConfig(bootstrap=bootstrap),
                "topics": (topic,),
                "group": None,
                **settings,
            }
        )
        self.source = KafkaSource(
            config,
            BatchConfig(**cut),
            self.journal,
            report=self.incidents.append,
            until_journal_end=until_journal_end,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.source.close()
        self.journal.close()

    def begin(self, start=None, next_seq=0, watermark_ms=0):
        self.stream = self.source.batches(start, next_seq, watermark_ms)
        return self

    def until(self, is_enough, within_s=40.0):
        """Batches until there are enough."""
        batches = []
        deadline_s = time.monotonic() + within_s
        while not is_enough(batches):
            assert time.monotonic() < deadline_s, self.source.status()
            if (batch := next(self.stream)) is not None:
                batches.append(batch)
        return batches

    def records(self, n_records, within_s=40.0):
        return self.until(lambda found: sum(b.n_records for b in found) >= n_records, within_s)

    def settled(self):
        """Until the source stands at the end of its topic."""
        self.until(lambda _: self.source.status().is_connected and self.source._lanes.lanes != ())


def items(batches):
    return sorted(item for batch in batches for item in batch.clicks.item_B)


def names(n_clicks, name="i"):
    return sorted(f"{name}{n}" for n in range(n_clicks))


def test_every_record_comes_once_and_a_resume_goes_on_behind(kafka, topic, tmp_path):
    name = topic(4)
    produce(kafka.bootstrap, name, clicks(3_000))
    with Reader(kafka.bootstrap, name, tmp_path, events=200) as reader:
        start = reader.source.starting_position()
        live = reader.begin(start).records(3_000)
        seen = items(live)
        assert seen == names(3_000)
        middle = live[len(live) // 2]
    with Reader(kafka.bootstrap, name, tmp_path, until_journal_end=True) as reader:
        reader.begin(middle.end, middle.seq + 1, middle.watermark_ms)
        repeated = [as_plain(batch) for batch in reader.stream if batch is not None]
    assert repeated == [as_plain(batch) for batch in live[len(live) // 2 + 1 :]]
    produce(kafka.bootstrap, name, clicks(100, "more"))
    with Reader(kafka.bootstrap, name, tmp_path) as reader:
        reader.begin(middle.end, middle.seq + 1, middle.watermark_ms)
        batches = reader.records(100 + sum(batch["n_records"] for batch in repeated))
    assert items(batches)[-100:] == names(100, "more")
    assert [batch.seq for batch in batches] == list(
        range(middle.seq + 1, middle.seq + 1 + len(batches))
    )


def test_a_backlog_much_larger_than_the_buffers_comes_in_order_of_time(kafka, topic, tmp_path):
    name = topic(3)
    produce(kafka.bootstrap, name, clicks(9_300))  # the last ones wait for a batch to be full
    with Reader(
        kafka.bootstrap, name, tmp_path, events=300, max_age_ms=5_000, buffer_records=1_000
    ) as reader:
        batches = reader.begin().records(9_000)
    assert items(batches) == names(sum(batch.n_records for batch in batches))
    times = [ts_ms for batch in batches for ts_ms in batch.clicks.ts_B.tolist()]
    assert times == sorted(times)
    assert max(len(batch.clicks) for batch in batches) == 300


def test_partitions_that_are_added_are_read_from_their_beginning(kafka, topic, tmp_path):
    name = topic(1)
    produce(kafka.bootstrap, name, clicks(10, "old"))
    with Reader(kafka.bootstrap, name, tmp_path, start="latest") as reader:
        reader.begin().settled()
        add_partitions(kafka.bootstrap, name, 3)
        produce(kafka.bootstrap, name, clicks(30, "new"))
        assert items(reader.records(30)) == names(30, "new")


def test_a_topic_created_again_while_running_is_never_taken_for_the_old_one(kafka, topic, tmp_path):
    name = topic(2)
    produce(kafka.bootstrap, name, clicks(20, "old"))
    with Reader(kafka.bootstrap, name, tmp_path, on_gap="earliest") as reader:
        reader.begin().records(20)
        delete_topic(kafka.bootstrap, name)
        create_topic(kafka.bootstrap, name, 2)
        produce(kafka.bootstrap, name, clicks(200, "new"))
        batches = reader.records(200)
        assert items(batches) == names(200, "new")
        assert {cursor["topic_id"] for cursor in batches[-1].end.values()} == {
            topic_id(kafka.bootstrap, name)
        }
        assert {one.name for one in reader.incidents if one.kind == "gap"} == {
            f"{name}/0",
            f"{name}/1",
        }


def test_a_topic_created_again_meanwhile_ends_the_run(kafka, topic, tmp_path):
    name = topic(1)
    produce(kafka.bootstrap, name, clicks(20, "old"))
    with Reader(kafka.bootstrap, name, tmp_path) as reader:
        last = reader.begin().records(20)[-1]
    delete_topic(kafka.bootstrap, name)
    create_topic(kafka.bootstrap, name, 1)
    produce(kafka.bootstrap, name, clicks(200, "new"))
    with (
        Reader(kafka.bootstrap, name, tmp_path) as reader,
        pytest.raises(GapError, match=rf"{name}\[0\]: the topic was deleted and created again"),
    ):
        reader.begin(last.end, last.seq + 1, last.watermark_ms).records(1)


@pytest.mark.parametrize("on_gap", ["fail", "earliest"])
def test_records_that_retention_took_are_counted(kafka, topic, tmp_path, on_gap):
    name = topic(1)
    produce(kafka.bootstrap, name, clicks(20, "old"))
    with Reader(kafka.bootstrap, name, tmp_path) as reader:
        last = reader.begin().records(20)[-1]
    produce(kafka.bootstrap, name, clicks(100, "new"))
    delete_records(kafka.bootstrap, name, {0: 90})
    with Reader(kafka.bootstrap, name, tmp_path, on_gap=on_gap) as reader:
        reader.begin(last.end, last.seq + 1, last.watermark_ms)
        if on_gap == "fail":
            with pytest.raises(GapError, match=r"70 records from offset 20 on .* is at 90"):
                reader.records(1)
            return
        batches = reader.records(30)
        entry = next(iter(reader.journal.entries(batches[0].seq)))
        assert items(batches) == sorted(f"new{n}" for n in range(70, 100))
        assert entry.ranges[f"{name}/0"].start == 90
        assert [one.details["lost_records"] for one in reader.incidents] == [70]
    with Reader(kafka.bootstrap, name, tmp_path, until_journal_end=True) as reader:
        reader.begin(last.end, last.seq + 1, last.watermark_ms)
        repeated = [as_plain(batch) for batch in reader.stream if batch is not None]
        assert repeated == [as_plain(batch) for batch in batches]
        assert reader.incidents == []


@pytest.mark.parametrize("compression", ["gzip", "snappy", "lz4", "zstd"])
def test_compressed_records_are_read(kafka, topic, tmp_path, compression):
    name = topic(1)
    client = KafkaProducer(bootstrap_servers=kafka.bootstrap, compression_type=compression)
    with closing(client) as producer:
        for value in clicks(500):
            producer.send(name, value)
        producer.flush()
    with Reader(kafka.bootstrap, name, tmp_path) as reader:
        assert items(reader.begin().records(500)) == names(500)


def test_only_what_a_transaction_committed_is_read(kafka, topic, tmp_path):
    name = topic(1)
    client = KafkaProducer(bootstrap_servers=kafka.bootstrap, transactional_id=f"{name}-writer")
    with closing(client) as producer:
        producer.init_transactions()
        for outcome in ("kept", "dropped", "later"):
            producer.begin_transaction()
            for value in clicks(20, outcome):
                producer.send(name, value)
            producer.flush()
            if outcome == "dropped":
                producer.abort_transaction()
            else:
                producer.commit_transaction()
    with Reader(kafka.bootstrap, name, tmp_path) as reader:
        start = reader.source.starting_position()
        live = reader.begin(start).records(40)
        reader.until(lambda _: reader.source.status().lag_records == 0)
        assert items(live) == sorted(names(20, "kept") + names(20, "later"))
    with Reader(kafka.bootstrap, name, tmp_path, until_journal_end=True) as reader:
        repeated = [batch for batch in reader.begin(start).stream if batch is not None]
    assert [as_plain(batch) for batch in repeated] == [as_plain(batch) for batch in live]


def test_offsets_are_committed_for_lag_tools(kafka, topic, tmp_path):
    name = topic(2)
    produce(kafka.bootstrap, name, clicks(20))
    with Reader(kafka.bootstrap, name, tmp_path, group=f"{name}-group") as reader:
        reader.source.acknowledge(reader.begin().records(20)[-1].end)
    client = KafkaConsumer(bootstrap_servers=kafka.bootstrap, group_id=f"{name}-group")
    with closing(client) as consumer:
        assert [consumer.committed(TopicPartition(name, number)) for number in range(2)] == [10, 10]


def test_an_unknown_topic_is_refused_and_not_created(breakable, tmp_path, monkeypatch):
    monkeypatch.setattr(starting, "_APPEARS_WITHIN_S", 1.0)
    bootstrap = breakable.broker.bootstrap
    name = create_topic(bootstrap, unique_name("clicks"), 1)
    misspelt = name.replace("clicks", "clicsk")
    with (
        Reader(bootstrap, misspelt, tmp_path) as reader,
        pytest.raises(KafkaError, match=rf"source\.kafka\.topics: .* {misspelt} .* mean {name}\?"),
    ):
        reader.begin().records(1, within_s=15)
    create_topic(bootstrap, misspelt, 1)  # fails if anybody has done so already


def test_a_topic_that_was_deleted_is_waited_for_and_not_created(breakable, tmp_path):
    bootstrap = breakable.broker.bootstrap
    name = create_topic(bootstrap, unique_name(), 1)
    produce(bootstrap, name, clicks(5))
    with Reader(bootstrap, name, tmp_path, on_gap="earliest") as reader:
        reader.begin().records(5)
        delete_topic(bootstrap, name)
        reader.until(lambda _: "does not exist" in (reader.source.status().problem or ""))
        deadline_s = time.monotonic() + 2
        reader.until(lambda _: time.monotonic() > deadline_s)
        create_topic(bootstrap, name, 1)  # fails if anybody has done so already
        produce(bootstrap, name, clicks(7, "new"))
        assert items(reader.records(7)) == names(7, "new")


def test_a_broker_that_is_absent_at_first_is_waited_for(breakable, tmp_path):
    broker, proxy = breakable.broker, breakable.proxy
    name = create_topic(broker.bootstrap, unique_name(), 2)
    produce(broker.bootstrap, name, clicks(50))
    proxy.refuse()
    with Reader(proxy.address, name, tmp_path) as reader:
        reader.begin()
        reader.until(lambda _: "bootstrap" in (reader.source.status().problem or ""))
        proxy.accept()
        assert items(reader.records(50)) == names(50)


def test_a_broker_that_is_killed_or_paused_costs_time_alone(breakable, tmp_path, monkeypatch):
    monkeypatch.setattr(consuming, "METADATA_AGE_MS", 1_000)
    monkeypatch.setattr(contact, "_DEAF_S", 2.5)
    broker = breakable.broker
    name = create_topic(broker.bootstrap, unique_name(), 2)
    produce(broker.bootstrap, name, clicks(50, "a"))
    with (
        Reader(broker.bootstrap, name, tmp_path / "goes on") as reader,
        Reader(broker.bootstrap, name, tmp_path / "ends") as ending,
    ):
        ending.begin().records(50)
        found = reader.begin().records(50)
        broker.pause()
        reader.until(lambda _: not reader.source.status().is_connected)
        broker.unpause()
        produce(broker.bootstrap, name, clicks(50, "b"))
        found += reader.records(50)
        broker.kill()
        reader.until(lambda _: not reader.source.status().is_connected)
        closed_s = time.monotonic()
        ending.source.close()
        assert time.monotonic() - closed_s < 10
        broker.start()
        produce(broker.bootstrap, name, clicks(50, "c"))
        found += reader.records(50)
        reader.until(lambda _: reader.source.status().problem is None)
    assert items(found) == sorted(names(50, "a") + names(50, "b") + names(50, "c"))


def test_connections_that_are_reset_again_and_again_lose_and_double_nothing(breakable, tmp_path):
    broker, proxy = breakable.broker, breakable.proxy
    name = create_topic(broker.bootstrap, unique_name(), 3)
    produce(broker.bootstrap, name, clicks(20_000))
    found = []
    with Reader(proxy.address, name, tmp_path, buffer_records=2_000) as reader:
        reader.begin()
        for n_resets in range(1, 11):
            found += reader.records(max(0, n_resets * 1_500 - sum(b.n_records for b in found)))
            proxy.reset()
        found += reader.records(20_000 - sum(b.n_records for b in found))
    assert items(found) == names(20_000)
