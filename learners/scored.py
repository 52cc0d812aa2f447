"""What every item gets for each context, in parts where all of it at once would not fit.

# C contexts, V items, K list length, S items of the lists shown, U places asked for
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from learners.top_items import top_items_of_tensor
from stream.values import Float64s, Int32s, Int64s, Ragged

# Scores at once on a large catalogue: 256 MiB of float32, 67 contexts at a million items.
_MAX_CELLS = 1 << 26


class Scored:
    """The score of each item for each context, -inf where it must not be ranked.

    Exact, however large the catalogue is. Bounded memory costs time: parts are not kept, and each
    question computes them once more.

    Parameters
    ----------
    scores_of : callable
        The scores of a slice of the contexts, float32, shape (C, V); each call gives the same.
    n_contexts : int
        C.
    tie_hash_V : int64 tensor
        Orders equal scores, ascending.
    click_probability_S : float64 array or None
        How likely the lists shown are clicked.
    is_bounded : bool
        Whether no more than 256 MiB of scores may be in memory; else they are computed at once.
    conversion_probability_S : float64 array or None, optional
        How likely a click on each item of them converts; `told` holds both.
    """

    def __init__(
        self,
        scores_of: Callable[[slice], Tensor],
        n_contexts: int,
        tie_hash_V: Tensor,
        click_probability_S: Float64s | None,
        is_bounded: bool,
        conversion_probability_S: Float64s | None = None,
    ) -> None:
        self.told = click_probability_S, conversion_probability_S
        self._scores_of = scores_of
        self._n_contexts = n_contexts
        self._tie_hash_V = tie_hash_V
        self._at_once = max(_MAX_CELLS // max(len(tie_hash_V), 1), 1) if is_bounded else n_contexts
        self._kept_CV = scores_of(slice(n_contexts)) if n_contexts <= self._at_once else None

    def top_items(self, k: int) -> Int32s:
        """The best k rows for each context, best first; -1 where fewer can be ranked."""
        if not self._n_contexts * len(self._tie_hash_V):
            return np.full((self._n_contexts, k), -1, np.int32)
        with torch.inference_mode():
            top_CK = torch.cat(
                [top_items_of_tensor(part, self._tie_hash_V, k) for _, part in self._parts()]
            )
        top_items_CK: Int32s = top_CK.cpu().numpy()  # the only device sync, but for lists
        return top_items_CK

    def best(self, n: int) -> tuple[Int32s, Float64s]:
        """The best n rows for each context, and their scores; -1 and -inf where there are fewer."""
        row_CN = self.top_items(n)
        score_CN = np.full(row_CN.shape, -np.inf)
        context_U, place_U = np.nonzero(row_CN >= 0)
        score_CN[context_U, place_U] = self.of(context_U, row_CN[context_U, place_U])
        return row_CN, score_CN

    def of(self, context_U: Int64s, row_U: Int64s | Int32s) -> Float64s:
        """The scores of some items, each for its context."""
        score_U = np.zeros(len(context_U))
        device = self._tie_hash_V.device
        with torch.inference_mode():
            for first, part_CV in self._parts():
                asked = np.flatnonzero((context_U >= first) & (context_U < first + len(part_CV)))
                context = torch.from_numpy(context_U[asked] - first).to(device)
                row = torch.from_numpy(row_U[asked].astype(np.int64)).to(device)
                score_U[asked] = part_CV[context, row].double().cpu().numpy()
        return score_U

    def total(self) -> Float64s:
        """Log of the sum of the exponentials of each context's scores."""
        if not self._n_contexts * len(self._tie_hash_V):
            return np.zeros(self._n_contexts)
        with torch.inference_mode():
            total_C = torch.cat([torch.logsumexp(part, dim=1) for _, part in self._parts()])
            total: Float64s = total_C.double().cpu().numpy()
        return total

    def _parts(self) -> Iterator[tuple[int, Tensor]]:
        """Scores of some contexts, and the number of the first of them."""
        if self._kept_CV is not None:
            yield 0, self._kept_CV
            return
        for first in range(0, self._n_contexts, self._at_once):
            yield first, self._scores_of(slice(first, min(first + self._at_once, self._n_contexts)))


def exclude(score_CV: Tensor, seen: Ragged | None, part: slice) -> None:
    """Take seen items out of the ranking of a part of the contexts."""
    if seen is not None:
        starts = seen.starts[part.start or 0 : part.stop + 1]
        owner = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
        row = torch.from_numpy(seen.values[starts[0] : starts[-1]].astype(np.int64))
        score_CV[torch.from_numpy(owner).to(score_CV.device), row.to(score_CV.device)] = -torch.inf
