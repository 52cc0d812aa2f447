"""Rows that wait for something, and leave in order of their time.

# N rows, E rows that are held in memory: waiting, or gone and not cleared away yet
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stream.joining.due_queue import DueQueue
from stream.joining.growing_columns import GrowingColumns
from stream.values import Bools, Int64s, State

# Fewer rows than these that are gone are not worth clearing away.
_MIN_GONE = 1_024


class Waiting:
    """A table in order of arrival, out of which the oldest rows are taken.

    A row is known by its place. What is taken or dropped stays readable until `clear_away`,
    which gives the rows that are left new places; `is_sparse` says when that is due. What the
    state holds does not depend on when it was done. Memory: at most twice the rows that wait.

    Parameters
    ----------
    dtypes : mapping of str to dtype
        The arrays of a row beside its event time `ts`.
    texts : sequence of str, optional
        The names of its texts, each a string or None.

    Examples
    --------
    >>> table = Waiting({"user": np.int64}, ["request"])
    >>> table.add(np.array([5, 9]), {"user": [1, 2]}, {"request": ["r1", "r2"]})
    array([0, 1])
    >>> taken = table.take_until(7)
    >>> table.array("user")[taken], table.texts["request"][1], len(table)
    (array([1]), 'r2', 1)
    """

    def __init__(self, dtypes: Mapping[str, Any], texts: Sequence[str] = ()) -> None:
        self._arrays = GrowingColumns({"ts": np.int64, "is_waiting": np.bool_, **dtypes})
        self.texts: dict[str, list[Any]] = {name: [] for name in texts}
        self._queue = DueQueue()
        self._n_waiting = 0

    def __len__(self) -> int:
        return self._n_waiting

    @property
    def n_places(self) -> int:
        """E: the place that the next row gets."""
        return len(self._arrays)

    @property
    def ts_E(self) -> Int64s:
        return self._arrays["ts"]

    @property
    def is_waiting_E(self) -> Bools:
        return self._arrays["is_waiting"]

    @property
    def is_sparse(self) -> bool:
        """Whether more rows are gone than wait."""
        return self.n_places - self._n_waiting > max(_MIN_GONE, self._n_waiting)

    def array(self, name: str) -> NDArray[Any]:
        """A column, by place; it may be written to."""
        return self._arrays[name]

    def add(
        self, ts_N: Int64s, arrays: Mapping[str, ArrayLike], texts: Mapping[str, Sequence[Any]]
    ) -> Int64s:
        """Add rows in order of their time; their places."""
        place_N = np.arange(self.n_places, self.n_places + len(ts_N))
        self._arrays.extend(len(ts_N), ts=ts_N, is_waiting=True, **arrays)
        for name, column in self.texts.items():
            column.extend(texts[name])
        self._queue.add(place_N, ts_N)
        self._n_waiting += len(ts_N)
        return place_N

    def waiting(self) -> Int64s:
        """The places of all that wait, in order of arrival."""
        return np.flatnonzero(self.is_waiting_E)

    def take_until(self, ts_ms: int) -> Int64s:
        """Take the rows whose time is `ts_ms` at the latest, by (time, arrival)."""
        return self._left(self._queue.take_until(ts_ms))

    def take_oldest(self, n_rows: int) -> Int64s:
        """Take this many rows, or all there are, by (time, arrival)."""
        taken = [np.zeros(0, np.int64)]
        while n_rows > 0 and len(self._queue):
            taken.append(self._left(self._queue.take(n_rows)))
            n_rows -= len(taken[-1])
        return np.concatenate(taken)

    def drop(self, place_N: Int64s) -> None:
        """Take out rows, those that left before among them."""
        self._left(np.unique(place_N))

    def clear_away(self) -> Int64s:
        """Give the rows that wait new places, from 0 on; their old ones."""
        kept = self.waiting()
        if len(kept) < self.n_places:
            self._arrays.keep(kept)
            for name, column in self.texts.items():
                self.texts[name] = [column[place] for place in kept.tolist()]
            self._requeue()
        return kept

    def state_dict(self) -> State:
        """Call `clear_away` first: the state holds what waits alone."""
        texts = {name: list(column) for name, column in self.texts.items()}
        return {"schema_version": 1, "arrays": self._arrays.state_dict(), "texts": texts}

    def load_state_dict(self, state: State) -> None:
        self._arrays.load_state_dict(state["arrays"])
        self.texts = {name: list(state["texts"][name]) for name in self.texts}
        self._n_waiting = self.n_places
        self._requeue()

    def _left(self, place_N: Int64s) -> Int64s:
        """Mark rows as gone; those of them that had not left before."""
        place_N = place_N[self.is_waiting_E[place_N]]
        self.is_waiting_E[place_N] = False
        self._n_waiting -= len(place_N)
        return place_N

    def _requeue(self) -> None:
        order = np.argsort(self.ts_E, kind="stable")
        self._queue = DueQueue()
        self._queue.add(order, self.ts_E[order])
