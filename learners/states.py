"""The states that a scorer reaches: where contexts end, and before each item of sequences.

# C contexts, T history length, M lessons, Q sequences, W their width, N states, D width
"""

import numpy as np
import torch
from torch import Tensor

from learners.reading import Reading, reading
from learners.scorer import Scorer
from stream.values import Contexts, Int32s

# What one more call costs, forwards and backwards: on a CPU measured at the default width. On CUDA
# a call is hundreds of launches, while positions run side by side.
_CALL_POSITIONS = {"cpu": 128, "cuda": 16_384}


def last_states(scorer: Scorer, contexts: Contexts, item_VD: Tensor) -> Tensor:
    """State at the end of each context, shape (C, D)."""
    return _states(scorer, reading_of_ends(contexts, item_VD.device), item_VD)


def states_to_learn(
    scorer: Scorer, contexts: Contexts, context_of_M: Int32s, sequence_QW: Int32s, item_VD: Tensor
) -> Tensor:
    """The state at the end of the context of each lesson, then that before each replayed item.

    Shape (N, D); items are in order of `sequence_QW[sequence_QW >= 0]`.
    """
    planned = reading_to_learn(contexts, context_of_M, sequence_QW, item_VD.device)
    return _states(scorer, planned, item_VD)


def reading_of_ends(contexts: Contexts, device: torch.device) -> Reading:
    """How `last_states` reads."""
    ends = np.arange(len(contexts.length_C)), contexts.length_C.astype(np.int64)
    return reading(contexts.history_CT, contexts.length_C, ends, _CALL_POSITIONS[device.type])


def reading_to_learn(
    contexts: Contexts, context_of_M: Int32s, sequence_QW: Int32s, device: torch.device
) -> Reading:
    """How `states_to_learn` reads: new and old in the same calls."""
    sequence_N, step_N = np.nonzero(sequence_QW >= 0)
    asked = (
        np.concatenate([context_of_M, len(contexts.length_C) + sequence_N]),
        np.concatenate([contexts.length_C[context_of_M], step_N]),
    )
    histories = _and_sequences(contexts, sequence_QW)
    return reading(histories.history_CT, histories.length_C, asked, _CALL_POSITIONS[device.type])


def _states(scorer: Scorer, planned: Reading, item_VD: Tensor) -> Tensor:
    states = [scorer.start_D[None, :][:0]]
    for history_CT in planned.history_of:
        rows_CT = torch.from_numpy(history_CT.astype(np.int64)).to(item_VD.device)
        states.append(scorer.states(rows_CT, item_VD).flatten(0, 1))
    place_N = torch.from_numpy(planned.place_N).to(item_VD.device)
    return torch.cat(states).index_select(0, place_N)


def _and_sequences(contexts: Contexts, sequence_QW: Int32s) -> Contexts:
    """The contexts' histories, and behind them all but the last item of each sequence."""
    before_QW = sequence_QW[:, :-1]
    length_Q = np.maximum((sequence_QW >= 0).sum(axis=1, dtype=np.int32) - 1, 0)
    n_contexts, n_steps = contexts.history_CT.shape
    width = max(n_steps, before_QW.shape[1])
    history_HT = np.full((n_contexts + len(length_Q), width), -1, np.int32)
    history_HT[:n_contexts, :n_steps] = contexts.history_CT
    is_before_QW = np.arange(before_QW.shape[1]) < length_Q[:, None]
    history_HT[n_contexts:, : before_QW.shape[1]] = np.where(is_before_QW, before_QW, -1)
    return Contexts(history_HT, np.concatenate([contexts.length_C, length_Q]))
