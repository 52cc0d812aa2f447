"""Recommends what the most similar recent sessions clicked (VS-kNN).

# B queries, P distinct pairs of context and session length, H clicks of the current sessions that
# recent sessions share, G pairs of a current and a recent session, E their entries, K list length

Vector multiplication session-based kNN [1]_, kept while the stream runs: no training, fresh at
once. Of the most recent sessions that share an item with the current one, the most similar vote
for their items. Beside the paper's weights a vote fades with its distance, within the recent
session, from the click that both share: an item clicked right after it says more than one clicked
ten items on.

References
----------
.. [1] Ludewig, Jannach. Evaluation of session-based recommendation algorithms. User Modeling and
   User-Adapted Interaction 28, 2018.
"""

from dataclasses import dataclass, replace

import numpy as np
from pydantic import BaseModel, ConfigDict, PositiveInt

from learners.candidate_scores import contexts_at_once, seen_rows, summed_votes
from learners.choosing import log_votes, with_choice
from learners.distinct_queries import distinct_queries
from learners.ranked import Ranked, end_to_end, ranked
from learners.recent_clicks import RecentClicks, recent_clicks
from learners.session_table import SessionTable
from stream.values import (
    Bools,
    Changes,
    Float64s,
    Int32s,
    Int64s,
    Outcomes,
    Predictions,
    Queries,
    State,
)

# Clicks of the current session that are compared: the weight of the next one would be 0.
_QUERY_ITEMS = 10
# Votes fade with distance d as (1 + d) ** -power. Items that came before the shared click say a
# little less about what follows it.
_POWER_AFTER = 0.75
_POWER_BEFORE = 1.0


