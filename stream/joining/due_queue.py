"""Rows in the order in which they fall due.

# N rows added, Q rows queued
"""

import numpy as np

from stream.values import Int64s


class DueQueue:
    """Row numbers by (time, row), to be taken from the front.

    Rows come nearly in order of time, so most of them are put behind, and one that comes late
    moves only what is due after it. Memory: 16 bytes a row, and as much again to grow.

    Examples
    --------
    >>> queue = DueQueue()
    >>> queue.add(np.array([0, 1]), np.array([10, 30]))
    >>> queue.add(np.array([2, 3]), np.array([20, 30]))
    >>> queue.take_until(29).tolist(), queue.take(1).tolist(), queue.take(9).tolist()
    ([0, 2], [1], [3])
    """

    def __init__(self) -> None:
        self._row_Q: Int64s = np.zeros(0, np.int64)
        self._ts_Q: Int64s = np.zeros(0, np.int64)
        self._first = 0
        self._end = 0

    def __len__(self) -> int:
        return self._end - self._first

    def add(self, row_N: Int64s, ts_N: Int64s) -> None:
        """Add rows by (time, row); each is larger than any that is queued."""
        if not len(row_N):
            return
        queued = slice(self._first, self._end)
        n_before = int(np.searchsorted(self._ts_Q[queued], ts_N[0], side="right"))
        row_Q = np.concatenate([self._row_Q[queued][n_before:], row_N])
        ts_Q = np.concatenate([self._ts_Q[queued][n_before:], ts_N])
        if len(ts_Q) > len(ts_N):
            order = np.argsort(ts_Q, kind="stable")  # of equal times the older row is first
            row_Q, ts_Q = row_Q[order], ts_Q[order]
        self._make_room(n_before + len(row_Q))
        start, self._end = self._first + n_before, self._first + n_before + len(row_Q)
        self._row_Q[start : self._end] = row_Q
        self._ts_Q[start : self._end] = ts_Q

    def take_until(self, ts_ms: int) -> Int64s:
        """Take the rows whose time is `ts_ms` at the latest."""
        return self.take(
            int(np.searchsorted(self._ts_Q[self._first : self._end], ts_ms, side="right"))
        )

    def take(self, n_rows: int) -> Int64s:
        """Take this many rows, or all that are left."""
        start, self._first = self._first, min(self._first + n_rows, self._end)
        return self._row_Q[start : self._first].copy()

    def _make_room(self, n_needed: int) -> None:
        """Move the queue to the front of longer buffers, if it would reach past the end."""
        if self._first + n_needed <= len(self._row_Q):
            return
        queued = slice(self._first, self._end)
        row_Q, ts_Q = self._row_Q[queued], self._ts_Q[queued]
        self._row_Q = np.zeros(2 * n_needed, np.int64)
        self._ts_Q = np.zeros(2 * n_needed, np.int64)
        self._row_Q[: len(row_Q)], self._ts_Q[: len(ts_Q)] = row_Q, ts_Q
        self._first, self._end = 0, len(row_Q)
