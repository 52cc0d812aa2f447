"""Records of one partition, decoded, on their way from the thread that reads to the loop.

# N records, in the order of their offsets
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from stream.decoding import Bury, Entry, EventDecoder, Row
from stream.kafka.settings import TopicConfig
from stream.sources.records import times
from stream.values import DeadLetter, Int64s

_MAX_REASON_CHARS = 500


@dataclass(frozen=True, slots=True)
class Chunk:
    """What was read from `start` up to `stop`; offsets have holes, and there may be no record.

    `ts_N` is event time, where a bad record has that of the one before it; `timestamps` are
    Kafka's own, in ms. `values` are the records as they came, a null value as no bytes.
    `arrived_s` is when they came, by the clock of the source.
    """

    topic_id: str
    start: int
    stop: int
    entries: list[Entry]
    values: list[bytes]
    offsets: list[int]
    timestamps: list[int]
    ts_N: Int64s
    n_bytes: int
    arrived_s: float

    def __len__(self) -> int:
        return len(self.entries)


def nothing(topic_id: str, start: int, stop: int, arrived_s: float) -> Chunk:
    """No record: the reading goes on at `stop`."""
    return Chunk(topic_id, start, stop, [], [], [], [], np.zeros(0, np.int64), 0, arrived_s)


def origin(topic: str, partition: int, offset: int) -> str:
    """The name of a record.

    Examples
    --------
    >>> origin("clicks", 3, 120)
    'clicks[3]@120'
    """
    return f"{topic}[{partition}]@{offset}"


class ChunkDecoder:
    """Decodes the values of one topic; none of them raises.

    Parameters
    ----------
    topic : TopicConfig
        How its records are written.
    max_record_bytes : int
        A longer value is a dead letter.
    """

    def __init__(self, topic: TopicConfig, max_record_bytes: int) -> None:
        self._topic = topic
        self._max_record_bytes = max_record_bytes
        self._decoder = EventDecoder(topic.type, topic.map)
        self._decode_row = msgspec.msgpack.Decoder(Row).decode

    def decode(
        self, partition: int, offsets: Sequence[int], values: Sequence[bytes | None]
    ) -> list[Entry]:
        """The event of each value, or the dead letter that holds all of it."""

        def bury(i: int, reason: str) -> DeadLetter:
            where = origin(self._topic.name, partition, offsets[i])
            return DeadLetter(where, reason[:_MAX_REASON_CHARS], values[i] or b"")

        faults = self._faults(values)
        if not faults:
            return self._decode([value for value in values if value is not None], bury)
        good = [i for i in range(len(values)) if i not in faults]
        decoded = self._decode(
            [values[i] or b"" for i in good], lambda i, reason: bury(good[i], reason)
        )
        by_index = dict(zip(good, decoded, strict=True))
        return [bury(i, faults[i]) if i in faults else by_index[i] for i in range(len(values))]

    def _faults(self, values: Sequence[bytes | None]) -> dict[int, str]:
        """Why a value is not even looked at, by its index."""
        limit = self._max_record_bytes
        if None not in values and all(len(value or b"") <= limit for value in values):
            return {}
        found = {i: "null value" for i, value in enumerate(values) if value is None}
        for i, value in enumerate(values):
            if value is not None and len(value) > limit:
                found[i] = f"too long: {len(value)} bytes, more than max_record_bytes {limit}"
        return found

    def _decode(self, values: list[bytes], bury: Bury) -> list[Entry]:
        if self._topic.format == "json":
            return self._decoder.decode_lines(values, bury)
        rows: dict[int, Row] = {}
        letters: dict[int, Entry] = {}
        for i, value in enumerate(values):
            try:
                rows[i] = self._renamed(self._decode_row(value))
            except (ValueError, RecursionError) as err:
                letters[i] = bury(i, str(err))
        index = list(rows)
        events = self._decoder.decode_rows(
            list(rows.values()), lambda i, reason: bury(index[i], reason)
        )
        letters.update(zip(index, events, strict=True))
        return [letters[i] for i in range(len(values))]

    def _renamed(self, row: Row) -> Row:
        columns = self._topic.map
        if not columns:
            return row
        renamed = {field: value for field, value in row.items() if field not in columns}
        renamed.update({field: row[key] for field, key in columns.items() if key in row})
        return renamed


def event_times(entries: Sequence[Entry], before_ms: int) -> Int64s:
    """The time of each record; a bad one has that of the record before it."""
    return times(entries, before_ms)
