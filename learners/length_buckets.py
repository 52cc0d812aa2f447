"""Which sequences are computed together: those of similar length, padded to the same.

# C sequences
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from stream.values import Int32s

# Histories are padded to one of these lengths: short sessions do not pay for long ones.
_BUCKET_ENDS = (4, 8, 16, 32)


def length_buckets(length_C: Int32s) -> Iterator[tuple[NDArray[np.int64], int]]:
    """Sequences of similar length, with the length to pad them to.

    Examples
    --------
    >>> [(rows.tolist(), width) for rows, width in length_buckets(np.array([3, 50, 0, 9]))]
    [([0, 2], 4), ([3], 16), ([1], 50)]
    """
    longest = int(length_C.max(initial=0))
    shorter = -1
    for end in (*(end for end in _BUCKET_ENDS if end < longest), longest):
        chosen = np.flatnonzero((length_C > shorter) & (length_C <= end))
        if len(chosen):
            yield chosen, end
        shorter = end
