"""Which sequences are computed together: those of similar length, padded to the longest of them.

# C sequences, L distinct lengths
"""

from collections.abc import Iterator

import numpy as np

from stream.values import Int32s, Int64s


def length_buckets(length_C: Int32s, call_positions: int) -> Iterator[tuple[Int64s, int]]:
    """Sequences of similar length, with the length to pad them to: the cheapest way to cut them.

    Parameters
    ----------
    length_C : int array
    call_positions : int
        What a bucket costs beside its positions, in positions: many buckets pad little and are many
        calls. A sequence has one position more than it is long.

    Examples
    --------
    >>> length_C = np.array([3, 50, 0, 9, 48])
    >>> [(rows.tolist(), width) for rows, width in length_buckets(length_C, call_positions=20)]
    [([0, 2, 3], 9), ([1, 4], 50)]
    >>> [(rows.tolist(), width) for rows, width in length_buckets(length_C, call_positions=200)]
    [([0, 1, 2, 3, 4], 50)]
    """
    length_L, count_L = np.unique(length_C, return_counts=True)
    first = 0
    for last in _last_of_buckets(length_L, count_L, call_positions):
        width = int(length_L[last])
        yield np.flatnonzero((length_C >= length_L[first]) & (length_C <= width)), width
        first = last + 1


def _last_of_buckets(length_L: Int32s, count_L: Int64s, call_positions: int) -> list[int]:
    """The last length of each bucket, ascending; dynamic programming from the shortest on."""
    until_L = np.concatenate([[0], np.cumsum(count_L)])
    cost_L = np.zeros(len(length_L) + 1, np.int64)  # of the shortest, by how many lengths they have
    first_L = np.zeros(len(length_L), np.int64)
    for last, length in enumerate(length_L.tolist()):
        end = last + 1
        cost_of_first = cost_L[:end] + (until_L[end] - until_L[:end]) * (length + 1)
        first_L[last] = np.argmin(cost_of_first)
        cost_L[end] = cost_of_first[first_L[last]] + call_positions
    found, last = [], len(length_L) - 1
    while last >= 0:
        found.append(last)
        last = int(first_L[last]) - 1
    return found[::-1]