class SessionNeighboursConfig(BaseModel):
    """Settings of `SessionNeighbours`.

    Attributes
    ----------
    max_sessions : int
        Recent sessions held.
    session_items : int
        Clicks held of a session; a longer one goes on as another.
    sample_sessions : int
        Most recent sessions sharing an item that are compared.
    neighbours : int
        Most similar of those that vote.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_sessions: PositiveInt = 100_000
    session_items: PositiveInt = 20
    sample_sessions: PositiveInt = 1000
    neighbours: PositiveInt = 200


class SessionNeighbours:
    """VS-kNN over a ring of recent sessions.

    A query without a click in its session is answered with an empty list. Memory: about
    12 * session_items + 120 bytes a session held, and 4 bytes a row.

    Parameters
    ----------
    config : SessionNeighboursConfig
        How much is held and how much is compared.
    """

    def __init__(self, config: SessionNeighboursConfig) -> None:
        self._config = config
        self._table = SessionTable(config.max_sessions, config.session_items)

    def predict(self, queries: Queries) -> Predictions:
        predictions = Predictions(self.rank(queries, queries.k).row_BN)
        return with_choice(predictions, queries, lambda lists, n: log_votes(self.rank(lists, n)))

    def rank(self, queries: Queries, n: int) -> Ranked:
        """The best n rows for each query, and what they collected."""
        distinct, place_of_B = distinct_queries(queries)
        context_P = distinct.context_of_B.astype(np.int64)
        length_P = distinct.session_length_B.astype(np.int64)
        n_at_once = contexts_at_once(queries.n_items)
        parts = [
            self._ranked(
                queries,
                context_P[start : start + n_at_once],
                length_P[start : start + n_at_once],
                n,
            )
            for start in range(0, len(context_P), n_at_once)
        ]
        return end_to_end(parts, n).taken(place_of_B)

    def _ranked(self, queries: Queries, context_P: Int64s, length_P: Int64s, n: int) -> Ranked:
        length_P = np.minimum(length_P, _QUERY_ITEMS)
        current = _distinct(recent_clicks(queries.contexts, context_P, length_P))
        nearest = self._nearest(self._similar_sessions(current))
        entry_E, row_E = self._table.items(nearest.seq_G)
        weight_G = nearest.similarity_G * _recency(nearest.age_G) * _freshness(nearest.n_newer_G)
        shared_G = _row_of_age(current, nearest)
        weight_E = weight_G[entry_E] * _closeness(
            entry_E, row_E, shared_G, self._config.session_items
        )
        candidates = summed_votes(
            nearest.asked_G[entry_E],
            row_E,
            weight_E,
            queries.n_items,
            seen_rows(queries.contexts.seen, context_P),
        )
        weighted = replace(candidates, score_U=candidates.score_U * self._rarity(candidates.row_U))
        return ranked(weighted, len(context_P), queries.tie_hash_V, n)

    def _similar_sessions(self, current: RecentClicks) -> "_Pairs":
        """Of all sessions that share an item with a current one, the most recent."""
        n_sample, n_held = self._config.sample_sessions, self._config.max_sessions
        oldest_seq = self._table.oldest_seq
        click_H, seq_H = self._table.newest_holders(current.row_H, n_sample)
        # One sorted number holds all three: who asked, which session, how old the click it shares.
        pair_H = current.asked_H[click_H] * n_held + (seq_H - oldest_seq)
        pair_H, age_H = np.divmod(
            np.sort(pair_H * _QUERY_ITEMS + current.age_H[click_H]), _QUERY_ITEMS
        )
        start_G = np.flatnonzero(np.diff(pair_H, prepend=-1))
        asked_G, offset_G = np.divmod(pair_H[start_G], n_held)
        n_newer_G = np.searchsorted(asked_G, asked_G, side="right") - 1 - np.arange(len(asked_G))
        similarity_G = np.add.reduceat(_recency(age_H), start_G) if len(start_G) else np.zeros(0)
        pairs = _Pairs(asked_G, offset_G + oldest_seq, n_newer_G, age_H[start_G], similarity_G)
        return pairs.taken(n_newer_G < n_sample)

    def _nearest(self, pairs: "_Pairs") -> "_Pairs":
        """The most similar sessions; of equally similar ones the most recent."""
        order_G = np.lexsort((-pairs.seq_G, -pairs.similarity_G, pairs.asked_G))
        asked_G = pairs.asked_G[order_G]
        place_G = np.arange(len(asked_G)) - np.searchsorted(asked_G, asked_G)
        return pairs.taken(order_G[place_G < self._config.neighbours])

    def _rarity(self, row_U: Int32s) -> Float64s:
        """Inverse document frequency: a session that holds a rare item says more with it."""
        n_held = min(self._table.n_started, self._config.max_sessions)
        return np.log1p(n_held / self._table.holders_V[row_U])

    def learn(self, outcomes: Outcomes) -> None:
        self._table.append(outcomes.lessons)

    def follow(self, changes: Changes) -> None:
        self._table.grow(changes.n_items)
        if len(changes.recycled_R):
            self._table.drop_rows(changes.recycled_R)
        if len(changes.forgotten_F):
            self._table.drop_users(changes.forgotten_F)

    def state_dict(self) -> State:
        return {"schema_version": 1, "sessions": self._table.state_dict()}

    def load_state_dict(self, state: State) -> None:
        self._table.load_state_dict(state["sessions"])


@dataclass(frozen=True, slots=True)
class _Pairs:
    """A current session (who asked) with a recent one, ordered by who asked.

    `n_newer_G` counts the sampled sessions that are newer; `age_G` is the age, in the current
    session, of the newest click that both share.
    """

    asked_G: Int64s
    seq_G: Int64s
    n_newer_G: Int64s
    age_G: Int64s
    similarity_G: Float64s

    def taken(self, which: Int64s | Bools) -> "_Pairs":
        return _Pairs(
            self.asked_G[which],
            self.seq_G[which],
            self.n_newer_G[which],
            self.age_G[which],
            self.similarity_G[which],
        )


def _distinct(current: RecentClicks) -> RecentClicks:
    """Only the newest click of each item."""
    click_H = (current.asked_H << 32) | current.row_H
    first_H = np.sort(np.unique(click_H, return_index=True)[1])
    return RecentClicks(current.asked_H[first_H], current.age_H[first_H], current.row_H[first_H])


def _recency(age_N: Int64s) -> Float64s:
    """Weight of a click by its age in the current session: 1 for the newest, then falling to 0."""
    weight_N: Float64s = np.square(1.0 - age_N / _QUERY_ITEMS)
    return weight_N


def _freshness(n_newer_G: Int64s) -> Float64s:
    """Weight of a session by how many that share an item came after it."""
    weight_G: Float64s = np.power(10.0 + n_newer_G, -0.3)
    return weight_G


def _row_of_age(current: RecentClicks, pairs: _Pairs) -> Int32s:
    """The newest item that both sessions of each pair hold."""
    place_H = current.asked_H * _QUERY_ITEMS + current.age_H
    return current.row_H[np.searchsorted(place_H, pairs.asked_G * _QUERY_ITEMS + pairs.age_G)]


def _closeness(entry_E: Int64s, row_E: Int32s, shared_G: Int32s, session_items: int) -> Float64s:
    """Weight of each entry by its distance from the entry that both sessions hold."""
    place_E = np.arange(len(entry_E))
    shared_at_G = np.zeros(len(shared_G), np.int64)
    is_shared_E = row_E == shared_G[entry_E]
    shared_at_G[entry_E[is_shared_E]] = place_E[is_shared_E]
    # A power for each distance there can be, not for each entry.
    distance_D = np.arange(1 - session_items, session_items)
    power_D = np.where(distance_D >= 0, _POWER_AFTER, _POWER_BEFORE)
    weight_D = (1.0 + np.abs(distance_D)) ** -power_D
    weight_E: Float64s = weight_D[place_E - shared_at_G[entry_E] + session_items - 1]
    return weight_E
