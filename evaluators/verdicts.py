"""Whether a difference is one, and how many more samples it would take to say so."""

from evaluators.confidence import mean_interval
from evaluators.ranking_judge import INTERVAL_ALPHA, INTERVAL_TUNED_SAMPLES

# Past that many nobody waits for a verdict.
MAX_SAMPLES = 1 << 40


def difference_interval(n_samples: int, mean: float, variance: float) -> tuple[float, float]:
    """Where a paired difference lies with 95 % confidence at all times at once.

    See `evaluators.confidence.mean_interval`; the differences that shadows are told with have the
    same interval.
    """
    return mean_interval(
        n_samples,
        mean,
        variance,
        alpha=INTERVAL_ALPHA,
        tuned_samples=INTERVAL_TUNED_SAMPLES,
    )


def samples_for_verdict(mean: float, variance: float) -> int | None:
    """After how many samples the interval leaves out 0, if mean and variance stay as they are.

    Returns
    -------
    int or None
        None where no number of samples that anybody has would do.

    Examples
    --------
    >>> samples_for_verdict(0.02, 0.09), samples_for_verdict(0.0, 0.09)
    (2437, None)
    """
    if mean == 0:
        return None
    too_few, enough = 0, 1
    while not _is_decided(enough, mean, variance):
        too_few, enough = enough, 2 * enough
        if enough > MAX_SAMPLES:
            return None
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        if _is_decided(middle, mean, variance):
            enough = middle
        else:
            too_few = middle
    return enough


def _is_decided(n_samples: int, mean: float, variance: float) -> bool:
    low, high = difference_interval(n_samples, mean, variance)
    return low > 0 or high < 0
