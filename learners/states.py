"""The states that a scorer reaches: where contexts end, and before each item of sequences.

# C contexts, S positions, N states, D width, W width of sequences
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from learners.scorer import Scorer
from stream.context_rows import chosen
from stream.lessons import compacted
from stream.values import Contexts, Int32s, Lessons

# Histories are padded to one of these lengths: short sessions do not pay for long ones.
_BUCKET_ENDS = (4, 8, 16, 32)


def last_states(scorer: Scorer, contexts: Contexts, item_VD: Tensor) -> Tensor:
    """State at the end of each context, shape (C, D)."""
    states, order = [scorer.start_D[None, :][:0]], [np.zeros(0, np.int64)]
    for index, width in length_buckets(contexts.length_C):
        history_CT = _tensor(contexts.history_CT[index, :width], item_VD)
        state_CSD = scorer.states(history_CT, item_VD)
        length_C = _tensor(contexts.length_C[index], item_VD)
        states.append(state_CSD[torch.arange(len(index), device=item_VD.device), length_C])
        order.append(index)
    place = np.empty(len(contexts.length_C), np.int64)
    place[np.concatenate(order)] = np.arange(len(place))
    return torch.cat(states)[_tensor(place, item_VD)]


@dataclass(frozen=True, slots=True)
class Taught:
    """States, what leans them (None where nothing says who asks), and the rows that were right."""

    state_ND: Tensor
    lean_ND: Tensor | None
    target_N: Tensor

    def followed_by(self, other: "Taught") -> "Taught":
        """These, then the others; both lean or neither does."""
        lean_ND = None
        if self.lean_ND is not None and other.lean_ND is not None:
            lean_ND = torch.cat([self.lean_ND, other.lean_ND])
        return Taught(
            torch.cat([self.state_ND, other.state_ND]),
            lean_ND,
            torch.cat([self.target_N, other.target_N]),
        )


def states_of_lessons(scorer: Scorer, lessons: Lessons, item_VD: Tensor) -> Taught:
    """The state that was asked, for each lesson; what was scored is what is learned."""
    lessons = compacted(lessons)
    of_M = _tensor(lessons.context_of_M, item_VD)
    lean_CD = scorer.askers.leans(lessons.contexts) if scorer.askers else None
    return Taught(
        last_states(scorer, lessons.contexts, item_VD)[of_M],
        None if lean_CD is None else lean_CD[of_M],
        _tensor(lessons.target_M, item_VD),
    )


def states_before_items(scorer: Scorer, sequences: Contexts, item_VD: Tensor) -> Taught:
    """The state before each item of each sequence; who asks is known as of the last one."""
    states, leans = [scorer.start_D[None, :][:0]], [scorer.start_D[None, :][:0]]
    targets = [_tensor(sequences.length_C[:0], item_VD)]
    for index, width in length_buckets(sequences.length_C):
        sequence_CW = _tensor(sequences.history_CT[index, :width], item_VD)
        is_item_CW = sequence_CW >= 0
        states.append(scorer.states(sequence_CW[:, :-1], item_VD)[is_item_CW])
        targets.append(sequence_CW[is_item_CW])
        if scorer.askers:
            leans.append(scorer.askers.leans_before_items(chosen(sequences, index)))
    lean_ND = torch.cat(leans) if scorer.askers else None
    return Taught(torch.cat(states), lean_ND, torch.cat(targets))


def length_buckets(length_C: Int32s) -> Iterator[tuple[NDArray[np.int64], int]]:
    """Sequences of similar length, with the length to pad them to."""
    longest = int(length_C.max(initial=0))
    shorter = -1
    for end in (*(end for end in _BUCKET_ENDS if end < longest), longest):
        found = np.flatnonzero((length_C > shorter) & (length_C <= end))
        if len(found):
            yield found, end
        shorter = end


def _tensor(array: NDArray[np.integer], beside: Tensor) -> Tensor:
    return torch.from_numpy(array.astype(np.int64)).to(beside.device)
