"""The rows that one step reads or is scored against, and what names them by their places.

# P rows in play, R rows read, M lessons, C contexts, T history length, S items of the lists shown

On a catalogue of millions a step works on a small table of these rows' vectors alone: histories,
targets and lists name an item by its place in that table, -1 staying what it is.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from stream.values import Contexts, Int32s, Int64s, Lessons, Shown


@dataclass(frozen=True, slots=True)
class InPlay:
    """Distinct rows, ascending, and what is added to the score of each."""

    row_P: Int64s
    log_weight_P: NDArray[np.float32]

    def lessons(self, lessons: Lessons) -> Lessons:
        """Lessons whose contexts and targets are all in play."""
        return replace(
            lessons,
            contexts=_placed(self.row_P, lessons.contexts),
            target_M=places(self.row_P, lessons.target_M),
        )

    def sequences(self, sequences: Contexts) -> Contexts:
        """Sequences of items, all in play."""
        return _placed(self.row_P, sequences)

    def lists(self, shown: Shown) -> Shown:
        """Lists whose contexts and items are all in play."""
        contexts = _placed(self.row_P, shown.contexts)
        return replace(shown, contexts=contexts, item_S=places(self.row_P, shown.item_S))


def rows_read(*rows: Int32s) -> Int64s:
    """The distinct rows of arrays of any shape, ascending, without -1.

    Examples
    --------
    >>> rows_read(np.array([[7, 2], [7, -1]], np.int32), np.array([3], np.int32))
    array([2, 3, 7])
    """
    read_R = np.unique(np.concatenate([array.ravel() for array in rows])).astype(np.int64)
    return read_R[np.searchsorted(read_R, 0) :]


def rows_of_lists(shown: Shown) -> tuple[Int64s, Shown]:
    """The rows that lists and their contexts name, and the lists by their places among these."""
    row_P = rows_read(shown.contexts.history_CT, shown.item_S)
    contexts = _placed(row_P, shown.contexts)
    return row_P, replace(shown, contexts=contexts, item_S=places(row_P, shown.item_S))


def places(row_P: Int64s, row: Int32s) -> Int32s:
    """Where each row stands among ascending rows; -1 for -1.

    Examples
    --------
    >>> places(np.array([2, 3, 7]), np.array([7, -1, 2], np.int32))
    array([ 2, -1,  0], dtype=int32)
    """
    placed: Int32s = np.where(row >= 0, np.searchsorted(row_P, row), -1).astype(np.int32)
    return placed


def _placed(row_P: Int64s, contexts: Contexts) -> Contexts:
    return replace(contexts, history_CT=places(row_P, contexts.history_CT), seen=None)
