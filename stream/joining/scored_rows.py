"""Rows as they were scored: histories that wait, without what has been recycled since.

# N lists, M some of them, C contexts, T history length, E history entries end to end, S shown items
"""

import sys

import numpy as np

from stream.growth import grown
from stream.joining.growing_columns import GrowingColumns
from stream.sequences import ragged_indices
from stream.values import Contexts, Int32s, Int64s, State


class ScoredRows:
    """The histories of lists end to end, and since which batch each row means what it means.

    Memory: 4 bytes an entry and 8 bytes a row, up to twice that.
    """

    def __init__(self) -> None:
        self._entries = GrowingColumns({"row": np.int32})
        # The number of the first batch in which a row meant what it means now.
        self._live_from_V: Int64s = np.zeros(1, np.int64)
        self._n_rows = 0

    def add(self, contexts: Contexts, context_of_N: Int32s) -> tuple[Int64s, Int64s]:
        """Take in the history of each list; where it begins among the entries, and its length."""
        history_NT = contexts.history_CT[context_of_N]
        length_N = contexts.length_C[context_of_N].astype(np.int64)
        first = len(self._entries)
        is_filled_NT = np.arange(history_NT.shape[1]) < length_N[:, None]
        self._entries.extend(int(length_N.sum()), row=history_NT[is_filled_NT])
        self.know(history_NT)
        return first + np.cumsum(length_N) - length_N, length_N

    def histories(self, start_M: Int64s, length_M: Int64s, seq_M: Int64s) -> Contexts:
        """The histories of lists of these batches, but for rows that mean other items now."""
        history = self._entries["row"][ragged_indices(start_M, length_M)]
        is_live = self._live_from_V[history] <= np.repeat(seq_M, length_M)
        live_until = np.concatenate([[0], np.cumsum(is_live)])
        live_M = np.diff(live_until[np.concatenate([[0], np.cumsum(length_M)])])
        history_MT = np.full((len(seq_M), max(int(live_M.max(initial=0)), 1)), -1, np.int32)
        history_MT[np.arange(history_MT.shape[1]) < live_M[:, None]] = history[is_live]
        return Contexts(history_MT, live_M.astype(np.int32))

    def still(self, row_S: Int32s, seq_S: Int64s) -> Int32s:
        """The rows of items shown in these batches, -1 for those that mean other items now."""
        # Those that were not admitted read the last row: -1 either way.
        is_gone_S = self._live_from_V[row_S] > seq_S
        return np.where(is_gone_S, np.int32(-1), row_S)

    def know(self, rows: Int32s) -> None:
        """Rows may be named from now on."""
        self._grow(int(rows.max(initial=-1)) + 1)

    def follow(self, n_items: int, recycled_R: Int32s, seq: int) -> None:
        """Rows mean other items after batch `seq`."""
        self._grow(n_items)
        self._live_from_V[recycled_R] = seq + 1

    def keep(self, index: Int64s) -> None:
        """Keep these entries alone."""
        self._entries.keep(index)

    def state_dict(self) -> State:
        return {
            "schema_version": 1,
            "entries": self._entries.state_dict(),
            "live_from": self._live_from_V[: self._n_rows],
        }

    def load_state_dict(self, state: State) -> None:
        self._entries.load_state_dict(state["entries"])
        self._n_rows = 0
        self._live_from_V = np.zeros(1, np.int64)
        self._grow(len(state["live_from"]))
        self._live_from_V[: self._n_rows] = state["live_from"]

    def _grow(self, n_rows: int) -> None:
        self._n_rows = max(self._n_rows, n_rows)
        self._live_from_V = grown(self._live_from_V, self._n_rows, cap=sys.maxsize)
