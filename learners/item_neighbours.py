"""Recommends the neighbours of what a user clicked last (item-kNN).

# C contexts, H their recent clicks, V rows, N neighbours of a row, M lessons, K list length

Item-based collaborative filtering [1]_, kept while the stream runs: a click makes its item a
neighbour of what the user clicked shortly before, and the other way round. An item is its own
neighbour where users come back to it.

References
----------
.. [1] Sarwar, Karypis, Konstan, Riedl. Item-based collaborative filtering recommendation
   algorithms. WWW 2001.
"""

from dataclasses import replace

import numpy as np
from pydantic import BaseModel, ConfigDict, NonNegativeFloat, PositiveInt

from learners.candidate_scores import contexts_at_once, seen_rows, summed_votes
from learners.choosing import log_votes, with_choice
from learners.neighbour_table import NeighbourTable
from learners.ranked import Ranked, end_to_end, ranked
from learners.recent_clicks import recent_clicks
from stream.values import Changes, Float64s, Int32s, Int64s, Outcomes, Predictions, Queries, State

# What follows a click is a better neighbour of it than what came before.
_BACKWARD_WEIGHT = 0.5


class ItemNeighboursConfig(BaseModel):
    """Settings of `ItemNeighbours`.

    Attributes
    ----------
    neighbours : int
        Neighbours kept for each item.
    window_items : int
        Clicks before a click that become its neighbours.
    context_items : int
        Last clicks whose neighbours are recommended.
    shrinkage_clicks : float
        Clicks added to every item's count, so that a chance meeting of two rare items does not
        outweigh everything.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    neighbours: PositiveInt = 200
    window_items: PositiveInt = 15
    context_items: PositiveInt = 15
    shrinkage_clicks: NonNegativeFloat = 5.0


class ItemNeighbours:
    """Streaming item-kNN: weighted co-clicks over the geometric mean of both items' clicks.

    Counts belong to no user: a forgotten user's clicks stay in them. Memory:
    8 * neighbours + 24 bytes a row.

    Parameters
    ----------
    config : ItemNeighboursConfig
        How much is held and how far back it looks.
    """

    def __init__(self, config: ItemNeighboursConfig) -> None:
        self._config = config
        self._n_clicks_V = np.zeros(0, np.int64)
        self._table = NeighbourTable(config.neighbours)

    def predict(self, queries: Queries) -> Predictions:
        predictions = Predictions(self.rank(queries, queries.k).row_BN)
        return with_choice(predictions, queries, lambda lists, n: log_votes(self.rank(lists, n)))

    def rank(self, queries: Queries, n: int) -> Ranked:
        """The best n rows for each query, and what they collected."""
        n_contexts = len(queries.contexts.length_C)
        n_at_once = contexts_at_once(queries.n_items)
        parts = [
            self._ranked(queries, np.arange(start, min(start + n_at_once, n_contexts)), n)
            for start in range(0, n_contexts, n_at_once)
        ]
        return end_to_end(parts, n).taken(queries.context_of_B)

    def _ranked(self, queries: Queries, context_P: Int64s, n: int) -> Ranked:
        length_P = np.full(len(context_P), self._config.context_items)
        recent = recent_clicks(queries.contexts, context_P, length_P)
        is_known_H = recent.row_H < len(self._n_clicks_V)
        row_H = recent.row_H[is_known_H]
        neighbour_HN, weight_HN = self._table.neighbours(row_H)
        weight_HN *= (_recency(recent.age_H[is_known_H]) * self._rarity(row_H))[:, None]
        click_N, place_N = np.nonzero(weight_HN)
        candidates = summed_votes(
            recent.asked_H[is_known_H][click_N],
            neighbour_HN[click_N, place_N],
            weight_HN[click_N, place_N],
            queries.n_items,
            seen_rows(queries.contexts.seen, context_P),
        )
        weighted = replace(candidates, score_U=candidates.score_U * self._rarity(candidates.row_U))
        return ranked(weighted, len(context_P), queries.tie_hash_V, n)

    def _rarity(self, row_N: Int32s) -> Float64s:
        # At least one click: a row whose lessons are yet to come may be asked for.
        n_clicks_N = np.maximum(self._n_clicks_V[row_N], 1)
        return 1.0 / np.sqrt(n_clicks_N + self._config.shrinkage_clicks)

    def learn(self, outcomes: Outcomes) -> None:
        lessons = outcomes.lessons
        if not len(lessons):
            return
        length_M = np.full(len(lessons), self._config.window_items)
        recent = recent_clicks(lessons.contexts, lessons.context_of_M, length_M)
        self._grow(int(max(lessons.target_M.max(), recent.row_H.max(initial=-1))) + 1)
        np.add.at(self._n_clicks_V, lessons.target_M, 1)
        target_H = lessons.target_M[recent.asked_H].astype(np.int64)
        row_H, weight_H = recent.row_H.astype(np.int64), _recency(recent.age_H)
        is_other_H = row_H != target_H  # an item that follows itself is one pair, not two
        self._table.add(
            np.concatenate((row_H, target_H[is_other_H])),
            np.concatenate((target_H, row_H[is_other_H])),
            np.concatenate((weight_H, _BACKWARD_WEIGHT * weight_H[is_other_H])),
        )

    def follow(self, changes: Changes) -> None:
        recycled_R = changes.recycled_R
        self._grow(max(changes.n_items, int(recycled_R.max(initial=-1)) + 1))
        if len(recycled_R):
            self._n_clicks_V[recycled_R] = 0
            self._table.drop_rows(recycled_R)

    def _grow(self, n_items: int) -> None:
        n_now = len(self._n_clicks_V)
        if n_items > n_now:
            n_new = max(n_items, 2 * n_now) - n_now
            self._n_clicks_V = np.concatenate((self._n_clicks_V, np.zeros(n_new, np.int64)))
            self._table.grow(n_items)

    def state_dict(self) -> State:
        return {
            "schema_version": 1,
            "n_clicks": self._n_clicks_V,
            "table": self._table.state_dict(),
        }

    def load_state_dict(self, state: State) -> None:
        self._table.load_state_dict(state["table"])
        self._n_clicks_V = state["n_clicks"].copy()


def _recency(age_H: Int64s) -> Float64s:
    """Weight of a click by how many came after it."""
    weight_H: Float64s = 1.0 / np.sqrt(1.0 + age_H)
    return weight_H
