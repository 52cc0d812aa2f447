"""Arrays that grow by doubling along their first axis."""

from typing import TypeVar

import numpy as np

ScalarT = TypeVar("ScalarT", bound=np.generic)


def grown(
    array: np.ndarray[tuple[int, ...], np.dtype[ScalarT]], n_rows: int, cap: int
) -> np.ndarray[tuple[int, ...], np.dtype[ScalarT]]:
    """The array itself if it has `n_rows` rows, else a copy of twice its length, zeros behind.

    Never longer than `cap` rows, which is at least `n_rows`.

    Examples
    --------
    >>> grown(np.array([7, 8]), 3, cap=10)
    array([7, 8, 0, 0])
    """
    if n_rows <= len(array):
        return array
    n_larger = min(max(n_rows, 2 * len(array)), cap)
    larger = np.zeros((n_larger, *array.shape[1:]), array.dtype)
    larger[: len(array)] = array
    return larger
