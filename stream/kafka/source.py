"""Events from topics of Kafka.

First what the journal says was read after the checkpoint is read again, batch by batch; then
batches are cut as records come. What the wall clock decides of one of those is in the journal
before the batch is handed out.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, repeat

from kafka import KafkaConsumer

from stream.errors import KafkaError
from stream.journal import Entry, Journal, Range
from stream.kafka.batching.cutting import Cutter
from stream.kafka.batching.gathering import Gathered, gather
from stream.kafka.batching.lane_set import LaneSet, is_end_known, unfetched
from stream.kafka.batching.watermarks import stream_time
from stream.kafka.cluster.connection import is_temporary
from stream.kafka.committing import OffsetCommitter, open_group
from stream.kafka.fetching.consuming import Opened, open_consumer
from stream.kafka.fetching.fetcher import Fetcher
from stream.kafka.fetching.gaps import Gaps
from stream.kafka.fetching.handover import View
from stream.kafka.fetching.positions import Cursor, cursors_of, in_order, stretches
from stream.kafka.fetching.starting import start_of
from stream.kafka.settings import KafkaSourceConfig
from stream.notices import Incident
from stream.sources.batching import BatchConfig, as_batch
from stream.values import Batch, Command, Position

LOGGER = logging.getLogger("freshrank.kafka")

_NOTHING_EVERY_S = 0.2
_ORDERS_AFTER_S = 0.1
_STEP_S = 0.1
# Each transaction leaves an offset without a record: not for each of them an entry in the journal.
_MOVES_EVERY_S = 3.0
_BACKOFF_S = (0.0, 0.5, 1.0, 2.0)
_LAST_BACKOFF_S = 5.0


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """How the reading goes, as any thread may ask.

    `lag_records` are records that are there and were not handed out, None while nobody knows
    where a partition ends; `last_arrival_s` is when the last one came, by the clock of the source.
    `newest_ts_ms` is Kafka's own time of the newest record handed out.
    """

    is_connected: bool = False
    problem: str | None = "not started"
    lag_records: int | None = None
    last_arrival_s: float | None = None
    newest_ts_ms: int | None = None
    n_records: int = 0
    is_repeating: bool = False
    is_backlog: bool = False


@dataclass(frozen=True, slots=True)
class Surroundings:
    """How brokers and time are reached: a consumer that reads, one that commits, and a clock."""

    open_consumer: Callable[[], Opened]
    open_group: Callable[[], KafkaConsumer]
    clock: Callable[[], float] = time.monotonic


class KafkaSource:
    """A source over topics of Kafka, read by a thread of its own.

    `batches` may be called once. It hands out None at least every 200 ms while there is nothing,
    also between two batches that are further apart, and waits for brokers that are away. `order`
    may be called by other threads and by signal handlers, `status` by other threads.

    Parameters
    ----------
    config : KafkaSourceConfig
        What to read.
    batch : BatchConfig
        How to cut.
    journal : Journal
        What was decided so far, and where it is written down.
    report : callable
        Takes incidents.
    until_journal_end : bool
        Whether to end where the journal does.
    surroundings : Surroundings, optional
        The brokers and the clock, if not the real ones.
    """

    def __init__(
        self,
        config: KafkaSourceConfig,
        batch: BatchConfig,
        journal: Journal,
        *,
        report: Callable[[Incident], None],
        until_journal_end: bool = False,
        surroundings: "Surroundings | None" = None,
    ) -> None:
        self._config = config
        self._journal = journal
        self._until_journal_end = until_journal_end
        around = surroundings or Surroundings(
            partial(open_consumer, config), partial(open_group, config)
        )
        self._connect = around.open_consumer
        self._clock = around.clock
        gaps = Gaps(config.on_gap == "earliest", report)
        self._fetcher = Fetcher(config, around.open_consumer, gaps, around.clock)
        self._committer = OffsetCommitter(config, around.open_group)
        self._cutter = Cutter(batch)
        self._lanes = LaneSet(config.max_ahead, self._fetcher.used_up)
        self._end: dict[str, Mapping[str, int | str]] = {}
        self._orders: deque[Command] = deque()
        self._ordered_s: float | None = None
        self._handed_out_s = self._moved_s = self._clock()
        self._view = View()
        self._absence: str | None = None
        self._progress = _Progress()

    def starting_position(self, is_stopped: Callable[[], bool] = lambda: False) -> Position | None:
        """The position that `source.kafka.start` means; waits for brokers that are away.

        None if `is_stopped`, asked now and then, ends the waiting.

        Raises
        ------
        KafkaError
            If a topic or an offset is not there, or no waiting helps.
        """
        began_s = self._clock()
        waits_s = chain(_BACKOFF_S, repeat(_LAST_BACKOFF_S))
        while not _is_stopped_within(next(waits_s), is_stopped):
            try:
                cursors = start_of(self._config, self._connect, self._clock, is_stopped)
            except KafkaError as err:
                if not is_temporary(err):
                    raise
                if self._absence is None:
                    LOGGER.warning("Kafka is not ready for us, trying again: %s", err)
                self._absence = str(err)
            else:
                if self._absence is not None:
                    LOGGER.info("Kafka answers after %.1f s", self._clock() - began_s)
                self._absence = None
                return None if cursors is None else _as_position(cursors)
        return None

    def batches(
        self, start: Position | None, next_seq: int = 0, watermark_ms: int = 0
    ) -> Iterator[Batch | None]:
        topics = [topic.name for topic in self._config.topics]
        cursors = cursors_of(start or {}, topics)
        ahead = stretches(cursors, self._journal.entries(next_seq), topics)
        self._end = _as_position(cursors)
        now_s = self._handed_out_s = self._moved_s = self._clock()
        for name, stretch in ahead.items():
            first = Cursor(stretch[0].start, stretch[0].topic_id)
            self._lanes.add(name, cursors.get(name, first), now_s)
        self._fetcher.start(ahead)
        for entry in self._journal.entries(next_seq):
            self._progress.is_repeating = True
            yield from self._repeat(entry, watermark_ms)
            next_seq, watermark_ms = entry.seq + 1, entry.watermark_ms
        self._progress.is_repeating = False
        if not self._until_journal_end:
            yield from self._live(next_seq, watermark_ms)

    def acknowledge(self, end: Position) -> None:
        """Have the offsets committed for whoever looks at the group's lag."""
        self._committer.commit(end)

    def order(self, command: Command) -> None:
        """Put a command into the next batch; without a record that is an empty one, at once."""
        self._orders.append(command)

    def status(self) -> SourceStatus:
        """How the reading goes."""
        view, progress = self._fetcher.view, self._progress
        places = progress.places
        lags = [
            place.n_waiting + unfetched(place.fetched, view.marks.get(name))
            for name, place in places.items()
        ]
        is_known = view.is_connected and all(is_end_known(view.marks.get(name)) for name in places)
        return SourceStatus(
            is_connected=view.is_connected,
            problem=self._absence or view.problem,
            lag_records=sum(lags) if places and is_known else None,
            last_arrival_s=view.arrived_s,
            newest_ts_ms=progress.newest_timestamp_ms,
            n_records=progress.n_records,
            is_repeating=progress.is_repeating,
            is_backlog=sum(lags) > self._config.backlog_records,
        )

    def close(self) -> None:
        """End the threads and close the consumers, within seconds even if no broker answers."""
        self._fetcher.close()
        self._committer.close()

    def _repeat(self, entry: Entry, before_ms: int) -> Iterator[Batch | None]:
        """The batch of a journal entry, of the records that are still there."""
        parts = {}
        for name in sorted(entry.ranges, key=in_order):
            lane, part = self._lanes[name], entry.ranges[name]
            parts[name] = lane.take_of(part)
            while not lane.has_passed(part):
                yield from self._receive(_STEP_S)
                parts[name] += lane.take_of(part)
        yield self._batch(entry, gather(parts, before_ms, self._config.max_ahead))

    def _live(self, seq: int, watermark_ms: int) -> Iterator[Batch | None]:
        """Batches as records come."""
        timeout_s = 0.0
        while True:
            yield from self._receive(timeout_s)
            counts = self._due(watermark_ms)
            if counts is None:
                timeout_s = max(0.0, min(_STEP_S, self._cutter.wait_s))
                continue
            timeout_s = 0.0
            if self._may_move():
                self._moved_s = self._clock()
                self._lanes.catch_up()
            starts = {lane.name: lane.offset for lane in self._lanes.lanes}
            parts = self._lanes.take(counts)
            for name in parts:  # their ranges are written anyway
                self._lanes[name].catch_up()
            gathered = gather(parts, watermark_ms, self._config.max_ahead)
            entry = self._decided(seq, starts, gathered, watermark_ms)
            self._journal.append(entry)
            seq, watermark_ms = seq + 1, entry.watermark_ms
            yield self._batch(entry, gathered)

    def _receive(self, timeout_s: float) -> Iterator[None]:
        """Take what was fetched; say that there is nothing, if that was not said for long."""
        chunks, view = self._fetcher.take(timeout_s)
        now_s = self._clock()
        self._lanes.receive(chunks, view, now_s)
        self._view = view  # what it says agrees with the chunks; a later one need not
        if now_s - self._handed_out_s >= _NOTHING_EVERY_S:
            self._keep_places()
            yield None
            self._handed_out_s = self._clock()

    def _due(self, watermark_ms: int) -> list[int] | None:
        """How many records of each lane make up the next batch; None while there is none."""
        now_s = self._clock()
        if self._orders and self._ordered_s is None:
            self._ordered_s = now_s
        is_forced = self._ordered_s is not None and now_s - self._ordered_s >= _ORDERS_AFTER_S
        lanes = self._lanes.lanes
        counts = self._cutter.counts(lanes, self._view.marks, now_s, is_forced)
        if counts is None and not self._lanes.n_ready:
            # A partition may have been silent for long enough to be waited for no longer.
            is_news = self._stream_time(watermark_ms) > watermark_ms
            # Where a lane goes on must not be decided again, nor taken for a loss, after a restart.
            is_news = is_news or (self._lanes.has_moved and self._may_move())
            return [0] * len(lanes) if is_news else None
        return counts

    def _may_move(self) -> bool:
        """Whether offsets that no record led to may be written down again."""
        return self._clock() - self._moved_s >= _MOVES_EVERY_S

    def _decided(
        self, seq: int, starts: Mapping[str, int], gathered: Gathered, before_ms: int
    ) -> Entry:
        """What the next batch is made up of, for the journal."""
        ranges: dict[str, Range] = {}
        for name, ts_N in gathered.believed.items():
            lane = self._lanes[name]
            lane.time.observe(ts_N)
            lane.is_moved = False
            ranges[name] = Range(lane.topic_id, starts[name], lane.offset, lane.time.ts_ms)
        commands = tuple(self._orders.popleft() for _ in range(len(self._orders)))
        self._ordered_s = None
        n_unread = self._lanes.n_unread(self._view.marks)
        return Entry(
            seq=seq,
            ranges=ranges,
            watermark_ms=self._stream_time(before_ms),
            is_backlog=n_unread > self._config.backlog_records,
            commands=commands,
        )

    def _stream_time(self, before_ms: int) -> int:
        standings = self._lanes.standings(self._view)
        return stream_time(standings, self._config.idle_after / 1000, before_ms)

    def _batch(self, entry: Entry, gathered: Gathered) -> Batch:
        """The batch that an entry describes, from its records."""
        moved = {n: Cursor(p.stop, p.topic_id, p.ts_ms) for n, p in entry.ranges.items()}
        self._end = {**self._end, **_as_position(moved)}
        self._keep_places()
        self._progress.n_records += len(gathered.entries)
        if gathered.newest_timestamp_ms:
            self._progress.newest_timestamp_ms = gathered.newest_timestamp_ms
        self._handed_out_s = self._clock()
        batch = as_batch(
            entry.seq, gathered.entries, gathered.origins, entry.watermark_ms, self._end
        )
        return replace(batch, is_backlog=entry.is_backlog, commands=entry.commands)

    def _keep_places(self) -> None:
        """Note how far every lane is, for other threads to read."""
        self._progress.places = {
            lane.name: _Place(lane.fetched, lane.n_waiting) for lane in self._lanes.lanes
        }


def _is_stopped_within(wait_s: float, is_stopped: Callable[[], bool]) -> bool:
    """Let so many seconds pass; whether the waiting is to end before."""
    for _ in range(round(wait_s / _STEP_S)):
        if is_stopped():
            return True
        time.sleep(_STEP_S)
    return is_stopped()


def _as_position(cursors: Mapping[str, Cursor]) -> dict[str, Mapping[str, int | str]]:
    return {name: cursor.fields() for name, cursor in cursors.items()}


@dataclass(frozen=True, slots=True)
class _Place:
    """How far a lane is."""

    fetched: int
    n_waiting: int


@dataclass(slots=True)
class _Progress:
    """What the loop's thread tells others; each field is replaced, never changed."""

    places: Mapping[str, _Place] = field(default_factory=dict)
    n_records: int = 0
    newest_timestamp_ms: int | None = None
    is_repeating: bool = False
