"""How sure a figure is, at one look."""

import functools
import math
from statistics import NormalDist


def share_interval(n_hits: int, n_samples: int, alpha: float = 0.05) -> tuple[float, float]:
    r"""Interval of Wilson's score test for a share of independent samples [1]_.

    The shares p that a score test at level `alpha` does not refuse, with z the quantile of the
    normal distribution at 1 - alpha / 2, n samples and h the share of them that hit:

    .. math:: \frac{1}{1 + z^2 / n} \left( h + \frac{z^2}{2 n} \pm
              z \sqrt{\frac{h (1 - h)}{n} + \frac{z^2}{4 n^2}} \right)

    Unlike an interval of h plus or minus its standard error it stays in [0, 1], is no point where
    no sample hit, and covers about 1 - alpha from few samples on. It holds for one look at one
    instant: who looks after every batch and acts on the first surprise errs more often than
    `alpha`. Samples are taken as independent; the shown items of one request are not quite.

    Parameters
    ----------
    n_hits, n_samples : int
        At least one sample.
    alpha : float
        Probability that the interval leaves out the truth, in (0, 1).

    Returns
    -------
    tuple of float
        Lower and upper end, in [0, 1].

    Raises
    ------
    ValueError
        If there is no sample, or `alpha` lies outside of (0, 1).

    References
    ----------
    .. [1] Wilson. Probable inference, the law of succession, and statistical inference. Journal
       of the American Statistical Association 22(158), 1927.

    Examples
    --------
    >>> low, high = share_interval(20, 1000)
    >>> round(low, 4), round(high, 4)
    (0.013, 0.0307)
    """
    if n_samples < 1:
        raise ValueError(f"an interval needs at least one sample, got {n_samples}")
    square = _normal_quantile(alpha) ** 2 / n_samples
    share = n_hits / n_samples
    middle = share + square / 2
    margin = math.sqrt(square * (share * (1 - share) + square / 4))
    # Rounding may leave a hair outside, where no sample hit or every one did.
    return max((middle - margin) / (1 + square), 0.0), min((middle + margin) / (1 + square), 1.0)


def normal_margin(alpha: float) -> float:
    """Standard errors on either side of an estimate that leave out the truth with this probability.

    Examples
    --------
    >>> round(normal_margin(0.05), 3)
    1.96
    """
    return _normal_quantile(alpha)


def bernstein_margin(n_samples: int, variance: float, largest: float, alpha: float) -> float:
    r"""How far below a mean of samples the mean that was to be expected may lie [1]_.

    For n independent samples in [0, `largest`] with the sample variance v,

    .. math:: \sqrt{\frac{2 v \ln (2 / \alpha)}{n}} +
              \frac{7 \, largest \ln (2 / \alpha)}{3 (n - 1)}

    is exceeded with a probability of at most `alpha`, whatever their distributions are.

    Parameters
    ----------
    n_samples : int
        At least 2.
    variance : float
        Of the samples; it divides by n - 1.
    largest : float
        What no sample can exceed.
    alpha : float
        Probability of error, on this side alone.

    References
    ----------
    .. [1] Maurer, Pontil. Empirical Bernstein bounds and sample variance penalization. COLT 2009.

    Examples
    --------
    >>> round(bernstein_margin(10_000, 0.04, 1.0, alpha=0.05), 4)
    0.0063
    """
    log_term = math.log(2 / alpha)
    spread = math.sqrt(2 * variance * log_term / n_samples)
    return spread + 7 * largest * log_term / (3 * (n_samples - 1))


@functools.lru_cache(maxsize=8)
def _normal_quantile(alpha: float) -> float:
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"alpha lies between 0 and 1, got {alpha}")
    return NormalDist().inv_cdf(1 - alpha / 2)
