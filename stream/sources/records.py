"""Records of files on their way into batches, as columns that move together.

# N records
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from stream.decoding import Entry
from stream.values import DeadLetter, Int64s

if TYPE_CHECKING:
    from stream.events import Event


@dataclass(frozen=True, slots=True)
class Records:
    """Records in order, good and bad.

    `file_N` numbers their files. `ts_N` is their event time; a bad record has the time of the
    record before it in its file. `number_N` is the line or row a record starts at. `end_N` is
    the byte (or row) after it, `next_number_N` the line (or row) that starts there. `raws` holds
    what came: bytes, or a row by field.
    """

    entries: list[Entry]
    raws: Sequence[bytes | Mapping[str, Any]]
    file_N: Int64s
    ts_N: Int64s
    number_N: Int64s
    end_N: Int64s
    next_number_N: Int64s

    def __len__(self) -> int:
        return len(self.entries)

    def part(self, start: int, stop: int) -> "Records":
        """The records from `start` to before `stop`."""
        return Records(
            self.entries[start:stop],
            self.raws[start:stop],
            *(column[start:stop] for column in self._columns()),
        )

    def pick(self, index_M: Int64s) -> "Records":
        """The records with these indexes, in this order."""
        index = index_M.tolist()
        return Records(
            [self.entries[i] for i in index],
            [self.raws[i] for i in index],
            *(column[index_M] for column in self._columns()),
        )

    def _columns(self) -> tuple[Int64s, Int64s, Int64s, Int64s, Int64s]:
        return self.file_N, self.ts_N, self.number_N, self.end_N, self.next_number_N


def joined(parts: Sequence[Records]) -> Records:
    """All records of the parts, one part after the other."""
    if len(parts) == 1:
        return parts[0]
    columns = zip(*(part._columns() for part in parts), strict=True)
    return Records(
        [entry for part in parts for entry in part.entries],
        [raw for part in parts for raw in part.raws],
        *(np.concatenate(column) for column in columns),
    )


def times(entries: Sequence[Entry], ts_before_ms: int) -> Int64s:
    """The time of each record of a file; a bad record takes the time of the one before it.

    Parameters
    ----------
    entries : sequence of Event or DeadLetter
        Records of one file, in its order.
    ts_before_ms : int
        The time of the record before the first.
    """
    try:
        events = cast("Sequence[Event]", entries)
        return np.fromiter((event.ts for event in events), np.int64, len(events))
    except AttributeError:  # a dead letter has no time
        ts_N = np.empty(len(entries), np.int64)
        for i, entry in enumerate(entries):
            if not isinstance(entry, DeadLetter):
                ts_before_ms = int(entry.ts)
            ts_N[i] = ts_before_ms
        return ts_N
