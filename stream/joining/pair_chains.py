"""Where a user met an item: the latest of many places, found by a 64-bit key.

# E entries in order of arrival, N entries added, K buckets
"""

from collections.abc import Callable

import numpy as np

from stream.joining.growing_columns import GrowingColumns
from stream.values import Int64s

# Odd, and far from a power of two: spreads users over all bits.
_SPREAD = -7046029254386353131

_MIN_BUCKETS = 1_024

# Entries are 32-bit numbers, and so are buckets: both fit one of 64.
_ENTRY_BITS = 32

# Event times fit 43 bits until 2248.
_TS_BITS = 43


def pair_keys(user_N: Int64s, item_N: Int64s) -> Int64s:
    """One key for each pair of a user's and an item's 64-bit hash."""
    keys: Int64s = user_N * np.int64(_SPREAD) ^ item_N
    return keys


class PairChains:
    """An index over entries that have a key and a time; derived, so no part of a state.

    Entries of one bucket are chained, the newest first. Memory: 28 bytes an entry, up to twice
    that while it grows.

    Examples
    --------
    >>> chains = PairChains()
    >>> chains.extend(np.array([7, 8, 7]), np.array([10, 15, 20]))
    >>> chains.latest(7, since_ms=0, until_ms=19, is_usable=lambda entry: True)
    0
    """

    def __init__(self) -> None:
        self._entries = GrowingColumns(
            {"key": np.int64, "ts": np.int64, "newest_ts": np.int64, "before": np.int32}
        )
        self._head_K = np.full(_MIN_BUCKETS, -1, np.int32)

    def __len__(self) -> int:
        return len(self._entries)

    def extend(self, key_N: Int64s, ts_N: Int64s) -> None:
        """Add entries behind, in order of arrival."""
        first = len(self)
        self._entries.extend(len(key_N), key=key_N, ts=ts_N, newest_ts=ts_N, before=-1)
        if 2 * len(self) > len(self._head_K):
            self._head_K = np.full(1 << (2 * len(self)).bit_length(), -1, np.int32)
            first = 0
        self._chain(first)

    def clear(self) -> None:
        """Forget all entries."""
        self._entries.keep(np.zeros(0, np.int64))
        self._head_K = np.full(_MIN_BUCKETS, -1, np.int32)

    def latest(
        self, key: int, since_ms: int, until_ms: int, is_usable: Callable[[int], bool]
    ) -> int:
        """The usable entry of this key with the largest time within bounds, or -1.

        Of equal times it is the one that arrived last.
        """
        key_E, ts_E = self._entries["key"], self._entries["ts"]
        newest_ts_E, before_E = self._entries["newest_ts"], self._entries["before"]
        found, found_ms = -1, since_ms - 1
        entry = int(self._head_K[key & (len(self._head_K) - 1)])
        # No earlier entry of the bucket is later than `newest_ts`: then none of them is better.
        while entry >= 0 and newest_ts_E[entry] > found_ms:
            ts = int(ts_E[entry])
            if found_ms < ts <= until_ms and key_E[entry] == key and is_usable(entry):
                found, found_ms = entry, ts
            entry = int(before_E[entry])
        return found

    def _chain(self, first: int) -> None:
        """Put the entries from `first` on before those of their buckets."""
        bucket_N = self._entries["key"][first:] & (len(self._head_K) - 1)
        # By (bucket, entry), packed into one number: sorting numbers is faster than argsort.
        sorted_N = np.sort(bucket_N << _ENTRY_BITS | np.arange(first, len(self)))
        bucket = sorted_N >> _ENTRY_BITS
        entry = (sorted_N & ((1 << _ENTRY_BITS) - 1)).astype(np.int32)
        opens = np.ones(len(bucket), np.bool_)
        opens[1:] = bucket[1:] != bucket[:-1]
        before = np.empty_like(entry)
        before[1:] = entry[:-1]
        before[opens] = self._head_K[bucket[opens]]
        self._entries["before"][entry] = before
        # The latest time in each bucket so far, bucket by bucket: a bucket's number outweighs any
        # time, and the first of a bucket goes on from what was chained before it.
        ts = self._entries["ts"][entry]
        reached_before = np.where(before[opens] < 0, 0, self._entries["newest_ts"][before[opens]])
        ts[opens] = np.maximum(ts[opens], reached_before)
        reached = np.maximum.accumulate((np.cumsum(opens) << _TS_BITS) | ts)
        self._entries["newest_ts"][entry] = reached & ((1 << _TS_BITS) - 1)
        ends = np.append(opens[1:], True)[: len(opens)]
        self._head_K[bucket[ends]] = entry[ends]
