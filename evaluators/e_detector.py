r"""Tells when a mean has become positive, with a stated average run length to a false alarm.

# N samples of an update, K bets

While all is well, no sample is expected to be above 0, given those before it. For any bet
:math:`\lambda` the product of :math:`1 + \lambda x` over the samples from j on then is a
supermartingale that begins at 1: money that a gambler has who begins at j to bet on a change, and
whom nobody owes a gain. The sum over gamblers, one of whom begins at every sample, less the
number of samples, is a supermartingale too: an e-detector of the kind of Shiryaev and Roberts
[1]_. The first time that it reaches A is, on average, at sample A or later. So is that of a
mixture over bets, which needs not know how large the change will be.

References
----------
.. [1] Shin, Ramdas, Rinaldo. E-detectors: a nonparametric framework for sequential change
   detection. New England Journal of Statistics in Data Science 2(2), 2023; arXiv:2203.03532.
"""

import math

import numpy as np

from stream.values import Float64s, State

# With 0.9 a sample of -1 leaves a tenth: a block of 256 stays within what a float64 can hold.
_LARGEST_BET = 0.9
_N_BETS = 16
_BLOCK_SAMPLES = 256

_SCHEMA_VERSION = 1


class EDetector:
    """Sums what gamblers have who bet on a change; it trips where that reaches `arl_samples`.

    `evidence` is what they have, on average over bets, after the last sample or where it tripped.
    Memory is fixed, and the cost of a sample does not depend on the past. Its numbers do not
    depend on how samples are cut into updates: within a block of 256 samples, counted from the
    last reset, products and sums grow in the order of the samples.

    Parameters
    ----------
    arl_samples : float
        Samples up to a false alarm, at least this many on average.
    reach : float
        How far below 0 a sample may lie, at least 1; above 0 none exceeds that either.

    Examples
    --------
    >>> detector = EDetector(arl_samples=1000, reach=1.0)
    >>> detector.update(np.full(500, -0.5)), detector.update(np.full(500, 0.5))
    (None, 20)
    """

    def __init__(self, arl_samples: float, reach: float) -> None:
        self._arl_samples = arl_samples
        self._bet_K = _bets(arl_samples, reach)
        # Of the block: what gamblers had at its beginning, what each unit has become since, and
        # the units that came in, each in units of the beginning.
        self._held_K = np.zeros(_N_BETS)
        self._product_K = np.ones(_N_BETS)
        self._joined_K = np.zeros(_N_BETS)
        self._n_in_block = 0
        self.evidence = 0.0

    def update(self, sample_N: Float64s) -> int | None:
        """Take in samples, oldest first; how many it took to trip, None if it did not.

        What comes behind those is not taken in. Whoever is told resets the detector.
        """
        n_taken = 0
        while n_taken < len(sample_N):
            n_left = _BLOCK_SAMPLES - self._n_in_block
            part_N = sample_N[n_taken : n_taken + n_left]
            total_N = self._take(part_N)
            tripping = np.flatnonzero(total_N >= self._arl_samples)
            last = tripping[0].item() if len(tripping) else len(part_N) - 1
            self.evidence = total_N[last].item()
            n_taken += last + 1
            if len(tripping):
                return n_taken
        return None

    def reset(self) -> None:
        """Begin anew, as if no sample had come."""
        self._held_K = np.zeros(_N_BETS)
        self.evidence = 0.0
        self._begin_block()

    def state_dict(self) -> State:
        return {
            "schema_version": _SCHEMA_VERSION,
            "held_K": self._held_K,
            "product_K": self._product_K,
            "joined_K": self._joined_K,
            "n_in_block": self._n_in_block,
            "evidence": self.evidence,
        }

    def load_state_dict(self, state: State) -> None:
        self._held_K = np.array(state["held_K"])
        self._product_K = np.array(state["product_K"])
        self._joined_K = np.array(state["joined_K"])
        self._n_in_block = state["n_in_block"]
        self.evidence = state["evidence"]

    def _take(self, sample_N: Float64s) -> Float64s:
        """What gamblers have after each sample of one block."""
        # Accumulated from what was carried: the same products and sums, wherever a batch ended.
        growth_KN = 1.0 + self._bet_K[:, None] * sample_N
        growth_KN[:, 0] *= self._product_K
        product_KN = np.multiply.accumulate(growth_KN, axis=1)
        joining_KN = np.empty_like(product_KN)
        joining_KN[:, 0] = 1.0 / self._product_K + self._joined_K
        joining_KN[:, 1:] = 1.0 / product_KN[:, :-1]
        joined_KN = np.add.accumulate(joining_KN, axis=1)
        value_KN = product_KN * (self._held_K[:, None] + joined_KN)
        self._product_K, self._joined_K = product_KN[:, -1].copy(), joined_KN[:, -1].copy()
        self._n_in_block += len(sample_N)
        if self._n_in_block == _BLOCK_SAMPLES:
            self._held_K = value_KN[:, -1].copy()
            self._begin_block()
        # Accumulated again: a sum of many rows may be taken in another order than that of one.
        total_N: Float64s = np.add.accumulate(value_KN, axis=0)[-1] / _N_BETS
        return total_N

    def _begin_block(self) -> None:
        self._product_K = np.ones(_N_BETS)
        self._joined_K = np.zeros(_N_BETS)
        self._n_in_block = 0


def _bets(arl_samples: float, reach: float) -> Float64s:
    """Bets for changes of every size that is found before the first false alarm is due.

    A mean of m in samples of square 1 is best bet on with m, which makes exp(m ** 2 / 2) of a
    unit a sample: with the smallest bet, `arl_samples` in as many samples.
    """
    smallest = math.sqrt(2 * math.log(arl_samples) / arl_samples)
    bet_K: Float64s = np.geomspace(_LARGEST_BET, min(smallest, _LARGEST_BET), _N_BETS) / reach
    return bet_K
