"""A broker in memory, and the part of kafka-python's consumer that reads from it.

What the fake does was seen of kafka-python 3.0.12 on a real broker: it fetches by the topic's name,
says nothing when the broker is away, and raises at the offset that is out of range.
"""

import json
import threading
import time
from bisect import bisect_left
from collections import namedtuple
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from uuid import UUID

from kafka import TopicPartition
from kafka.errors import KafkaTimeoutError, OffsetOutOfRangeError

from stream.errors import KafkaError
from stream.journal import Journal
from stream.kafka.cluster.connection import ConnectionConfig
from stream.kafka.fetching.consuming import Opened
from stream.kafka.settings import KafkaSourceConfig
from stream.kafka.source import KafkaSource, Surroundings
from stream.sources.batching import BatchConfig
from stream.values import Batch

Record = namedtuple("Record", ["offset", "timestamp", "value"])
_IDS = count(1)


class FakeLog:
    """One partition: records by offset, from `first` up to `end`."""

    def __init__(self) -> None:
        self.first = self.end = 0
        self.records: list[Record] = []

    def append(self, value: bytes | None, timestamp: int = 0) -> int:
        self.records.append(Record(self.end, timestamp, value))
        self.end += 1
        return self.end - 1

    def skip(self, n_offsets: int = 1) -> None:
        """Offsets without a record, as a transaction leaves them."""
        self.end += n_offsets

    def delete_before(self, offset: int) -> None:
        self.first = offset
        self.records = [record for record in self.records if record.offset >= offset]

    def shorten(self, end: int) -> None:
        self.end = end
        self.records = [record for record in self.records if record.offset < end]

    def since(self, offset: int, limit: int) -> tuple[list[Record], int]:
        """Some records, and the offset after them and after what has none."""
        start = bisect_left([record.offset for record in self.records], offset)
        found = self.records[start : start + limit]
        is_all = start + limit >= len(self.records)
        return found, self.end if is_all else found[-1].offset + 1


class FakeBroker:
    """Topics, and whether anybody can be reached."""

    def __init__(self, **n_partitions: int) -> None:
        self.changed = threading.Condition()
        self.logs: dict[str, dict[int, FakeLog]] = {}
        self.ids: dict[str, UUID] = {}
        self.is_away = False
        self.is_mute = False
        self.unauthorized: set[str] = set()
        self.leaderless: set[tuple[str, int]] = set()
        self.fetch_records = 5
        self.opened: list[FakeConsumer] = []
        for topic, number in n_partitions.items():
            self.create(topic, number)

    def create(self, topic: str, n_partitions: int) -> None:
        self.ids[topic] = UUID(int=next(_IDS))
        self.logs[topic] = {number: FakeLog() for number in range(n_partitions)}
        self.tell()

    def delete(self, topic: str) -> None:
        del self.logs[topic], self.ids[topic]

    def grow(self, topic: str, n_partitions: int) -> None:
        for number in range(len(self.logs[topic]), n_partitions):
            self.logs[topic][number] = FakeLog()
        self.tell()

    def log(self, name: str) -> FakeLog:
        topic, number = name.split("/")
        return self.logs[topic][int(number)]

    def click(self, name: str, ts_ms: int, item: str = "i", **fields: object) -> int:
        value = {"user": "u", "item": item, "ts": ts_ms, **fields}
        return self.send(name, json.dumps(value).encode())

    def send(self, name: str, value: bytes | None, timestamp: int = 0) -> int:
        with self.changed:
            offset = self.log(name).append(value, timestamp)
            self.changed.notify_all()
        return offset

    def tell(self) -> None:
        """Answer what is asked about topics every few seconds."""
        for consumer in self.opened:
            if not self.is_mute and not consumer.is_closed:
                consumer.cluster.answer()

    def open(self) -> Opened:
        if self.is_away:
            raise KafkaError("source.kafka.connection.bootstrap: away") from KafkaTimeoutError()
        consumer = FakeConsumer(self)
        self.opened.append(consumer)
        return Opened(
            consumer, consumer.cluster, lambda: not self.is_away, consumer.close, lambda _: None
        )


class FakeCluster:
    """What a consumer knows of topics; it answers at once, unless the broker is mute or away."""

    def __init__(self, broker: FakeBroker) -> None:
        self._broker = broker
        self._listeners: list[Callable[[FakeCluster], None]] = []
        self._logs: dict[str, set[int]] = {}
        self._ids: dict[str, UUID] = {}
        self.unauthorized_topics: set[str] = set()
        self.metadata_refresh_in_progress = False
        self.config: dict[str, object] = {}

    def add_listener(self, listener: Callable[["FakeCluster"], None]) -> None:
        self._listeners.append(listener)

    def set_topics(self, topics: Sequence[str]) -> None:
        self.request_update()

    def request_update(self) -> None:
        if not self._broker.is_mute and not self._broker.is_away:
            self.answer()

    def answer(self) -> None:
        self._logs = {topic: set(logs) for topic, logs in self._broker.logs.items()}
        self._ids = dict(self._broker.ids)
        self.unauthorized_topics = set(self._broker.unauthorized)
        if self.unauthorized_topics:
            return  # a listener of kafka-python's own raises, and may be the first of them
        for listener in self._listeners:
            listener(self)

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        return None if topic in self.unauthorized_topics else self._logs.get(topic)

    def topic_id(self, topic: str) -> UUID | None:
        return self._ids.get(topic)


