"""How well a shown item matches the context it was shown in, in four figures.

# N lists, S their items, C contexts, T history length, D width, V items, F features

The cosine of the item and the state, which the ranking goes by, says how likely it is to come
next; the cosine with the mean of what was clicked so far says how well it suits the user, and more
so the longer the history is. Where inputs are declared, a fifth figure says what is known of who
asks.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from stream.context_rows import chosen
from stream.values import Shown, ShownLessons

N_FEATURES = 4
"""F: the cosine with the state, that with the mean of the history, how long the history is, and
the product of the last two."""

# Brings every feature to a spread of about one, for which the head's precisions are meant.
_COSINE_SCALE = 4.0
_LENGTH_SCALE = 0.5

_LISTS_A_PART = 256
_ITEMS_A_PART = 4096
_ITEMS_A_STEP = 32_768


def click_features(
    item_VD: Tensor, state_CD: Tensor, shown: Shown, lean_CD: Tensor | None = None
) -> Tensor:
    """Features of each shown item.

    Parameters
    ----------
    item_VD : float tensor
        The vectors of the items that the lists name.
    state_CD : float tensor
        The state at the end of each context of the lists, on the same device.
    shown : Shown
        The lists.
    lean_CD : float tensor, optional
        What who asks adds to what items are scored against.

    Returns
    -------
    float64 tensor, shape (S, F), or (S, F + 1) with a lean, on the CPU
        Cosines are 0 with an item that is not admitted, and with an empty history.
    """
    context_of_S = np.repeat(shown.context_of_N, np.diff(shown.starts)).astype(np.int64)
    device = state_CD.device
    item_SD = _unit_vectors(item_VD, torch.from_numpy(shown.item_S.astype(np.int64)).to(device))
    history_CT = torch.from_numpy(shown.contexts.history_CT.astype(np.int64)).to(device)
    mean_CD = functional.normalize(_unit_vectors(item_VD, history_CT).sum(dim=1), dim=-1)
    asked_S = torch.from_numpy(context_of_S).to(device)
    state_CD = functional.normalize(state_CD.float(), dim=-1)
    cosine_2S = torch.stack(
        [(view_CD[asked_S] * item_SD).sum(dim=-1) for view_CD in (state_CD, mean_CD)]
    )
    state_S, mean_S = _COSINE_SCALE * cosine_2S.cpu().double()  # the only device sync
    length_S = torch.from_numpy(np.log1p(shown.contexts.length_C)[context_of_S]).double()
    length_S *= _LENGTH_SCALE
    features = [state_S, mean_S, length_S, mean_S * length_S]
    if lean_CD is not None:
        features.append((lean_CD.float()[asked_S] * item_SD).sum(dim=-1).cpu().double())
    return torch.stack(features, dim=1)


def steps(taught: Sequence[ShownLessons]) -> Iterator[list[ShownLessons]]:
    """The lists in steps, a step in parts: bounded in memory, however many lists there are.

    A batch's lists are one step, unless they have tens of thousands of items; the contexts of a
    part are read at once.
    """
    step, n_items = list[ShownLessons](), 0
    for part in (part for lessons in taught for part in _parts_of_lessons(lessons)):
        step.append(part)
        n_items += len(part.is_clicked_S)
        if n_items >= _ITEMS_A_STEP:
            yield step
            step, n_items = [], 0
    if step:
        yield step


def parts(shown: Shown) -> Iterator[tuple[Shown, slice]]:
    """Lists in parts whose contexts are read at once, and which of the items each part holds."""
    first = 0
    while first < len(shown):
        full = int(np.searchsorted(shown.starts, shown.starts[first] + _ITEMS_A_PART, "right"))
        end = min(max(full - 1, first + 1), first + _LISTS_A_PART, len(shown))
        used_C, context_of_N = np.unique(shown.context_of_N[first:end], return_inverse=True)
        starts = shown.starts[first : end + 1]
        items = slice(int(starts[0]), int(starts[-1]))
        part = Shown(
            contexts=chosen(shown.contexts, used_C),
            context_of_N=context_of_N.astype(np.int32),
            starts=starts - starts[0],
            item_S=shown.item_S[items],
            position_S=shown.position_S[items],
        )
        yield part, items
        first = end


def _parts_of_lessons(lessons: ShownLessons) -> Iterator[ShownLessons]:
    for shown, items in parts(lessons.shown):
        yield replace(lessons, shown=shown, is_clicked_S=lessons.is_clicked_S[items])


def _unit_vectors(item_VD: Tensor, row: Tensor) -> Tensor:
    """The items' directions, zeros for row -1."""
    if not len(item_VD):
        return item_VD.new_zeros(*row.shape, item_VD.shape[1])
    unit = functional.normalize(functional.embedding(row.clamp(min=0), item_VD), dim=-1)
    return unit * (row >= 0)[..., None]
