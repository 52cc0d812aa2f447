"""Which sessions hold an item, newest first.

# N postings, Q rows asked for, R rows or sessions to drop

A posting is one 64-bit integer, the row above the number of the session, so that the postings of
a row lie together in sorted order, oldest session first. New ones are sorted into a short tail,
and the tail now and then into the main array: appending costs little, nothing is allocated for a
row that nobody clicked, and answers do not depend on where the tail ends.
"""

import numpy as np

from stream.values import Int32s, Int64s

# Sessions below 2**36 (two years at a thousand a second), rows below 2**27.
_SEQ_BITS = 36
_SEQ_MASK = (1 << _SEQ_BITS) - 1
# Postings in the tail before it is merged: a merge copies the main array, some milliseconds.
_MAX_TAIL = 4096


class PostingIndex:
    """Sorted (row, session) pairs.

    Examples
    --------
    >>> index = PostingIndex()
    >>> index.add(np.array([7, 7, 2], np.int32), np.array([0, 1, 1]), oldest_seq=0)
    >>> query_N, seq_N = index.newest(np.array([2, 7], np.int32), n=1, oldest_seq=0)
    >>> query_N.tolist(), seq_N.tolist()
    ([0, 1], [1, 1])
    """

    def __init__(self) -> None:
        self._main_N = np.empty(0, np.int64)
        self._tail_N = np.empty(0, np.int64)

    def __len__(self) -> int:
        return len(self._main_N) + len(self._tail_N)

    def add(self, row_N: Int32s, seq_N: Int64s, oldest_seq: int) -> None:
        """Add postings that are not held yet; those of sessions before `oldest_seq` may go."""
        self._tail_N = np.sort(np.concatenate((self._tail_N, _key(row_N, seq_N))))
        if len(self._tail_N) > _MAX_TAIL:
            is_live_N = (self._main_N & _SEQ_MASK) >= oldest_seq
            self._main_N = _merged(self._main_N[is_live_N], self._tail_N)
            self._tail_N = np.empty(0, np.int64)

    def newest(self, row_Q: Int32s, n: int, oldest_seq: int) -> tuple[Int64s, Int64s]:
        """The newest sessions of each row, at least `n` of them where so many hold it.

        Returns
        -------
        query_N : int64 array
            Index into `row_Q`.
        seq_N : int64 array
            The session, not before `oldest_seq`; more than `n` of a row may come, in any order.
        """
        first_Q = _key(row_Q, np.int64(oldest_seq))
        end_Q = _key(row_Q, np.int64(_SEQ_MASK))
        parts = [
            _last_of_ranges(key_N, first_Q, end_Q, n) for key_N in (self._main_N, self._tail_N)
        ]
        return (
            np.concatenate([query_N for query_N, _ in parts]),
            np.concatenate([key_N for _, key_N in parts]) & _SEQ_MASK,
        )

    def holders(self, row_R: Int32s) -> Int64s:
        """Sessions that hold any of the rows, expired ones among them."""
        _, seq_N = self.newest(row_R, len(self), oldest_seq=0)
        return np.unique(seq_N)

    def drop_rows(self, row_R: Int32s) -> None:
        """Forget every posting of the rows."""
        self._main_N = self._main_N[~np.isin(self._main_N >> _SEQ_BITS, row_R)]
        self._tail_N = self._tail_N[~np.isin(self._tail_N >> _SEQ_BITS, row_R)]

    def drop_sessions(self, seq_R: Int64s) -> None:
        """Forget every posting of the sessions."""
        self._main_N = self._main_N[~np.isin(self._main_N & _SEQ_MASK, seq_R)]
        self._tail_N = self._tail_N[~np.isin(self._tail_N & _SEQ_MASK, seq_R)]

    def live_postings(self, oldest_seq: int) -> Int64s:
        """The postings that still count, sorted: the same however they came to be held."""
        key_N = _merged(self._main_N, self._tail_N)
        return key_N[(key_N & _SEQ_MASK) >= oldest_seq]

    def load(self, key_N: Int64s) -> None:
        """Hold exactly these postings, as `live_postings` gave them."""
        self._main_N = key_N
        self._tail_N = np.empty(0, np.int64)


def _key(row_N: Int32s, seq_N: Int64s | np.int64) -> Int64s:
    return (row_N.astype(np.int64) << _SEQ_BITS) | seq_N


def _merged(main_N: Int64s, tail_N: Int64s) -> Int64s:
    return np.insert(main_N, np.searchsorted(main_N, tail_N), tail_N)


def _last_of_ranges(key_N: Int64s, first_Q: Int64s, end_Q: Int64s, n: int) -> tuple[Int64s, Int64s]:
    """The last `n` keys within each range of values, and the range they belong to."""
    end_at_Q = np.searchsorted(key_N, end_Q, side="right")
    start_at_Q = np.maximum(np.searchsorted(key_N, first_Q), end_at_Q - n)
    count_Q = end_at_Q - start_at_Q
    query_N = np.repeat(np.arange(len(first_Q)), count_Q)
    skip_Q = start_at_Q - (np.cumsum(count_Q) - count_Q)
    return query_N, key_N[np.arange(len(query_N)) + skip_Q[query_N]]