class FakeConsumer:
    """Reads a `FakeBroker`, a few records of each partition at a time."""

    def __init__(self, broker: FakeBroker) -> None:
        self._broker = broker
        self.cluster = FakeCluster(broker)
        self._positions: dict[TopicPartition, int | None] = {}
        self._highwater: dict[TopicPartition, int] = {}
        self.paused: set[TopicPartition] = set()
        self.is_closed = False
        self.error: Exception | None = None
        self.fetched_offsets: dict[str, int] = {}

    def assign(self, parts: Sequence[TopicPartition]) -> None:
        self._positions = {part: self._positions.get(part) for part in parts}
        self.paused &= set(parts)

    def seek(self, part: TopicPartition, offset: int) -> None:
        assert part in self._positions, f"{part} is not assigned"
        self._positions[part] = offset

    def pause(self, *parts: TopicPartition) -> None:
        self.paused.update(parts)

    def resume(self, *parts: TopicPartition) -> None:
        self.paused.difference_update(parts)

    def poll(self, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[Record]]:
        assert None not in self._positions.values(), "a partition without a position"
        if self.error is not None:
            error, self.error = self.error, None
            raise error
        with self._broker.changed:
            if not (found := self._fetched()):
                self._broker.changed.wait(min(timeout_ms, 20) / 1000)
                found = self._fetched()
        return found

    def _fetched(self) -> dict[TopicPartition, list[Record]]:
        found = {}
        for part, position in self._positions.items():
            log = self._broker.logs.get(part.topic, {}).get(part.partition)
            if log is None or self._broker.is_away or part in self.paused:
                continue
            if part in self._broker.leaderless:
                continue
            assert position is not None
            if not log.first <= position <= log.end:
                raise OffsetOutOfRangeError({part: position})
            records, self._positions[part] = log.since(position, self._broker.fetch_records)
            self._highwater[part] = log.end
            self.fetched_offsets[part.topic] = self._positions[part]
            if records:
                found[part] = records
        return found

    def position(self, part: TopicPartition, timeout_ms: int) -> int | None:
        return self._positions[part]

    def highwater(self, part: TopicPartition) -> int | None:
        return self._highwater.get(part)

    def beginning_offsets(
        self, parts: Sequence[TopicPartition], timeout_ms: int
    ) -> dict[TopicPartition, int]:
        return {part: self._log(part).first for part in parts}

    def end_offsets(
        self, parts: Sequence[TopicPartition], timeout_ms: int
    ) -> dict[TopicPartition, int]:
        return {part: self._log(part).end for part in parts}

    def offsets_for_times(
        self, times: dict[TopicPartition, int], timeout_ms: int
    ) -> dict[TopicPartition, Record | None]:
        return {
            part: next((r for r in self._log(part).records if r.timestamp >= time_ms), None)
            for part, time_ms in times.items()
        }

    def topics(self) -> set[str]:
        return set(self._broker.logs)

    def close(self) -> None:
        self.is_closed = True

    def _log(self, part: TopicPartition) -> FakeLog:
        is_known = part.topic in self._broker.logs and part not in self._broker.leaderless
        if self._broker.is_away or not is_known:
            raise KafkaTimeoutError
        return self._broker.logs[part.topic][part.partition]


class Clock:
    """Time that passes, and can be made to pass at once."""

    def __init__(self) -> None:
        self._skipped_s = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self._skipped_s

    def skip(self, seconds: float) -> None:
        self._skipped_s += seconds


def config_of(*topics: object, **settings: object) -> KafkaSourceConfig:
    connection = ConnectionConfig(bootstrap="localhost:9092")
    return KafkaSourceConfig(
        **{"connection": connection, "topics": topics or ("clicks",), "group": None, **settings}
    )


class Run:
    """A source over a fake broker, with what it reports."""

    def __init__(
        self,
        broker: FakeBroker,
        folder,
        until_journal_end=False,
        batch=None,
        clock=None,
        **settings,
    ) -> None:
        self.broker = broker
        self.clock = clock or Clock()
        self.incidents = []
        self.journal = Journal(folder)
        topics = settings.pop("topics", ("clicks",))
        self.source = KafkaSource(
            config_of(*topics, **settings),
            BatchConfig(**(batch or {"events": 4, "max_age_ms": 20})),
            self.journal,
            report=self.incidents.append,
            until_journal_end=until_journal_end,
            surroundings=Surroundings(broker.open, _no_group, self.clock),
        )
        self._batches: Iterator[Batch | None] | None = None

    def begin(self, start=None, next_seq=0, watermark_ms=0) -> "Run":
        self._batches = self.source.batches(start, next_seq, watermark_ms)
        return self

    def step(self) -> Batch | None:
        """The next batch, or that there is none."""
        assert self._batches is not None
        return next(self._batches)

    def batch(self, within_s: float = 5.0) -> Batch:
        """The next batch."""
        deadline_s = time.monotonic() + within_s
        while time.monotonic() < deadline_s:
            if (batch := self.step()) is not None:
                return batch
        raise AssertionError(f"no batch within {within_s} s; {self.source.status()}")

    def records(self, n_records: int) -> list[Batch]:
        """Batches until so many records came."""
        batches: list[Batch] = []
        while sum(batch.n_records for batch in batches) < n_records:
            batches.append(self.batch())
        return batches

    def until(self, is_true: Callable[[], bool], within_s: float = 5.0) -> None:
        """Go on until something is so; no batch may come meanwhile."""
        deadline_s = time.monotonic() + within_s
        while not is_true():
            assert time.monotonic() < deadline_s, self.source.status()
            assert self.step() is None

    def rest(self) -> list[Batch]:
        """All batches of a source that ends."""
        assert self._batches is not None
        return [batch for batch in self._batches if batch is not None]

    def close(self) -> None:
        self.source.close()
        self.journal.close()


@contextmanager
def running(broker: FakeBroker, folder, **settings) -> Iterator[Run]:
    """A run that is closed in the end."""
    run = Run(broker, folder, **settings)
    try:
        yield run
    finally:
        run.close()


def _no_group():
    raise AssertionError("no offsets are committed here")
