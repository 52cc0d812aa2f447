"""Mean and deviation of numbers that keep coming.

# N rows, R numbers a row

Batches are put together as if all their numbers had come at once [1]_. Beyond `MEMORY` numbers
older ones fade, so that a scale that has changed is found again.

References
----------
.. [1] Chan, Golub, LeVeque. Updating formulae and a pairwise algorithm for computing sample
   variances. COMPSTAT 1982.
"""

import numpy as np

from stream.values import Float64s, State

MEMORY = 100_000
"""Numbers that the moments look back over: up to so many all count alike."""
GUARDED_FROM = 100
"""Numbers after which one that lies far out no longer moves the moments as far as it would."""
REACH = 20.0
"""Deviations from the mean at which a number then stands for all that lie further out: one broken
sensor does not make everything else look alike, and a new scale is reached within some batches."""

# Of the mean: where all numbers are alike but for rounding, the deviation says nothing.
_LEAST_RELATIVE_DEVIATION = 1e-6


class RunningMoments:
    """Moments of some numbers, each on its own; missing ones are nan and count for nothing.

    Parameters
    ----------
    n_numbers : int
        R.

    Examples
    --------
    >>> moments = RunningMoments(1)
    >>> moments.add(np.array([[1.0], [np.nan]]))
    >>> moments.add(np.array([[3.0]]))
    >>> moments.mean_R, moments.deviation_R
    (array([2.]), array([1.]))
    """

    def __init__(self, n_numbers: int) -> None:
        self._count_R: Float64s = np.zeros(n_numbers)
        self.mean_R: Float64s = np.zeros(n_numbers)
        self._variance_R: Float64s = np.zeros(n_numbers)

    @property
    def deviation_R(self) -> Float64s:
        """The standard deviation; 0 before there are two numbers that differ."""
        deviation_R: Float64s = np.sqrt(self._variance_R)
        return deviation_R

    def add(self, number_NR: Float64s) -> None:
        """Take in a batch of rows."""
        is_there_NR = ~np.isnan(number_NR)
        count_R = is_there_NR.sum(axis=0).astype(np.float64)
        if not count_R.any():
            return
        number_NR = np.where(is_there_NR, self._within_reach(number_NR), 0.0)
        many_R = np.maximum(count_R, 1.0)
        mean_R = number_NR.sum(axis=0) / many_R
        off_NR = np.where(is_there_NR, number_NR - mean_R, 0.0)
        variance_R = (off_NR**2).sum(axis=0) / many_R
        share_R = np.where(count_R > 0, count_R / np.maximum(self._count_R + count_R, 1.0), 0.0)
        step_R = mean_R - self.mean_R
        self._variance_R = (
            (1 - share_R) * self._variance_R
            + share_R * variance_R
            + share_R * (1 - share_R) * step_R**2
        )
        self.mean_R = self.mean_R + share_R * step_R
        self._count_R = np.minimum(self._count_R + count_R, MEMORY)

    def scaled(self, number_NR: Float64s, limit: float) -> Float64s:
        """Numbers in deviations from the mean, cut at the limit; 0 for a missing one.

        As long as all that came is alike, whatever differs is at the limit.
        """
        deviation_R = np.maximum(self.deviation_R, np.finfo(np.float64).tiny)
        with np.errstate(over="ignore"):
            off_NR = (number_NR - self.mean_R) / deviation_R
        scaled_NR: Float64s = np.clip(np.nan_to_num(off_NR, nan=0.0), -limit, limit)
        return np.where(self._count_R > 0, scaled_NR, 0.0)

    def state_dict(self) -> State:
        return {
            "schema_version": 1,
            "count": self._count_R,
            "mean": self.mean_R,
            "variance": self._variance_R,
        }

    def load_state_dict(self, state: State) -> None:
        self._count_R = np.array(state["count"], np.float64)
        self.mean_R = np.array(state["mean"], np.float64)
        self._variance_R = np.array(state["variance"], np.float64)

    def _within_reach(self, number_NR: Float64s) -> Float64s:
        least_R = _LEAST_RELATIVE_DEVIATION * np.abs(self.mean_R)
        reach_R = REACH * np.maximum(self.deviation_R, least_R)
        is_guarded_R = (self._count_R >= GUARDED_FROM) & (reach_R > 0)
        reach_R = np.where(is_guarded_R, reach_R, np.inf)
        within_NR: Float64s = np.clip(number_NR, self.mean_R - reach_R, self.mean_R + reach_R)
        return within_NR
