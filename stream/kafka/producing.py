"""Records of files become messages of a topic: keyed, paced, in order.

# N records of a run
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from stream.decoding import EVENT_TYPES, Entry
from stream.events import MAX_TS_MS, Event, Item
from stream.kafka.outbox import MAX_MESSAGE_BYTES, Outbox
from stream.sources.batching import time_reached
from stream.sources.records import Records
from stream.values import DeadLetter, Int64s

# The header of a batch, and the lengths, time and offset of a message.
_MESSAGE_OVERHEAD_BYTES = 128
# What the cutter of lines says of one that it could not read to its end.
_REASONS_OF_CUT_LINES = ("line of ", "truncated ", "corrupt ")
_MAX_REASONS = 100
_ORIGINS_TOLD = 3

_TAGS = {kind: tag for tag, kind in EVENT_TYPES.items()}
_FIELDS = {kind: kind.__struct_fields__ for kind in _TAGS}
_encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class BadRecords:
    """Records that could not be used: how many, by reason, and where the first of each were."""

    n_records: int = 0
    n_by_reason: Counter[str] = field(default_factory=Counter)
    origins_of: dict[str, list[str]] = field(default_factory=dict)

    def add(self, origin: str, reason: str) -> None:
        """Count one; past a hundred reasons, further ones count as `other`."""
        if reason not in self.n_by_reason and len(self.n_by_reason) >= _MAX_REASONS:
            reason = "other"
        self.n_records += 1
        self.n_by_reason[reason] += 1
        origins = self.origins_of.setdefault(reason, [])
        if len(origins) < _ORIGINS_TOLD:
            origins.append(origin)

    def texts(self) -> list[str]:
        """A line for each reason, the commonest first."""
        lines = []
        for reason, count in self.n_by_reason.most_common():
            origins = self.origins_of[reason]
            more = ", ..." if count > len(origins) else ""
            lines.append(f"{count:,} x {reason} ({', '.join(origins)}{more})")
        return lines


class Production:
    """Records of files into an outbox, as they come or when they are due.

    Good events go out as normalised JSON under the id of their user, or of their item where they
    have no user; bad ones are counted. With `is_raw` every record goes out as it was read, bad
    ones without a key, except lines that could not be read whole.

    Parameters
    ----------
    outbox : Outbox
        Where they go.
    wait_for : callable
        Lets time pass until an event time is due.
    is_raw : bool
        Whether records, not events, go out.
    now_ms : callable, optional
        A clock: all event times are moved so that the first event happens when it is sent.

    Attributes
    ----------
    n_records, n_events : int
        Records taken, and those of them that were handed over.
    bad : BadRecords
        Records that were not events.
    shift_ms : int or None
        By how much event times were moved; None until the first, and without a clock.
    """

    def __init__(
        self,
        outbox: Outbox,
        wait_for: Callable[[int], None] = lambda _: None,
        *,
        is_raw: bool = False,
        now_ms: Callable[[], int] | None = None,
    ) -> None:
        self.n_records = 0
        self.n_events = 0
        self.bad = BadRecords()
        self.shift_ms: int | None = None
        self.is_stopped = False
        self._outbox = outbox
        self._wait_for = wait_for
        self._is_raw = is_raw
        self._now_ms = now_ms

    def run(
        self,
        runs: Iterable[Records],
        paths: Sequence[str],
        on_run: Callable[[], None] = lambda: None,
    ) -> None:
        """Send the records to the last, or until `stop`; return when the broker has them.

        Parameters
        ----------
        runs : iterable of Records
            What to send, some records at a time.
        paths : sequence of str
            The names of the files that the records number.
        on_run : callable
            Called after each of the runs.

        Raises
        ------
        SinkError
            If an event cannot be delivered.
        """
        reached_ms = 0
        for records in runs:
            due_N = due_times(records, reached_ms)
            reached_ms = int(due_N[-1]) if len(due_N) else reached_ms
            self._send(records, due_N.tolist(), paths)
            self._outbox.settle()
            on_run()
            if self.is_stopped:
                break
        self._outbox.finish()

    def stop(self) -> None:
        """Hand over nothing more; may be called from a signal handler."""
        self.is_stopped = True

    def _send(self, records: Records, due_N: list[int], paths: Sequence[str]) -> None:
        for i, (entry, due_ms) in enumerate(zip(records.entries, due_N, strict=True)):
            if not isinstance(entry, DeadLetter):  # the time of a bad one is not its own
                self._wait_for(due_ms)
            if self.is_stopped:
                return
            self.n_records += 1
            if fault := self._put(entry, records.raws[i], due_ms):
                self.bad.add(f"{paths[records.file_N[i]]}:{records.number_N[i]}", fault)

    def _put(self, entry: Entry, raw: Any, due_ms: int) -> str | None:
        """Hand over one record; what is wrong with it, if anything is."""
        if isinstance(entry, DeadLetter):
            is_whole = not entry.reason.startswith(_REASONS_OF_CUT_LINES)
            fault = self._hand_over(None, raw, None) if self._is_raw and is_whole else None
            return fault or entry.reason
        key = entry.item if isinstance(entry, Item) else entry.user
        if self._is_raw:
            return self._hand_over(str(key).encode(), raw, due_ms)
        if self._now_ms and self.shift_ms is None:
            self.shift_ms = self._now_ms() - due_ms
        ts_ms = int(entry.ts) + (self.shift_ms or 0)
        if not 0 <= ts_ms <= MAX_TS_MS:
            return f"ts {entry.ts}, moved by {self.shift_ms} ms, is no time any more"
        return self._hand_over(str(key).encode(), encoded(entry, ts_ms), due_ms)

    def _hand_over(self, key: bytes | None, value: bytes, due_ms: int | None) -> str | None:
        n_bytes = len(key or b"") + len(value) + _MESSAGE_OVERHEAD_BYTES
        if n_bytes > MAX_MESSAGE_BYTES:
            return f"message of more than {MAX_MESSAGE_BYTES} bytes, which a topic does not take"
        self._outbox.put(key, value, due_ms)
        self.n_events += 1
        return None


def encoded(event: Event, ts_ms: int) -> bytes:
    """An event as JSON, at this time; absent fields are left out.

    Examples
    --------
    >>> from stream.events import Click
    >>> encoded(Click("u", "i", 5), 7)
    b'{"type":"click","user":"u","item":"i","ts":7}'
    """
    kind = type(event)
    present: dict[str, Any] = {"type": _TAGS[kind]}
    for name in _FIELDS[kind]:
        if (value := getattr(event, name)) is not None:
            present[name] = value
    present["ts"] = ts_ms
    return _encode(present)


def due_times(records: Records, reached_ms: int) -> Int64s:
    """When each record is due, in event time: at its own, but never before one that came earlier.

    A broken clock keeps nobody waiting: a time is believed up to as far beyond what a twentieth
    of the run has reached as the run, without its two ends, is long.

    Parameters
    ----------
    records : Records
        Some records, in order.
    reached_ms : int
        When the record before them was due.

    Returns
    -------
    int64 array, shape (N,)
        Never falling.
    """
    is_good_N = np.fromiter((type(e) is not DeadLetter for e in records.entries), np.bool_)
    good_ts_N = records.ts_N[is_good_N]
    late_ms, early_ms = time_reached(good_ts_N), -time_reached(-good_ts_N)
    latest_ms = max(late_ms + max(late_ms - early_ms, 0), reached_ms)
    ts_N = np.where(is_good_N, records.ts_N, reached_ms)
    return np.maximum.accumulate(np.clip(ts_N, reached_ms, latest_ms))
