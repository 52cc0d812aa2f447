"""Users by how much is known of them: the length of their history when they asked.

# B queries of a batch
"""

from typing import Annotated

import numpy as np
from pydantic import AfterValidator

from stream.values import Int64s, Outcomes

MAX_BOUNDS = 8


def _bounds(bounds: tuple[int, ...]) -> tuple[int, ...]:
    if len(bounds) > MAX_BOUNDS or list(bounds) != sorted({*bounds}) or min(bounds, default=1) < 1:
        raise ValueError(
            f"expected at most {MAX_BOUNDS} lengths of history from 1 on, each once, in ascending "
            f"order, got {list(bounds)}; write for example [1, 5, 20]"
        )
    return bounds


HistoryBounds = Annotated[tuple[int, ...], AfterValidator(_bounds)]
"""Lengths of history at which another cohort begins; the first one has shorter histories."""


def length_names(bounds: tuple[int, ...]) -> list[str]:
    """What the cohorts are called.

    Examples
    --------
    >>> length_names((1, 5, 20)), length_names(())
    (['0', '1-4', '5-19', '20+'], ['0+'])
    """
    names = []
    for low, end in zip((0, *bounds), (*bounds, None), strict=True):
        names.append(
            f"{low}+" if end is None else f"{low}-{end - 1}" if end > low + 1 else str(low)
        )
    return names


def cohorts_of(outcomes: Outcomes, bounds: tuple[int, ...]) -> Int64s:
    """The cohort of each query's user; a history holds `learner.history_items` items at most."""
    queries = outcomes.queries
    length_B = queries.contexts.length_C[queries.context_of_B]
    return np.searchsorted(np.array(bounds, np.int64), length_B, side="right")
