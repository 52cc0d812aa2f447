"""Choosing among contexts, and putting them end to end.

# C contexts, T history length, X tokens and F numbers of who asks
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from stream.asker_values import Askers
from stream.sequences import without_rows
from stream.values import Bools, Contexts, Int64s


def chosen(contexts: Contexts, index_N: NDArray[np.integer]) -> Contexts:
    """Some contexts, in the order given; what was seen is left out."""
    return Contexts(
        contexts.history_CT[index_N],
        contexts.length_C[index_N],
        askers=chosen_askers(contexts.askers, index_N),
    )


def chosen_askers(askers: Askers | None, index_N: NDArray[np.integer]) -> Askers | None:
    """Some of those who ask, in the order given."""
    if askers is None:
        return None
    return Askers(askers.token_CX[index_N], askers.number_CF[index_N])


def end_to_end(parts: Sequence[Contexts]) -> Contexts:
    """All contexts one behind the other; what was seen is left out.

    Of contexts that do not say who asks, nobody knows.
    """
    n_steps = max((part.history_CT.shape[1] for part in parts), default=1)
    n_contexts = sum(len(part.length_C) for part in parts)
    history_CT = np.full((n_contexts, n_steps), -1, np.int32)
    start = 0
    for part in parts:
        part_CT = part.history_CT
        history_CT[start : start + len(part_CT), : part_CT.shape[1]] = part_CT
        start += len(part_CT)
    length_C = np.concatenate([np.zeros(0, np.int32), *(part.length_C for part in parts)])
    return Contexts(history_CT, length_C, askers=_askers_of(parts))


def without_gone(contexts: Contexts, is_gone_V: Bools) -> Contexts:
    """The contexts without the rows that are gone."""
    history_CT, length_C = without_rows(contexts.history_CT, contexts.length_C, is_gone_V)
    return replace(contexts, history_CT=history_CT, length_C=length_C)


def nobody(n_askers: int, n_tokens: int, n_numbers: int) -> Askers:
    """Askers of whom nothing is known."""
    return Askers(
        np.full((n_askers, n_tokens), -1, np.int32), np.zeros((n_askers, n_numbers), np.float32)
    )


def distinct(askers: Askers) -> Int64s:
    """A number for each of those who ask, the same for those who are alike in every column."""
    numbers_CF = askers.number_CF + np.float32(0)  # -0 is 0
    rows_C = np.concatenate([askers.token_CX, numbers_CF.view(np.int32)], axis=1)
    rows_C = np.ascontiguousarray(rows_C)
    key_C = rows_C.view(np.dtype((np.void, rows_C.dtype.itemsize * rows_C.shape[1])))[:, 0]
    _, number_C = np.unique(key_C, return_inverse=True)
    return number_C.astype(np.int64)


def _askers_of(parts: Sequence[Contexts]) -> Askers | None:
    known = [part.askers for part in parts if part.askers is not None]
    if not known:
        return None
    n_tokens, n_numbers = known[0].token_CX.shape[1], known[0].number_CF.shape[1]
    askers = [part.askers or nobody(len(part.length_C), n_tokens, n_numbers) for part in parts]
    return Askers(
        np.concatenate([one.token_CX for one in askers]),
        np.concatenate([one.number_CF for one in askers]),
    )
