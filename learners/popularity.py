"""Recommends what was clicked most of late: the baseline that every model must beat.

# V rows, L candidates, C contexts, K list length, M lessons
"""

import numpy as np
from pydantic import BaseModel, ConfigDict, PositiveInt

from learners.choosing import with_choice
from learners.top_items import top_items_of_scores
from stream.values import (
    Bools,
    Changes,
    Float64s,
    Int32s,
    Outcomes,
    Predictions,
    Queries,
    Ragged,
    State,
)

# Weights are kept relative to a base click and grow by one bit each half-life: they are brought
# down long before float64 ends, at 2**1024.
_MAX_HALF_LIVES = 500


class PopularityConfig(BaseModel):
    """Settings of `Popularity`.

    Attributes
    ----------
    half_life_clicks : int
        Clicks after which a click counts half.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    half_life_clicks: PositiveInt = 20_000


class Popularity:
    """Ranks items by clicks that fade exponentially, one step for every click learned.

    Items that nobody clicked fill the list in tie order. Memory: 8 bytes a row.

    Parameters
    ----------
    config : PopularityConfig
        How fast clicks fade.
    """

    def __init__(self, config: PopularityConfig) -> None:
        self._half_life_clicks = config.half_life_clicks
        self._weight_V = np.zeros(0)
        self._n_clicks = 0
        self._base_clicks = 0

    def predict(self, queries: Queries) -> Predictions:
        return with_choice(Predictions(self._listed(queries, queries.k)), queries, self._best)

    def _best(self, queries: Queries, n: int) -> tuple[Int32s, Float64s]:
        """The best n rows of each query, and the logarithms of their weights."""
        row_BN = self._listed(queries, n)
        weight_V = np.append(self._known_weights(queries.n_items), 0.0)  # read by row -1
        with np.errstate(divide="ignore"):  # what nobody clicked has no chance: log 0
            score_BN = np.log(weight_V[row_BN])
        return row_BN, score_BN

    def _listed(self, queries: Queries, n: int) -> Int32s:
        seen = queries.contexts.seen
        n_most_seen = 0 if seen is None else int(np.diff(seen.starts).max(initial=0))
        top_items_L = self._top_items(queries, n + n_most_seen)
        n_contexts = len(queries.contexts.length_C)
        is_open_CL = np.broadcast_to(top_items_L >= 0, (n_contexts, len(top_items_L)))
        if seen is not None:
            is_open_CL = is_open_CL & _is_unseen(top_items_L, seen, queries.n_items)
        place_CL = np.cumsum(is_open_CL, axis=1) - 1
        context_N, candidate_N = np.nonzero(is_open_CL & (place_CL < n))
        top_items_CK = np.full((n_contexts, n), -1, np.int32)
        top_items_CK[context_N, place_CL[context_N, candidate_N]] = top_items_L[candidate_N]
        top_items_BK: Int32s = top_items_CK[queries.context_of_B]
        return top_items_BK

    def _top_items(self, queries: Queries, n_listed: int) -> Int32s:
        """One list for everyone, long enough to fill k places whatever a user has seen."""
        weight_V = self._known_weights(queries.n_items)
        n_listed = min(n_listed, max(1, queries.n_items))
        top_items_L: Int32s = top_items_of_scores(weight_V[None], queries.tie_hash_V, n_listed)[0]
        return top_items_L

    def _known_weights(self, n_items: int) -> Float64s:
        weight_V = np.zeros(n_items)
        known_V = self._weight_V[:n_items]
        weight_V[: len(known_V)] = known_V
        return weight_V

    def learn(self, outcomes: Outcomes) -> None:
        target_M = outcomes.lessons.target_M
        if not len(target_M):
            return
        self._grow(int(target_M.max()) + 1)
        self._n_clicks += len(target_M)
        half_lives = (self._n_clicks - self._base_clicks) / self._half_life_clicks
        if half_lives > _MAX_HALF_LIVES:
            # Whole half-lives move exponents only: weights that were equal stay equal.
            self._weight_V = np.ldexp(self._weight_V, -int(half_lives))
            self._base_clicks += int(half_lives) * self._half_life_clicks
            half_lives -= int(half_lives)
        age_M = np.arange(len(target_M) - 1, -1, -1)
        np.add.at(self._weight_V, target_M, np.exp2(half_lives - age_M / self._half_life_clicks))

    def follow(self, changes: Changes) -> None:
        self._grow(changes.n_items)
        recycled_R = changes.recycled_R
        self._weight_V[recycled_R[recycled_R < len(self._weight_V)]] = 0.0

    def _grow(self, n_items: int) -> None:
        n_now = len(self._weight_V)
        if n_items > n_now:
            n_new = max(n_items, 2 * n_now) - n_now
            self._weight_V = np.concatenate((self._weight_V, np.zeros(n_new)))

    def state_dict(self) -> State:
        return {
            "schema_version": 1,
            "weight": self._weight_V,
            "n_clicks": self._n_clicks,
            "base_clicks": self._base_clicks,
        }

    def load_state_dict(self, state: State) -> None:
        self._weight_V = state["weight"].copy()
        self._n_clicks = state["n_clicks"]
        self._base_clicks = state["base_clicks"]


def _is_unseen(top_items_L: Int32s, seen: Ragged, n_items: int) -> Bools:
    """Whether each context may still be shown each item of the list, shape (C, L)."""
    place_V = np.full(n_items, -1)
    place_V[top_items_L[top_items_L >= 0]] = np.flatnonzero(top_items_L >= 0)
    context_N = np.repeat(np.arange(len(seen.starts) - 1), np.diff(seen.starts))
    row_N = seen.values[seen.starts[0] : seen.starts[-1]]
    context_N, row_N = context_N[row_N < n_items], row_N[row_N < n_items]
    context_N, row_N = context_N[place_V[row_N] >= 0], row_N[place_V[row_N] >= 0]
    is_unseen_CL = np.ones((len(seen.starts) - 1, len(top_items_L)), bool)
    is_unseen_CL[context_N, place_V[row_N]] = False
    return is_unseen_CL
