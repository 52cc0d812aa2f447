"""Item-to-item neighbours from co-clicks, kept while the stream runs.

# C contexts, T history length, V rows, N neighbours of a row, M lessons, P pairs, A rows to fill,
# K list length, R recycled rows, H history entries

A click makes its item a neighbour of what the user clicked shortly before, and the other way
round. Each row keeps its strongest neighbours in a table of fixed width; a newcomer takes the
place of the weakest, as in the Space-Saving sketch [1]_.

References
----------
.. [1] Metwally, Agrawal, El Abbadi. Efficient computation of frequent and top-k elements in data
   streams. ICDT 2005.
"""

import numpy as np
from pydantic import BaseModel, ConfigDict, NonNegativeFloat, PositiveInt

from learners.candidate_scores import contexts_at_once, context_slice, summed_votes
from learners.top_items import top_items_of_candidates
from stream.protocols import (
    Changes,
    Contexts,
    Float64s,
    Int32s,
    Int64s,
    Lessons,
    Outcomes,
    Predictions,
    Queries,
    State,
)

_ROW_BITS = 32


class ItemNeighboursConfig(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    neighbours: PositiveInt = 100
    window_items: PositiveInt = 20
    context_items: PositiveInt = 20
    shrinkage_clicks: NonNegativeFloat = 10.0


class ItemNeighbours:
    back = 1.0
    inherit = True
    self_ = True
    pw = .5
    qw = .5

    def __init__(self, config: ItemNeighboursConfig) -> None:
        self._config = config
        self._n_clicks_V = np.zeros(0, np.int64)
        # An entry of weight 0 is empty.
        self._neighbour_VN = np.zeros((0, config.neighbours), np.int32)
        self._weight_VN = np.zeros((0, config.neighbours), np.float32)

    def predict(self, queries: Queries) -> Predictions:
        n_contexts = len(queries.contexts.length_C)
        top_items_CK = np.full((n_contexts, queries.k), -1, np.int32)
        n_at_once = contexts_at_once(queries.n_items)
        for start in range(0, n_contexts, n_at_once):
            part = slice(start, start + n_at_once)
            top_items_CK[part] = self._top_items(context_slice(queries.contexts, part), queries)
        return Predictions(top_items_CK[queries.context_of_B])

    def _top_items(self, contexts: Contexts, queries: Queries) -> Int32s:
        context_H, row_H, weight_H = _recent(contexts, np.arange(len(contexts.length_C)), self._config.context_items, self.qw)
        is_known_H = row_H < len(self._n_clicks_V)
        context_H, row_H, weight_H = context_H[is_known_H], row_H[is_known_H], weight_H[is_known_H]
        weight_H = weight_H * self._rarity(row_H)
        vote_HN = self._weight_VN[row_H] * weight_H[:, None]
        is_vote_HN = vote_HN > 0
        candidates = summed_votes(
            np.repeat(context_H, is_vote_HN.sum(axis=1)), self._neighbour_VN[row_H][is_vote_HN], vote_HN[is_vote_HN], queries.n_items, contexts.seen
        )
        return top_items_of_candidates(
            candidates.context_U, candidates.row_U, candidates.score_U * self._rarity(candidates.row_U),
            len(contexts.length_C), queries.tie_hash_V, queries.k
        )

    def _rarity(self, row_N: Int32s) -> Float64s:
        return 1.0 / np.sqrt(self._n_clicks_V[row_N] + self._config.shrinkage_clicks)

    def learn(self, outcomes: Outcomes) -> None:
        lessons = outcomes.lessons
        if not len(lessons):
            return
        self._grow(int(max(lessons.target_M.max(), lessons.contexts.history_CT.max(initial=-1))) + 1)
        np.add.at(self._n_clicks_V, lessons.target_M, 1)
        lesson_H, row_H, weight_H = _recent(lessons.contexts, lessons.context_of_M, self._config.window_items, self.pw)
        target_H = lessons.target_M[lesson_H]
        other = row_H != target_H
        if not self.self_: row_H, target_H, weight_H = row_H[other], target_H[other], weight_H[other]; other=slice(None)
        key = np.concatenate((row_H.astype(np.int64) << 32 | target_H, (target_H.astype(np.int64) << 32 | row_H)[other]))
        w = np.concatenate((weight_H, self.back*weight_H[other]))
        key_P, inv = np.unique(key, return_inverse=True)
        w_P = np.bincount(inv, w, minlength=len(key_P)).astype(np.float32)
        row_P, nb_P = key_P >> 32, (key_P & (2**32 - 1)).astype(np.int32)
        match = (self._neighbour_VN[row_P] == nb_P[:, None]) & (self._weight_VN[row_P] > 0)
        has = match.any(1)
        self._weight_VN[row_P[has], match[has].argmax(1)] += w_P[has]
        row_P, nb_P, w_P = row_P[~has], nb_P[~has], w_P[~has]
        o = np.lexsort((nb_P, -w_P, row_P)); row_P, nb_P, w_P = row_P[o], nb_P[o], w_P[o]
        rank = np.arange(len(row_P)) - np.searchsorted(row_P, row_P)
        ok = rank < self._config.neighbours
        row_P, nb_P, w_P, rank = row_P[ok], nb_P[ok], w_P[ok], rank[ok]
        u, ui = np.unique(row_P, return_inverse=True)
        slot = np.argsort(self._weight_VN[u], axis=1, kind='stable')[ui, rank]
        self._neighbour_VN[row_P, slot] = nb_P
        self._weight_VN[row_P, slot] = (self._weight_VN[row_P, slot] if self.inherit else 0) + w_P

    def _grow(self, n):
        old=len(self._n_clicks_V)
        if n>old:
            n=max(n,2*old)
            for name in ('_n_clicks_V','_neighbour_VN','_weight_VN'):
                a=getattr(self,name); b=np.zeros((n,)+a.shape[1:],a.dtype); b[:old]=a; setattr(self,name,b)

def _recent(contexts, context_of_N, n_items, pw):
    step_T = np.arange(n_items)
    length_N = contexts.length_C[context_of_N]
    col = length_N[:, None] - 1 - step_T
    n_N, step_N = np.nonzero(col >= 0)
    row = contexts.history_CT[context_of_N[n_N], col[n_N, step_N]]
    return n_N, row, 1.0 / (1 + step_N) ** pw
