"""Builders of lists that were shown, for tests that write them out by hand.

# N lists, S their items end to end
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from stream.values import Outcomes, Shown, ShownLessons
from tests.stream_values import make_contexts, make_lessons, make_outcomes


def make_shown(
    lists: Sequence[Sequence[int]],
    histories: Sequence[Sequence[int]] | None = None,
    positions: Sequence[int] | None = None,
) -> Shown:
    """Lists of rows, each in a context of its own; places are counted from 1 unless given."""
    lengths = [len(rows) for rows in lists]
    places = [place for n in lengths for place in range(1, n + 1)]
    return Shown(
        contexts=make_contexts([()] * len(lists) if histories is None else histories),
        context_of_N=np.arange(len(lists), dtype=np.int32),
        starts=np.concatenate(([0], np.cumsum(lengths))).astype(np.int64),
        item_S=np.array([row for rows in lists for row in rows], np.int32),
        position_S=np.array(places if positions is None else positions, np.int32),
    )


def make_shown_lessons(
    shown: Shown, clicked: Sequence[bool] | np.ndarray, is_presumed: bool = False
) -> ShownLessons:
    """Lists with their answers."""
    return ShownLessons(shown, np.array(clicked, np.bool_), is_presumed)


def outcomes_of_lists(*taught: ShownLessons) -> Outcomes:
    """Outcomes that hold lists and no click."""
    return replace(make_outcomes(make_lessons([], [])), shown_lessons=taught)
