"""Paired sums over consecutive stretches of a stream, few enough to keep for ever.

# N samples, F figures, T stretches
"""

from dataclasses import dataclass

import numpy as np

from stream.values import Float64s, Int64s

MAX_STRETCHES = 256
# Shorter ones say nothing.
_FIRST_LENGTH = 32


@dataclass(frozen=True, slots=True)
class PairedSums:
    """What each stretch came to, oldest first.

    `one_TF` and `other_TF` are sums of each figure, `difference_TF` of the other less the one on
    the same samples, and `square_TF` of its square. `events_T` and `end_ms_T` say where in the
    stream a stretch ends.
    """

    samples_T: Int64s
    one_TF: Float64s
    other_TF: Float64s
    difference_TF: Float64s
    square_TF: Float64s
    events_T: Int64s
    end_ms_T: Int64s

    def since_start(self) -> "PairedSums":
        """The sums from the start to the end of each stretch."""
        return PairedSums(
            self.samples_T.cumsum(),
            self.one_TF.cumsum(axis=0),
            self.other_TF.cumsum(axis=0),
            self.difference_TF.cumsum(axis=0),
            self.square_TF.cumsum(axis=0),
            self.events_T,
            self.end_ms_T,
        )

    def joined(self, edges: Int64s) -> "PairedSums":
        """Neighbours put together: one begins at each edge, the first of which is 0."""
        last = np.append(edges[1:], len(self.samples_T)) - 1
        return PairedSums(
            np.add.reduceat(self.samples_T, edges),
            np.add.reduceat(self.one_TF, edges),
            np.add.reduceat(self.other_TF, edges),
            np.add.reduceat(self.difference_TF, edges),
            np.add.reduceat(self.square_TF, edges),
            self.events_T[last],
            self.end_ms_T[last],
        )


class Stretches:
    """Samples in at most 256 stretches; when there are more, neighbours become one.

    A stretch ends with the update that makes it long enough, so where it ends depends on the
    samples and how they came alone. Memory: 256 x (4 F + 3) x 8 bytes.

    Parameters
    ----------
    n_figures : int
        Figures of a sample.
    largest : float
        Differences of a sample beyond this count as this much.

    Examples
    --------
    >>> stretches = Stretches(1)
    >>> for n in range(3):
    ...     stretches.add(np.zeros((1, 20)), np.ones((1, 20)), at=(20 * (n + 1), 1000 * n))
    >>> stretches.sums().samples_T.tolist(), stretches.sums().events_T.tolist()
    ([40, 20], [40, 60])
    """

    def __init__(self, n_figures: int, largest: float = 1.0) -> None:
        self._largest = largest
        shape = (MAX_STRETCHES, n_figures)
        self._samples_T = np.zeros(MAX_STRETCHES, np.int64)
        self._sums = [np.zeros(shape) for _ in range(4)]
        self._events_T = np.zeros(MAX_STRETCHES, np.int64)
        self._end_ms_T = np.zeros(MAX_STRETCHES, np.int64)
        self._length = _FIRST_LENGTH
        self._n_closed = 0

    def add(self, one_FN: Float64s, other_FN: Float64s, at: tuple[int, int]) -> None:
        """Take in samples of both; `at` is (events so far, event time in ms) after them."""
        if not one_FN.shape[1]:
            return
        newest = self._n_closed
        difference_FN = np.clip(other_FN - one_FN, -self._largest, self._largest)
        columns = (one_FN, other_FN, difference_FN, difference_FN**2)
        self._samples_T[newest] += one_FN.shape[1]
        for sums_TF, column_FN in zip(self._sums, columns, strict=True):
            sums_TF[newest] += column_FN.sum(axis=1)
        self._events_T[newest], self._end_ms_T[newest] = at
        if self._samples_T[newest] >= self._length:
            self._n_closed += 1
            if self._n_closed == MAX_STRETCHES:
                self._halve()

    def sums(self) -> PairedSums:
        """What was taken in so far, shape (T, F) each; the newest stretch may be short."""
        n_held = self._n_closed + bool(self._samples_T[self._n_closed])
        one_TF, other_TF, difference_TF, square_TF = (sums[:n_held].copy() for sums in self._sums)
        return PairedSums(
            self._samples_T[:n_held].copy(),
            one_TF,
            other_TF,
            difference_TF,
            square_TF,
            self._events_T[:n_held].copy(),
            self._end_ms_T[:n_held].copy(),
        )

    def _halve(self) -> None:
        """Put each two neighbours together."""
        half = MAX_STRETCHES // 2
        for sums in (self._samples_T, *self._sums):
            sums[:half] = sums[0::2] + sums[1::2]
            sums[half:] = 0
        for ends in (self._events_T, self._end_ms_T):
            ends[:half] = ends[1::2]
            ends[half:] = 0
        self._n_closed = half
        self._length *= 2
