"""What the thread that reads hands to the loop, and how much of it waits there."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from stream.kafka.fetching.chunks import Chunk
from stream.kafka.fetching.positions import Cursor


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a partition stands.

    `delivered` is the first offset that was not handed over, `end` the offset that the next record
    to be written gets, None while nobody knows. A partition is missing while its topic is, and full
    while as much of it waits as may.
    """

    topic_id: str
    delivered: int
    end: int | None
    is_missing: bool = False
    is_full: bool = False

    @property
    def has_more(self) -> bool:
        """Whether records are there, or may be, that were not handed over."""
        return not self.is_missing and (self.end is None or self.delivered < self.end)


@dataclass(frozen=True, slots=True)
class View:
    """What the thread knows when it hands over: the marks agree with the chunks.

    `started` are the cursors that `source.kafka.start` came to. `heard_s` is when the brokers last
    answered anything, `arrived_s` when a record last came; `problem` says what is wrong, None if
    nothing is.
    """

    marks: Mapping[str, Mark] = field(default_factory=dict)
    started: Mapping[str, Cursor] = field(default_factory=dict)
    heard_s: float = 0.0
    arrived_s: float | None = None
    is_connected: bool = False
    problem: str | None = "not connected yet"


class Handover:
    """A queue of chunks that knows how much was taken from it and is not used up yet.

    One thread delivers and one takes.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._chunks: list[tuple[str, Chunk]] = []
        self._view = View()
        self._records: dict[str, int] = {}
        self._bytes: dict[str, int] = {}

    @property
    def view(self) -> View:
        """What was known at the last delivery."""
        return self._view

    def deliver(self, chunks: Sequence[tuple[str, Chunk]], view: View) -> None:
        """Hand chunks over, and what is known of their partitions after them."""
        with self._changed:
            for name, chunk in chunks:
                self._records[name] = self._records.get(name, 0) + len(chunk)
                self._bytes[name] = self._bytes.get(name, 0) + chunk.n_bytes
            self._chunks += chunks
            is_news = bool(chunks) or view.marks != self._view.marks
            self._view = view
            if is_news:
                self._changed.notify_all()

    def take(self, timeout_s: float) -> tuple[list[tuple[str, Chunk]], View]:
        """All that was delivered, waiting for something new at most so long."""
        with self._changed:
            if not self._chunks and timeout_s > 0:
                self._changed.wait(timeout_s)
            chunks, self._chunks = self._chunks, []
            return chunks, self._view

    def used_up(self, name: str, n_records: int, n_bytes: int) -> None:
        """Records of a partition went on to the loop: there is room for others."""
        with self._changed:
            self._records[name] -= n_records
            self._bytes[name] -= n_bytes
            self._changed.notify_all()

    def waiting(self, name: str) -> tuple[int, int]:
        """How many records and bytes of a partition wait to be used."""
        return self._records.get(name, 0), self._bytes.get(name, 0)

    def wait_for_change(self, timeout_s: float) -> None:
        """Sleep until something is used up or delivered, at most so long."""
        with self._changed:
            self._changed.wait(timeout_s)
