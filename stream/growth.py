"""Arrays that grow by doubling along their first axis."""

from typing import TypeVar

import numpy as np

ScalarT = TypeVar("ScalarT", bound=np.generic)


def grown(
    array: np.ndarray[tuple[int, ...], np.dtype[ScalarT]], n_rows: int, fill: float
) -> np.ndarray[tuple[int, ...], np.dtype[ScalarT]]:
    """The array itself if it has `n_rows` rows, else a copy of at least twice its length.

    Examples
    --------
    >>> grown(np.array([7, 8]), 3, fill=0)
    array([7, 8, 0, 0])
    """
    if n_rows <= len(array):
        return array
    larger = np.full((max(n_rows, 2 * len(array)), *array.shape[1:]), fill, array.dtype)
    larger[: len(array)] = array
    return larger
