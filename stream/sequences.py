"""Work on many short sequences at once.

# C sequences, T their longest length, V items, G groups, E entries of all groups end to end
"""

import numpy as np

from stream.values import Bools, Int32s, Int64s


def ragged_indices(starts_G: Int64s, lengths_G: Int64s) -> Int64s:
    """Indices of all groups end to end: group g contributes starts[g] .. starts[g] + length - 1.

    Examples
    --------
    >>> ragged_indices(np.array([10, 3]), np.array([2, 3])).tolist()
    [10, 11, 3, 4, 5]
    """
    ends = np.cumsum(lengths_G)
    n = int(ends[-1]) if len(ends) else 0
    indices: Int64s = np.arange(n) + np.repeat(starts_G - (ends - lengths_G), lengths_G)
    return indices


def without_rows(history_CT: Int32s, length_C: Int32s, is_gone_V: Bools) -> tuple[Int32s, Int32s]:
    """The same sequences without the rows that are gone, still left-aligned and padded with -1.

    Examples
    --------
    >>> history = np.array([[0, 1, 2], [1, -1, -1]], np.int32)
    >>> is_gone = np.array([False, True, False])
    >>> kept, length = without_rows(history, np.array([3, 1], np.int32), is_gone)
    >>> kept.tolist(), length.tolist()
    ([[0, 2, -1], [-1, -1, -1]], [2, 0])
    """
    is_hit_CT = np.append(is_gone_V, False)[history_CT]  # -1 reads the last: never gone
    hit_C = np.flatnonzero(is_hit_CT.any(axis=1))
    if not len(hit_C):
        return history_CT, length_C
    kept = np.where(is_hit_CT[hit_C], np.int32(-1), history_CT[hit_C])
    order = np.argsort(kept < 0, axis=1, kind="stable")
    history_CT, length_C = history_CT.copy(), length_C.copy()
    history_CT[hit_C] = np.take_along_axis(kept, order, axis=1)
    length_C[hit_C] = (kept >= 0).sum(axis=1, dtype=np.int32)
    return history_CT, length_C
