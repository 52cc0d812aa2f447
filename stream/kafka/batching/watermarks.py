"""Event time of partitions, and of the stream that they make up.

# N records of one partition, in its order

Each partition has a time of its own, that never goes back. The stream's time is that of the
partition that is furthest behind. A partition that has nothing more to read, and has been silent
for long enough, is excused: it does not hold the others back until it speaks again.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from stream.decoding import median
from stream.sources.batching import time_reached
from stream.values import Int64s

ScalarT = TypeVar("ScalarT", bound=np.generic)

# Of so many records a twentieth is two: no clock that is wrong moves time on its own.
_WITNESSES = 40


class PartitionTime:
    """How far the events of one partition are.

    A few clocks that are wrong move it by `max_ahead_ms` at most: further than that it goes only
    with half of the last records.

    Parameters
    ----------
    max_ahead_ms : int
        How far it may go beyond the median of the last records.
    ts_ms : int
        Its time so far; 0 before its second record.

    Examples
    --------
    >>> time = PartitionTime(max_ahead_ms=1_000)
    >>> time.observe(np.array([10]))  # alone: nobody bears it out
    >>> time.ts_ms
    0
    >>> time.observe(np.array([20, 90_000]))
    >>> time.ts_ms
    20
    >>> time.observe(np.array([90_000]))
    >>> time.ts_ms
    1020
    """

    def __init__(self, max_ahead_ms: int, ts_ms: int = 0) -> None:
        self.ts_ms = ts_ms
        self._max_ahead_ms = max_ahead_ms
        self._last_N: Int64s = np.full(_WITNESSES if ts_ms else 0, ts_ms, np.int64)

    def observe(self, ts_N: Int64s) -> None:
        """Take in the times of records that came, those that nobody believes left out."""
        if not len(ts_N):
            return
        last_N = np.concatenate((self._last_N, ts_N))[-max(len(ts_N), _WITNESSES) :]
        if len(last_N) > 1:
            bound_ms = median(last_N) + self._max_ahead_ms
            self.ts_ms = max(self.ts_ms, min(time_reached(last_N), bound_ms))
        self._last_N = last_N[-_WITNESSES:]


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of a partition when the stream's time is asked for.

    `has_more` says that records are there which were not handed out yet; `silent_s` for how long
    none had come when the broker was last heard.
    """

    ts_ms: int
    has_more: bool
    silent_s: float


def stream_time(standings: Iterable[Standing], idle_after_s: float, before_ms: int) -> int:
    """The time of the stream: that of its last partition, excused ones left out.

    A partition that had one record at most has no time: it holds back the others only while records
    of it wait to be read. With all of them excused the time is the furthest of all.

    Parameters
    ----------
    standings : iterable of Standing
        Every partition that is read.
    idle_after_s : float
        How long a partition must be silent to be excused.
    before_ms : int
        The stream's time so far: it never goes back.

    Examples
    --------
    >>> busy, quiet = Standing(900, True, 0.0), Standing(400, False, 5.0)
    >>> stream_time([busy, quiet], 30.0, 0), stream_time([busy, quiet], 5.0, 0)
    (400, 900)
    """
    known = list(standings)
    waited_for = [
        standing.ts_ms
        for standing in known
        if standing.has_more or (standing.ts_ms and standing.silent_s < idle_after_s)
    ]
    furthest_ms = max((standing.ts_ms for standing in known), default=0)
    return max(before_ms, min(waited_for, default=furthest_ms))


def by_partition(
    column_N: NDArray[ScalarT], lengths: Mapping[str, int]
) -> dict[str, NDArray[ScalarT]]:
    """The parts of a column that lies end to end, by partition.

    Examples
    --------
    >>> parts = by_partition(np.array([1, 2, 3]), {"clicks/0": 2, "clicks/1": 1})
    >>> parts["clicks/0"].tolist(), parts["clicks/1"].tolist()
    ([1, 2], [3])
    """
    bounds = [0, *np.cumsum(list(lengths.values())).tolist()]
    return {
        name: column_N[start:stop]
        for name, (start, stop) in zip(lengths, pairwise(bounds), strict=True)
    }
