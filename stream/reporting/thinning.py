"""A long line as a short one that looks the same: its extremes stay."""

import numpy as np

from stream.values import Float64s, Int64s

MAX_POINTS = 2_000


def kept_points(value_N: Float64s, max_points: int = MAX_POINTS) -> Int64s:
    """Indices to keep: of each stretch its lowest and its highest value, and both ends.

    A stretch without any value keeps one of its gaps, so that the line stays broken there.

    Parameters
    ----------
    value_N : float64 array, shape (N,)
        Values in order; nan is a gap.
    max_points : int
        How many to keep at most; at least 4.

    Returns
    -------
    int64 array
        Ascending, without repeats.

    Examples
    --------
    >>> kept_points(np.array([0.0, 0.1, 9.0, 0.2, 0.1, -5.0, 0.0, 0.3]), max_points=6).tolist()
    [0, 2, 5, 7]
    """
    n_values = len(value_N)
    if n_values <= max_points:
        return np.arange(n_values)
    edges = np.linspace(0, n_values, (max_points - 2) // 2 + 1).astype(np.int64)
    is_gap_N = np.isnan(value_N)
    starts = edges[:-1]
    low_N = np.where(is_gap_N, np.inf, value_N)
    high_N = np.where(is_gap_N, -np.inf, value_N)
    kept = [0, n_values - 1]
    for start, end in zip(starts.tolist(), edges[1:].tolist(), strict=True):
        kept.append(start + int(low_N[start:end].argmin()))
        kept.append(start + int(high_N[start:end].argmax()))
    return np.unique(np.array(kept, np.int64))
