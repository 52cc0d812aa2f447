"""Fakes that keep the contracts and crash on cue."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from stream.columns import to_columns
from stream.events import Event
from stream.values import Batch, DeadLetter, Position


class CrashError(Exception):
    """What `ListSource` raises where its list says so."""


class CRASH:
    """A place in a list at which a source fails once; the next reading passes it by."""


class ListSource:
    """A source over a list of events, dead letters and whole batches.

    Events and dead letters are gathered into batches of `batch_events`; a batch of the list
    stays as it is but for `seq`, `watermark_ms` and `end`. `CRASH` in the list raises
    `CrashError` when it is reached the first time, before the batch it would be in is handed out.
    It takes no place of its own: positions are those of a list without it.
    """

    def __init__(
        self, records: Sequence[Event | DeadLetter | Batch | type[CRASH]], batch_events: int = 4
    ) -> None:
        self._records: list[Event | DeadLetter | Batch] = []
        self._n_crashes: Counter[int] = Counter()  # ahead, by offset
        for record in records:
            if isinstance(record, type):
                self._n_crashes[len(self._records)] += 1
            else:
                self._records.append(record)
        self._batch_events = batch_events
        self.acknowledged: list[Position] = []

    def batches(
        self, start: Position | None, next_seq: int = 0, watermark_ms: int = 0
    ) -> Iterator[Batch]:
        offset = int(start["list"]["offset"]) if start else 0
        seq = next_seq
        while (found := self._next_batch(offset)) is not None:
            batch, offset = found
            watermark_ms = max(watermark_ms, batch.watermark_ms)
            end = {"list": {"offset": offset}}
            yield replace(batch, seq=seq, watermark_ms=watermark_ms, end=end)
            seq += 1

    def acknowledge(self, end: Position) -> None:
        self.acknowledged.append(end)

    def _next_batch(self, offset: int) -> tuple[Batch, int] | None:
        """The batch at this offset, and the offset after it."""
        entries: list[Event | DeadLetter] = []
        while len(entries) < self._batch_events:
            if self._n_crashes[offset]:
                self._n_crashes[offset] -= 1
                raise CrashError(f"at {offset}")
            if offset == len(self._records):
                break
            record = self._records[offset]
            if isinstance(record, Batch):
                if entries:
                    break
                return record, offset + 1
            entries.append(record)
            offset += 1
        return (_batch_of(entries), offset) if entries else None


def _batch_of(entries: Sequence[Event | DeadLetter]) -> Batch:
    letters = tuple(entry for entry in entries if isinstance(entry, DeadLetter))
    events = [entry for entry in entries if not isinstance(entry, DeadLetter)]
    clicks, impressions, others = to_columns(events)
    watermark_ms = max((int(event.ts) for event in events), default=0)
    return Batch(0, len(entries), clicks, others, letters, watermark_ms, {}, impressions)
