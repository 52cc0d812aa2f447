"""The records of a batch, from all partitions, and what is not believed of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from stream.decoding import Entry
from stream.kafka.batching.lanes import Taken
from stream.kafka.batching.watermarks import by_partition
from stream.sources.batching import without_far_future
from stream.values import DeadLetter, Int64s


@dataclass(frozen=True, slots=True)
class Gathered:
    """Records in the order (topic, partition, offset), those from the far future buried.

    `believed` holds the times of the events by partition.
    """

    entries: list[Entry]
    origins: list[str]
    believed: Mapping[str, Int64s]
    newest_timestamp_ms: int


def gather(parts: Mapping[str, Sequence[Taken]], watermark_ms: int, max_ahead_ms: int) -> Gathered:
    """Put the records of a batch together.

    Parameters
    ----------
    parts : mapping
        What was taken of each partition, in the order of the partitions.
    watermark_ms : int
        The event time before the batch.
    max_ahead_ms : int
        The bound beyond which a time is not believed.
    """
    every = [taken for part in parts.values() for taken in part]
    entries = [entry for taken in every for entry in taken.entries]
    values = [value for taken in every for value in taken.values]
    origins = [origin for taken in every for origin in taken.origins]
    ts_N = np.concatenate([np.zeros(0, np.int64), *(taken.ts_N for taken in every)])

    def bury(i: int, reason: str) -> DeadLetter:
        return DeadLetter(origins[i], reason, values[i])

    entries, is_event_N = without_far_future(entries, ts_N, watermark_ms, max_ahead_ms, bury)
    lengths = {name: sum(len(taken.entries) for taken in part) for name, part in parts.items()}
    is_event = by_partition(is_event_N, lengths)
    times = by_partition(ts_N, lengths)
    return Gathered(
        entries=entries,
        origins=origins,
        believed={name: times[name][is_event[name]] for name in lengths},
        newest_timestamp_ms=max((taken.newest_timestamp_ms for taken in every), default=0),
    )
