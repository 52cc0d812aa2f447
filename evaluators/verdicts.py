"""Whether a difference is one, and how many more samples it would take to say so.

# F figures
"""

import numpy as np

from evaluators.confidence_sequence import INTERVAL_ALPHA, mean_margin
from stream.values import Float64s

# Past that many nobody waits for a verdict.
MAX_SAMPLES = 1 << 40


def difference_margin(n_samples: int, square_sum_F: Float64s, largest: float = 1.0) -> Float64s:
    """How far a paired difference may be from the truth, at 95 % and at all times at once.

    See `evaluators.confidence_sequence`: shadows are told with the same intervals.

    Parameters
    ----------
    n_samples : int
        At least 1.
    square_sum_F : float array, shape (F,)
        Sum of the squares of the differences of each figure.
    largest : float
        What no difference of a sample exceeds.
    """
    return largest * mean_margin(n_samples, square_sum_F / largest**2, INTERVAL_ALPHA)


def samples_for_verdict(mean: float, mean_square: float, largest: float = 1.0) -> int | None:
    """After how many samples the interval leaves out 0, if both means stay as they are.

    Returns
    -------
    int or None
        None where no number of samples that anybody has would do.

    Examples
    --------
    >>> samples_for_verdict(0.02, 0.09), samples_for_verdict(0.0, 0.09)
    (3095, None)
    """
    if mean == 0:
        return None
    too_few, enough = 0, 1
    while not _is_decided(enough, mean, mean_square, largest):
        too_few, enough = enough, 2 * enough
        if enough > MAX_SAMPLES:
            return None
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        if _is_decided(middle, mean, mean_square, largest):
            enough = middle
        else:
            too_few = middle
    return enough


def _is_decided(n_samples: int, mean: float, mean_square: float, largest: float) -> bool:
    square_sum_F = np.array([n_samples * mean_square])
    return abs(mean) > difference_margin(n_samples, square_sum_F, largest).item()
