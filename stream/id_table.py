"""Strings ↔ rows of arrays, under a cap: the stalest row is handed to the next newcomer.

# V rows in use, N ids asked for, R rows recycled
"""

from collections.abc import Sequence

import numpy as np

from stream.growth import grown
from stream.values import Int32s, Int64s, State

# A refill of the eviction queue sorts all rows: once for this share of them is cheap enough.
_QUEUE_SHARE = 64

# No id is empty: nobody finds the row of a removed one.
_NAMELESS = ""


class IdTable:
    """Which row stands for which id, and which row was used least lately.

    Rows 0 .. len - 1 are all in use. Below `capacity` a newcomer takes the next free row; at the
    cap it takes the row used longest ago, whose `generation_V` goes up by one. Memory: about
    120 bytes an id of ten characters, besides the id itself.

    Parameters
    ----------
    capacity : int
        The most rows there may be, at least 1.

    Examples
    --------
    >>> table = IdTable(capacity=2)
    >>> table.assign(["a", "b"])
    (array([0, 1], dtype=int32), array([], dtype=int32))
    >>> table.touch(table.rows(["a"]))
    >>> table.assign(["c"])
    (array([1], dtype=int32), array([1], dtype=int32))
    >>> table.rows(["a", "b", "c"]).tolist()
    [0, -1, 1]
    """

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError(f"an id table needs a capacity of at least 1, got {capacity}")
        self.capacity = capacity
        self.ids: list[str] = []
        self.generation_V: Int32s = np.zeros(0, np.int32)
        self._row_of: dict[str, int] = {}
        self._last_used_V: Int64s = np.zeros(0, np.int64)
        self._clock = 0  # goes up with each use, so that no two rows are equally stale
        self._queue: Int32s = np.zeros(0, np.int32)
        self._queue_stamp: Int64s = np.zeros(0, np.int64)

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self, ids: Sequence[str]) -> Int32s:
        """Row of each id, -1 where it has none."""
        get = self._row_of.get
        return np.array([get(name, -1) for name in ids], np.int32)

    def touch(self, rows_N: Int32s) -> None:
        """Mark rows as used now, the last one latest; -1 is passed over."""
        used = rows_N[rows_N >= 0]
        self._last_used_V[used] = np.arange(self._clock, self._clock + len(used))
        self._clock += len(used)

    def assign(self, new_ids: Sequence[str]) -> tuple[Int32s, Int32s]:
        """Give rows to ids that have none, and name the rows that were taken from others.

        Of more newcomers than the table can hold only the last `capacity` get a row, the others
        -1. Ids must be distinct and unknown.
        """
        rows_N = np.full(len(new_ids), -1, np.int32)
        placed = list(new_ids[-self.capacity :])
        n_fresh = min(self.capacity - len(self.ids), len(placed))
        first = len(self.ids)
        self._extend(placed[:n_fresh])
        fresh = np.arange(first, first + n_fresh, dtype=np.int32)
        self.touch(fresh)  # before the search: a row just given is not the stalest
        recycled_R = self._stalest(len(placed) - n_fresh)
        for row, name in zip(recycled_R.tolist(), placed[n_fresh:], strict=True):
            self._row_of.pop(self.ids[row], None)
            self.ids[row] = name
            self._row_of[name] = row
        self.generation_V[recycled_R] += 1
        rows_N[len(new_ids) - len(placed) :] = np.concatenate([fresh, recycled_R])
        self.touch(recycled_R)
        return rows_N, recycled_R

    def remove(self, name: str) -> int:
        """Forget an id; its row stays in use, nameless, and is the next to be recycled."""
        row = self._row_of.pop(name, -1)
        if row >= 0:
            self.ids[row] = _NAMELESS
            self.generation_V[row] += 1
            self._last_used_V[row] = -1 - row
            self._queue = self._queue[:0]
            self._queue_stamp = self._queue_stamp[:0]
        return row

    def state_dict(self) -> State:
        n = len(self.ids)
        return {
            "schema_version": 1,
            "ids": list(self.ids),
            "generation": self.generation_V[:n],
            "last_used": self._last_used_V[:n],
            "clock": self._clock,
        }

    def load_state_dict(self, state: State) -> None:
        self.ids = list(state["ids"])
        self._row_of = {name: row for row, name in enumerate(self.ids) if name != _NAMELESS}
        self.generation_V = np.array(state["generation"], np.int32)
        self._last_used_V = np.array(state["last_used"], np.int64)
        self._clock = state["clock"]
        self._queue = np.zeros(0, np.int32)
        self._queue_stamp = np.zeros(0, np.int64)

    def _extend(self, names: list[str]) -> None:
        first = len(self.ids)
        self.ids.extend(names)
        self._row_of.update((name, first + i) for i, name in enumerate(names))
        self.generation_V = grown(self.generation_V, len(self.ids), self.capacity)
        self._last_used_V = grown(self._last_used_V, len(self.ids), self.capacity)

    def _stalest(self, n_rows: int) -> Int32s:
        """The rows used longest ago, stalest first.

        The queue holds the stalest rows of the moment when it was filled. One that has been used
        since is passed over; the rest are staler than any row outside the queue, so the answer
        does not depend on when the queue was filled, and the queue is no part of the state.
        """
        found = np.zeros(0, np.int32)
        while len(found) < n_rows:
            if not len(self._queue):
                self._refill(n_rows)
                self._pass_over(found)
            fresh = self._last_used_V[self._queue] == self._queue_stamp
            self._queue, self._queue_stamp = self._queue[fresh], self._queue_stamp[fresh]
            taken = self._queue[: n_rows - len(found)]
            self._queue, self._queue_stamp = (
                self._queue[len(taken) :],
                self._queue_stamp[len(taken) :],
            )
            found = np.concatenate([found, taken])
        return found

    def _refill(self, n_rows: int) -> None:
        n = len(self.ids)
        size = min(n, max(2 * n_rows, n // _QUEUE_SHARE))
        stamps = self._last_used_V[:n]
        stalest = np.argpartition(stamps, size - 1)[:size]
        self._queue = stalest[np.argsort(stamps[stalest])].astype(np.int32)
        self._queue_stamp = self._last_used_V[self._queue]

    def _pass_over(self, found: Int32s) -> None:
        keep = ~np.isin(self._queue, found)
        self._queue, self._queue_stamp = self._queue[keep], self._queue_stamp[keep]
