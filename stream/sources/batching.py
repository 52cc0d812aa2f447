"""Records become batches: cut by count, checked against broken clocks, laid out as columns.

# N records of a batch
"""

from collections.abc import Iterator, Sequence
from itertools import compress
from typing import TYPE_CHECKING, cast

import numpy as np
from pydantic import BaseModel, ConfigDict, PositiveInt

from stream.columns import to_columns
from stream.decoding import Bury, Entry, dead_letter, far_future
from stream.durations import format_duration_ms
from stream.sources.records import Records, joined
from stream.values import Batch, Bools, DeadLetter, Int64s, Position

if TYPE_CHECKING:
    from stream.events import Event


class BatchConfig(BaseModel):
    """How a stream is cut: at so many records; a live one also after so long."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    events: PositiveInt = 256
    max_age_ms: PositiveInt = 500


def cut(runs: Iterator[Records], n_records: int, limit: int | None = None) -> Iterator[Records]:
    """Runs of exactly `n_records`, the last one shorter; at most `limit` records in all."""
    waiting: list[Records] = []
    n_waiting = 0
    for run in _limited(runs, limit):
        if not len(run):
            continue
        waiting.append(run)
        n_waiting += len(run)
        if n_waiting >= n_records:
            records = joined(waiting)
            n_full = n_waiting - n_waiting % n_records
            for start in range(0, n_full, n_records):
                yield records.part(start, start + n_records)
            waiting = [records.part(n_full, n_waiting)]
            n_waiting -= n_full
    if n_waiting:
        yield joined(waiting)


def _limited(runs: Iterator[Records], limit: int | None) -> Iterator[Records]:
    if limit is None:
        yield from runs
        return
    while limit > 0 and (run := next(runs, None)) is not None:
        yield run.part(0, limit)
        limit -= len(run)


def to_batch(
    seq: int,
    records: Records,
    paths: Sequence[str],
    watermark_ms: int,
    max_ahead_ms: int,
    end: Position,
) -> Batch:
    """A batch of these records.

    An event more than `max_ahead_ms` beyond both the watermark and the batch's median time is
    buried: one broken clock does not move the time of the stream.

    Parameters
    ----------
    seq : int
        The number of the batch.
    records : Records
        Its records, in order of arrival.
    paths : sequence of str
        The names of the files that `records` numbers.
    watermark_ms : int
        The event time before.
    max_ahead_ms : int
        The bound beyond which a time is not believed.
    end : Position
        Where the next batch starts.
    """
    origins = _origins(records, paths)

    def bury(i: int, reason: str) -> DeadLetter:
        return dead_letter(origins[i], reason, records.raws[i])

    entries, is_event_N = without_far_future(
        records.entries, records.ts_N, watermark_ms, max_ahead_ms, bury
    )
    ts_N = records.ts_N if is_event_N.all() else records.ts_N[is_event_N]
    return as_batch(seq, entries, origins, max(watermark_ms, time_reached(ts_N)), end)


def without_far_future(
    entries: list[Entry], ts_N: Int64s, watermark_ms: int, max_ahead_ms: int, bury: Bury
) -> tuple[list[Entry], Bools]:
    """The records of a batch, events from the far future buried; and which of them are events.

    Parameters
    ----------
    entries : list of Event or DeadLetter
        The records, good and bad.
    ts_N : int64 array, shape (N,)
        Their times; those of bad ones count for nothing.
    watermark_ms : int
        The event time before.
    max_ahead_ms : int
        The bound beyond which a time is not believed.
    bury : callable
        Makes the dead letter of the record with this index, for this reason.
    """
    is_event_N = np.fromiter((type(e) is not DeadLetter for e in entries), np.bool_, len(entries))
    is_far_N = far_future(
        ts_N if is_event_N.all() else ts_N[is_event_N], watermark_ms, max_ahead_ms
    )
    if not is_far_N.any():
        return entries, is_event_N
    entries = list(entries)
    for i in np.flatnonzero(is_event_N)[is_far_N].tolist():
        ahead = format_duration_ms(max_ahead_ms)
        entries[i] = bury(i, f"far future: ts {ts_N[i]} is more than {ahead} ahead of the stream")
        is_event_N[i] = False
    return entries, is_event_N


def as_batch(
    seq: int, entries: list[Entry], origins: list[str], watermark_ms: int, end: Position
) -> Batch:
    """A batch of records that were checked: their columns, and the dead letters apart.

    Parameters
    ----------
    seq : int
        The number of the batch.
    entries : list of Event or DeadLetter
        Its records: those of equal time stay in this order.
    origins : list of str
        Where each of them came from.
    watermark_ms : int
        The event time after it.
    end : Position
        Where the next batch starts.
    """
    letters = tuple(entry for entry in entries if isinstance(entry, DeadLetter))
    events = cast("list[Event]", entries)
    if letters:
        is_good_N = [not isinstance(entry, DeadLetter) for entry in entries]
        events, origins = list(compress(events, is_good_N)), list(compress(origins, is_good_N))
    clicks, impressions, others = to_columns(events, origins)
    return Batch(
        seq=seq,
        n_records=len(entries),
        clicks=clicks,
        others=others,
        dead_letters=letters,
        watermark_ms=watermark_ms,
        end=end,
        impressions=impressions,
    )


def time_reached(ts_N: Int64s) -> int:
    """The event time that a twentieth of the batch has reached, at least two of its events.

    Time that is moved by the largest of all times is moved by the one clock that is wrong: every
    list would mature, and those to come would be late. One event alone is believed.

    Examples
    --------
    >>> time_reached(np.array([5, 7, 9_000])), time_reached(np.array([5]))
    (7, 5)
    """
    if not len(ts_N):
        return 0
    n_witnesses = min(max(2, len(ts_N) // 20), len(ts_N))
    return int(np.partition(ts_N, -n_witnesses)[-n_witnesses])


def _origins(records: Records, paths: Sequence[str]) -> list[str]:
    pairs = zip(records.file_N.tolist(), records.number_N.tolist(), strict=True)
    return [f"{paths[file]}:{number}" for file, number in pairs]
