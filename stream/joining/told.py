"""What learners told of shown items, until the items are judged: a column for each learner.

# S shown items, L learners
"""

from collections.abc import Mapping, Sequence

import numpy as np

from stream.joining.growing_columns import GrowingColumns
from stream.values import Float64s, Predictions, State

COLUMNS = ("probability", "conversion")
"""How likely a click on each item was, and how likely a click on it converts; nan if not told."""


def keep_told(
    items: GrowingColumns,
    first: int,
    learners: Sequence[str],
    predictions: Mapping[str, Predictions],
) -> None:
    """Remember what each learner answered for the shown items from `first` on."""
    for column, name in enumerate(learners):
        if name not in predictions:
            continue
        told = predictions[name]
        answers_S = told.click_probability_S, told.conversion_probability_S
        for kind, answer_S in zip(COLUMNS, answers_S, strict=True):
            if answer_S is not None:
                items[kind][first:, column] = answer_S


def told_before(items: State, learners_then: Sequence[str], learners: Sequence[str]) -> State:
    """What these learners had told, as a state holds it; it may be of others."""
    return {kind: _of_learners(items[kind], learners_then, learners) for kind in COLUMNS}


def _of_learners(told_SL: Float64s, then: Sequence[str], learners: Sequence[str]) -> Float64s:
    known_SL = np.full((len(told_SL), len(learners)), np.nan)
    for column, learner in enumerate(learners):
        if learner in then:
            known_SL[:, column] = told_SL[:, then.index(learner)]
    return known_SL
