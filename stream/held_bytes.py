"""How many bytes a state holds."""

from collections.abc import Mapping
from typing import Any

import numpy as np


def held_bytes(state: Any) -> int:
    """Bytes of every array, text and number in a state, as a checkpoint would hold them.

    Tensors count as arrays; the names of parts do not count.

    Examples
    --------
    >>> held_bytes({"weights": np.zeros((4, 2), np.float32), "names": ["tea", "cup"], "n": 7})
    46
    """
    if isinstance(state, Mapping):
        return sum(held_bytes(part) for part in state.values())
    if isinstance(state, list | tuple):
        return sum(held_bytes(part) for part in state)
    if isinstance(state, str):
        return len(state.encode("utf-8", "surrogatepass"))
    if isinstance(state, bytes):
        return len(state)
    if state is None:
        return 0
    n_bytes = getattr(state, "nbytes", None)
    return n_bytes if isinstance(n_bytes, int) else np.dtype(np.int64).itemsize
