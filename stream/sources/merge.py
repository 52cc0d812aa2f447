"""Many files become one stream by event time.

# N records

The file whose next record is earliest goes first, the file named first among equals. Each file
keeps its own order, so a record that comes late in its file goes out at once. That equals a sort
by (largest time so far in the file, file, place in the file), and needs no memory of what went
out before: a merge that starts again in the middle goes on in the same order.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack

import numpy as np

from stream.sources.records import Records, joined
from stream.values import Int64s

ReadRecords = Callable[[], Iterator[Records]]
"""Reads a file from its place on, anew each time it is called."""


def merge(reads: Sequence[ReadRecords], can_wait: Sequence[bool]) -> Iterator[Records]:
    """All records of the files in order of the merge, some at a time.

    Parameters
    ----------
    reads : sequence of callables
        The files, in the order they were named.
    can_wait : sequence of bool
        Which files may be opened for their first record, closed, and opened again when their
        time comes: thousands of daily files then need few open at once.
    """
    if len(reads) == 1:
        yield from reads[0]()
        return
    with ExitStack() as stack:
        lanes = [_Lane(number, read, stack) for number, read in enumerate(reads)]
        active = [lane for lane, waits in zip(lanes, can_wait, strict=True) if not waits]
        waiting = [lane for lane, waits in zip(lanes, can_wait, strict=True) if waits]
        waiting = [lane for lane in waiting if lane.peek()]
        waiting.sort(key=lambda lane: lane.bound, reverse=True)  # the next one stands last
        while True:
            active = [lane for lane in active if lane.fill()]
            if not active and not waiting:
                return
            # Whatever sorts up to here is complete: every file has been read past it.
            bound = min(lane.bound for lane in [*active, *waiting[-1:]])
            if parts := [part for lane in active if (part := lane.take(bound))]:
                keys_N = np.concatenate([keys_N for keys_N, _ in parts])
                records = joined([records for _, records in parts])
                yield records.pick(np.argsort(keys_N, kind="stable"))
            if waiting and waiting[-1].bound == bound:
                active = sorted([*active, waiting.pop()], key=lambda lane: lane.number)


class _Lane:
    """One file on its way into the merge. `bound` sorts at or before all it will read later."""

    def __init__(self, number: int, read: ReadRecords, stack: ExitStack) -> None:
        self.number = number
        self.bound = (0, number)
        self._read = read
        self._stack = stack
        self._runs: Iterator[Records] | None = None
        self._records: Records | None = None
        self._key_N: Int64s = np.zeros(0, np.int64)

    def peek(self) -> bool:
        """Set the bound to the first record's; False if there is none."""
        runs = self._read()
        with ExitStack() as stack:
            _close_with(stack, runs)
            first = next(runs, None)
        if first is not None:
            self.bound = (int(first.ts_N[0]), self.number)
        return first is not None

    def fill(self) -> bool:
        """Read on if all that was read is taken; False at the end."""
        if self._records is not None and len(self._records):
            return True
        if self._runs is None:
            self._runs = self._read()
            _close_with(self._stack, self._runs)
        self._records = next(self._runs, None)
        if self._records is None:
            return False
        self._key_N = np.maximum(np.maximum.accumulate(self._records.ts_N), self.bound[0])
        self.bound = (int(self._key_N[-1]), self.number)
        return True

    def take(self, bound: tuple[int, int]) -> tuple[Int64s, Records] | None:
        """What sorts up to the bound, with its keys."""
        if self._records is None:
            return None
        goes_first = self.number <= bound[1]  # among equal times
        n_taken = int(
            np.searchsorted(self._key_N, bound[0], side="right" if goes_first else "left")
        )
        if not n_taken:
            return None
        taken = self._key_N[:n_taken], self._records.part(0, n_taken)
        self._key_N = self._key_N[n_taken:]
        self._records = self._records.part(n_taken, len(self._records))
        return taken


def _close_with(stack: ExitStack, runs: Iterator[Records]) -> None:
    """Close the file under a generator that is left before its end."""
    if hasattr(runs, "close"):
        stack.callback(runs.close)
