r"""Where a running mean lies at all times at once, whoever looks and however often.

# F figures, J bets

Samples lie in [-1, 1]. What is covered is the running mean of what was to be expected of each
sample, given all samples before it; it may move. For any bet :math:`\lambda` in [0, 1)

.. math:: \exp \Big( \lambda \sum_i (x_i - \mu_i) - \psi(\lambda) \sum_i x_i^2 \Big), \quad
          \psi(\lambda) = -\log(1 - \lambda) - \lambda

is a supermartingale that begins at 1, since :math:`\exp(\lambda x - \psi(\lambda) x^2) \le 1 +
\lambda x` for x of at least -1 [1]_; it is the empirical Bernstein process of [2]_ (theorem 4)
with 0 as what is predicted of each sample. A mixture of bets is one too, and reaches 2 / alpha
with a probability of at most alpha / 2, ever (Ville); likewise on the other side.

Unlike an interval by the central limit theorem it holds from the first sample on, and unlike a
bet against one constant mean where the mean moves. It needs the sum of the squares and nothing
else, so it does not depend on the order of the samples.

References
----------
.. [1] Fan, Grama, Liu. Exponential inequalities for martingales with applications. Electronic
   Journal of Probability 20, 2015.
.. [2] Howard, Ramdas, McAuliffe, Sekhon. Time-uniform, nonparametric, nonasymptotic confidence
   sequences. Annals of Statistics 49(2), 2021; arXiv:1810.08240.
"""

import math

import numpy as np

from stream.values import Float64s

INTERVAL_ALPHA = 0.05
"""95 %: the interval of a difference leaves out the truth in at most one stream of twenty."""

# The mixture: half a Cauchy density over bets, on a geometric grid. The interval is narrowest
# where the squares sum to some thousands, and within a tenth of that, in units of the root of
# their sum, from 300 up to a million.
_CENTRE = 0.03
_LARGEST, _SMALLEST, _RATIO = 0.95, 1e-6, 1.5
_N_BETS = int(math.log(_LARGEST / _SMALLEST) / math.log(_RATIO)) + 1
_BET_J = _LARGEST * _RATIO ** -np.arange(_N_BETS)
_COST_J = -np.log1p(-_BET_J) - _BET_J
_SHARE_J = _BET_J / (1 + (_BET_J / _CENTRE) ** 2)
_LOG_WEIGHT_J = np.log(_SHARE_J / _SHARE_J.sum())

# Newton's steps come from outside and never pass the root: a step too few is a hair too wide.
_N_STEPS = 10


def sum_margin(square_sum_F: Float64s, alpha: float) -> Float64s:
    """How far the sum of samples in [-1, 1] may be from what was to be expected; see `mean_margin`.

    Examples
    --------
    >>> sum_margin(np.array([900.0, 0.0]), alpha=0.05).round(1)
    array([102.8,   8.8])
    """
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"alpha lies between 0 and 1, got {alpha}")
    return _boundary(square_sum_F, math.log(2 / alpha))


def mean_margin(n_samples: int, square_sum_F: Float64s, alpha: float) -> Float64s:
    """How far the mean of samples in [-1, 1] may be from what was to be expected, on either side.

    The probability that the running mean is ever, at any number of samples, further away than
    this is at most `alpha`; see the head of this module.

    Parameters
    ----------
    n_samples : int
        Samples so far, at least 1.
    square_sum_F : float array, shape (F,)
        Sum of the squares of the samples of each figure.
    alpha : float
        Probability of error over all time, in (0, 1).

    Returns
    -------
    float64 array, shape (F,)
        At most 2, which says nothing.

    Raises
    ------
    ValueError
        If there is no sample, or `alpha` lies outside of (0, 1).

    Examples
    --------
    >>> mean_margin(10_000, np.array([900.0, 0.0]), alpha=0.05).round(4)
    array([0.0103, 0.0009])
    """
    if n_samples < 1:
        raise ValueError(f"an interval needs at least one sample, got {n_samples}")
    return np.minimum(sum_margin(square_sum_F, alpha) / n_samples, 2.0)


def _boundary(square_sum_F: Float64s, log_level: float) -> Float64s:
    """The sum of deviations at which the mixture's logarithm reaches a level."""
    offset_FJ = _LOG_WEIGHT_J - _COST_J * square_sum_F[:, None]
    # One bet alone reaches the level no sooner than the mixture does.
    sum_F: Float64s = ((log_level - offset_FJ) / _BET_J).min(axis=1)
    for _ in range(_N_STEPS):
        exponent_FJ = offset_FJ + _BET_J * sum_F[:, None]
        largest_F = exponent_FJ.max(axis=1)
        part_FJ = np.exp(exponent_FJ - largest_F[:, None])
        total_F = part_FJ.sum(axis=1)
        slope_F = (part_FJ * _BET_J).sum(axis=1) / total_F
        sum_F = sum_F - (largest_F + np.log(total_F) - log_level) / slope_F
    return sum_F
