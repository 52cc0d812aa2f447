"""The states that a scorer reaches: where contexts end, and before each item of sequences.

# C contexts, T history length, M lessons, Q sequences, W their width, N states, D width
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from learners.reading import Reading, reading
from learners.scorer import Scorer
from stream.context_rows import end_to_end
from stream.values import Contexts, Int32s, Lessons

# What one more call costs, forwards and backwards: on a CPU measured at the default width. On CUDA
# a call is hundreds of launches, while positions run side by side.
_CALL_POSITIONS = {"cpu": 128, "cuda": 16_384}


@dataclass(frozen=True, slots=True)
class TaughtStates:
    """States, what leans them (None where nothing says who asks), and the rows that were right."""

    state_ND: Tensor
    lean_ND: Tensor | None
    target_N: Tensor


def last_states(scorer: Scorer, contexts: Contexts, item_VD: Tensor) -> Tensor:
    """State at the end of each context, shape (C, D)."""
    return _states(scorer, reading_of_ends(contexts, item_VD.device), item_VD)


def taught_states(
    scorer: Scorer, lessons: Lessons, replayed: Contexts, item_VD: Tensor
) -> TaughtStates:
    """The state that was asked, for each lesson, then that before each item of each sequence.

    What was scored is what is learned. Who asks is known of a sequence as of its last item.
    """
    state_ND = _states(scorer, reading_to_learn(lessons, replayed, item_VD.device), item_VD)
    lean_ND = None
    if scorer.askers:
        lean_MD = scorer.askers.leans(lessons.contexts)[_tensor(lessons.context_of_M, item_VD)]
        lean_ND = torch.cat([lean_MD, scorer.askers.leans_before_items(replayed)])
    return TaughtStates(state_ND, lean_ND, _tensor(targets(lessons, replayed), item_VD))


def targets(lessons: Lessons, replayed: Contexts) -> Int32s:
    """The rows that were right, in the order of `taught_states`."""
    is_item_QW = replayed.history_CT >= 0
    return np.concatenate([lessons.target_M, replayed.history_CT[is_item_QW]])


def reading_of_ends(contexts: Contexts, device: torch.device) -> Reading:
    """How `last_states` reads."""
    ends = np.arange(len(contexts.length_C)), contexts.length_C.astype(np.int64)
    return reading(contexts.history_CT, contexts.length_C, ends, _CALL_POSITIONS[device.type])


def reading_to_learn(lessons: Lessons, replayed: Contexts, device: torch.device) -> Reading:
    """How `taught_states` reads: new and old in the same calls."""
    contexts, context_of_M = lessons.contexts, lessons.context_of_M
    sequence_N, step_N = np.nonzero(replayed.history_CT >= 0)
    asked = (
        np.concatenate([context_of_M, len(contexts.length_C) + sequence_N]),
        np.concatenate([contexts.length_C[context_of_M], step_N]),
    )
    # What the last item of a sequence leads to is nobody's question.
    length_Q = np.maximum(replayed.length_C - 1, 0)
    before_QW = replayed.history_CT[:, :-1]
    is_before_QW = np.arange(before_QW.shape[1]) < length_Q[:, None]
    before = Contexts(np.where(is_before_QW, before_QW, np.int32(-1)), length_Q)
    read = end_to_end([Contexts(contexts.history_CT, contexts.length_C), before])
    return reading(read.history_CT, read.length_C, asked, _CALL_POSITIONS[device.type])


def _states(scorer: Scorer, planned: Reading, item_VD: Tensor) -> Tensor:
    states = [scorer.start_D[None, :][:0]]
    for history_CT in planned.history_of:
        state_CSD = scorer.states(_tensor(history_CT, item_VD), item_VD)
        states.append(state_CSD.flatten(0, 1))
    return torch.cat(states).index_select(0, _tensor(planned.place_N, item_VD))


def _tensor(array: NDArray[np.integer], beside: Tensor) -> Tensor:
    return torch.from_numpy(array.astype(np.int64)).to(beside.device)
