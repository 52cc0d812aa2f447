"""In which order partitions are read, so that their event times go on together.

# L partitions, N records of one of them, M records in order

Whoever takes what arrives first reads one partition's backlog to its end before the next one's.
Here the record whose partition is least far goes first, as in Kafka Streams [1]_. A partition
keeps its own order: a record that comes late in it goes right after the one before.

References
----------
.. [1] Sax et al. Streams and tables: two sides of the same coin. BIRTE 2018.
"""

from collections.abc import Sequence

import numpy as np

from stream.values import Int32s, Int64s

NO_BOUND = np.iinfo(np.int64).max


def sort_keys(ts_N: Int64s, before_ms: int) -> Int64s:
    """How far a partition is at each of its records: the largest time up to there.

    Examples
    --------
    >>> sort_keys(np.array([5, 3, 8]), before_ms=4).tolist()
    [5, 5, 8]
    """
    return np.maximum(np.maximum.accumulate(ts_N), before_ms)


def merged(keys_LN: Sequence[Int64s], bound_ms: int = NO_BOUND) -> Int32s:
    """Of which partition the next record is, over and over; the first of them among equals.

    Parameters
    ----------
    keys_LN : sequence of int64 arrays
        How far each partition is at each of its records, never falling.
    bound_ms : int
        Records beyond it are left out: one that is still to come may go before them.

    Returns
    -------
    int32 array, shape (M,)

    Examples
    --------
    >>> merged([np.array([1, 4]), np.array([2, 3, 9])], bound_ms=4).tolist()
    [0, 1, 1, 0]
    """
    within = [key_N[: np.searchsorted(key_N, bound_ms, side="right")] for key_N in keys_LN]
    lane_M = np.repeat(np.arange(len(within), dtype=np.int32), [len(key_N) for key_N in within])
    if not len(lane_M):
        return lane_M
    return lane_M[np.argsort(np.concatenate(within), kind="stable")]
