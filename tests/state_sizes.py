"""How much a state holds, part by part, for tests of what never grows."""

from collections.abc import Mapping
from typing import Any

import numpy as np


def sizes(state: Any, path: str = "state") -> dict[str, int]:
    """Bytes of each array, and the length of each list, mapping, text and bytes, by its path."""
    if isinstance(state, np.ndarray):
        return {path: state.nbytes}
    if isinstance(state, Mapping):
        found = {path: len(state)}
        for key, entry in state.items():
            found |= sizes(entry, f"{path}.{key}")
        return found
    if isinstance(state, list | str | bytes):
        return {path: len(state)}
    return {}


def different(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    """The parts that do not hold as much in one as in the other; 0 where there is none."""
    parts = sorted(one.keys() | other.keys())
    held = {part: (one.get(part, 0), other.get(part, 0)) for part in parts}
    return {part: both for part, both in held.items() if both[0] != both[1]}
