"""Records of one partition that wait in the loop's hands until a batch takes them.

# N records of a lane that wait
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from stream.decoding import Entry
from stream.journal import Range
from stream.kafka.batching.aligning import sort_keys
from stream.kafka.batching.watermarks import PartitionTime
from stream.kafka.fetching.chunks import Chunk, origin
from stream.kafka.fetching.positions import Cursor, is_same, number_of, topic_of
from stream.values import Int64s

UsedUp = Callable[[str, int, int], None]
"""Told that so many records and bytes of a partition wait no longer."""


@dataclass(frozen=True, slots=True)
class Taken:
    """Records of one partition on their way into a batch, in the order of their offsets."""

    entries: list[Entry]
    values: list[bytes]
    origins: list[str]
    ts_N: Int64s
    newest_timestamp_ms: int


class Lane:
    """One partition, from its cursor on.

    Parameters
    ----------
    name : str
        The partition, such as `clicks/0`.
    cursor : Cursor
        Where it goes on.
    max_ahead_ms : int
        A time further ahead than this does not decide when its record is read.
    used_up : callable
        Is told when there is room for more.

    Attributes
    ----------
    offset : int
        The first record that no batch took.
    time : PartitionTime
        Its event time there.
    is_moved : bool
        Whether the offset is one that no journal entry led to: what was before it is gone, was
        never to be read, or had no record.
    heard_s : float
        When its last record came, or when somebody began to wait for one.
    n_ready : int
        How many records can be taken; those beyond a jump cannot, until the others are.
    """

    def __init__(self, name: str, cursor: Cursor, max_ahead_ms: int, used_up: UsedUp) -> None:
        self.name = name
        self.offset = cursor.offset
        self.topic_id = cursor.topic_id
        self.time = PartitionTime(max_ahead_ms, cursor.ts_ms)
        self.is_moved = False
        self.heard_s = 0.0
        self.n_ready = 0
        self._topic, self._number = topic_of(name), number_of(name)
        self._max_ahead_ms = max_ahead_ms
        self._used_up = used_up
        self._fetched = cursor.offset
        self._fetched_topic_id = cursor.topic_id
        self._fetched_time = PartitionTime(max_ahead_ms, cursor.ts_ms)
        self._ready: deque[_Held] = deque()
        self._beyond: deque[tuple[Chunk, bool]] = deque()
        self._last_key = cursor.ts_ms

    @property
    def fetched(self) -> int:
        """The first offset that is not here yet."""
        return self._fetched

    @property
    def n_waiting(self) -> int:
        """How many records are here, those beyond a jump too."""
        return self.n_ready + sum(len(chunk) for chunk, _ in self._beyond)

    @property
    def oldest_s(self) -> float | None:
        """When the first record that can be taken came; None if there is none."""
        return self._ready[0].chunk.arrived_s if self._ready else None

    @property
    def last_key(self) -> int:
        """How far the partition is at the last record that can be taken, or was."""
        return self._last_key

    def add(self, chunk: Chunk) -> None:
        """Put what was fetched behind what waits."""
        is_other = not is_same(self._fetched_topic_id, chunk.topic_id)
        is_jump = is_other or chunk.start != self._fetched
        self._fetched, self._fetched_topic_id = chunk.stop, chunk.topic_id
        if len(chunk):
            self.heard_s = chunk.arrived_s
        if is_jump or self._beyond:
            self._beyond.append((chunk, is_jump))
            self.settle()
        elif len(chunk):  # offsets without records: the next range goes over them
            self._make_ready(chunk)

    def settle(self) -> None:
        """Jump, if everything before the jump was taken."""
        while self._beyond:
            chunk, is_jump = self._beyond[0]
            if is_jump:
                if self._ready:
                    return
                self.offset, self.topic_id, self.is_moved = chunk.start, chunk.topic_id, True
            self._beyond.popleft()
            if len(chunk):
                self._make_ready(chunk)

    @property
    def is_short(self) -> bool:
        """Whether all records were taken, and offsets without a record lie behind them."""
        return not (self._ready or self._beyond) and self.offset < self._fetched

    def catch_up(self) -> None:
        """Go on behind what was fetched, though the last offsets there had no record.

        They are not in the range of any batch then: retention takes them without a loss.
        """
        if self.is_short:
            self.offset, self.is_moved = self._fetched, True

    def keys(self) -> Int64s:
        """How far the partition is at each record that can be taken."""
        parts = [held.key_N[held.n_taken :] for held in self._ready]
        return np.concatenate(parts) if parts else np.zeros(0, np.int64)

    def take(self, n_records: int) -> list[Taken]:
        """The next records, and go on behind them."""
        taken: list[Taken] = []
        while n_records:
            held = self._ready[0]
            chunk, start = held.chunk, held.n_taken
            stop = min(start + n_records, len(chunk))
            taken.append(self._part(chunk, start, stop))
            n_records -= stop - start
            self.n_ready -= stop - start
            held.n_taken = stop
            self.offset = chunk.stop if stop == len(chunk) else chunk.offsets[stop - 1] + 1
            if stop == len(chunk):
                self._ready.popleft()
                self._used_up(self.name, len(chunk), chunk.n_bytes)
        return taken

    def take_of(self, part: Range) -> list[Taken]:
        """The records of a range of the journal that are here and were not taken yet."""
        taken: list[Taken] = []
        while n_records := self._n_within(part):
            taken += self.take(n_records)
        return taken

    def has_passed(self, part: Range) -> bool:
        """Whether nothing of a range is still to come; then go on behind it."""
        if is_same(self._fetched_topic_id, part.topic_id) and self._fetched < part.stop:
            if part.start < part.stop:
                return False
            self._fetched = part.stop  # a jump: what comes next begins there
        is_beyond = self.offset > part.stop or not is_same(self.topic_id, part.topic_id)
        if not (self.is_moved and is_beyond):  # else records behind the range are gone too
            self.offset, self.topic_id, self.is_moved = part.stop, part.topic_id, False
        self.time = PartitionTime(self._max_ahead_ms, part.ts_ms)
        return True

    def _n_within(self, part: Range) -> int:
        """How many of the next records belong to a range, up to a jump."""
        if not self._ready and self._beyond:
            chunk, _ = self._beyond[0]
            if is_same(chunk.topic_id, part.topic_id) and chunk.start < part.stop:
                self.settle()
        n_records = 0
        for held in self._ready:
            if not is_same(held.chunk.topic_id, part.topic_id):
                break
            n_records += bisect_left(held.chunk.offsets, part.stop) - held.n_taken
        return n_records

    def _make_ready(self, chunk: Chunk) -> None:
        # A clock that is years ahead would have its partition wait until all others are there.
        self._fetched_time.observe(chunk.ts_N)
        is_far_N = chunk.ts_N > self._fetched_time.ts_ms + self._max_ahead_ms
        key_N = sort_keys(np.where(is_far_N, 0, chunk.ts_N), self._last_key)
        self._last_key = int(key_N[-1])
        self._ready.append(_Held(chunk, key_N))
        self.n_ready += len(chunk)

    def _part(self, chunk: Chunk, start: int, stop: int) -> Taken:
        offsets = chunk.offsets[start:stop]
        return Taken(
            entries=chunk.entries[start:stop],
            values=chunk.values[start:stop],
            origins=[origin(self._topic, self._number, offset) for offset in offsets],
            ts_N=chunk.ts_N[start:stop],
            newest_timestamp_ms=max(chunk.timestamps[start:stop]),
        )


@dataclass(slots=True)
class _Held:
    """A chunk, how far its partition is at each record, and how many of them were taken."""

    chunk: Chunk
    key_N: Int64s
    n_taken: int = 0
