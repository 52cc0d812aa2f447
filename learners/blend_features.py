"""What the blend knows of each candidate: what every part says of it, and how sure that part is.

# P queries, N places, U candidates, F features, T history length

Features are of about the same size, so that a network can start on them at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from learners.ranked import Ranked
from stream.values import Bools, Contexts, Float64s, Int32s, Int64s

_N_OF_TRANSFORMER = 5
_N_OF_NEIGHBOURS = 7
_N_OF_HISTORY = 3
# Shares below these count as none.
_LEAST_SHARE = 1e-4
_LEAST_OF_BEST = 1e-2
_LEAST_VOTES = 1e-2


def n_features(n_neighbours: int) -> int:
    """F, with so many parts beside the transformer."""
    return _N_OF_TRANSFORMER + n_neighbours * _N_OF_NEIGHBOURS + _N_OF_HISTORY


@dataclass(frozen=True, slots=True)
class Union:
    """The rows that any part ranks for a query: ordered by query, then by row.

    `place_of` says, for each part, where each of its ranked rows is among them, its rows end to
    end without the empty places.
    """

    query_U: Int64s
    row_U: Int64s
    place_of: tuple[Int64s, ...]
    n_items: int

    def find(self, query_N: Int64s, row_N: Int32s) -> tuple[Int64s, Bools]:
        """Where these rows are for these queries, and whether they are there at all."""
        if not len(self.row_U):
            return np.zeros(len(row_N), np.int64), np.zeros(len(row_N), np.bool_)
        key_U = self.query_U * self.n_items + self.row_U
        key_N = query_N * self.n_items + row_N
        place_N = np.minimum(np.searchsorted(key_U, key_N), len(key_U) - 1)
        # A row beyond the catalogue would be taken for one of the next query.
        return place_N, (key_U[place_N] == key_N) & (row_N < self.n_items)


def union(parts: Sequence[Int32s], n_items: int) -> Union:
    """Join the lists of several parts.

    Examples
    --------
    >>> joined = union([np.array([[4, 2]], np.int32), np.array([[2, -1]], np.int32)], n_items=9)
    >>> joined.row_U
    array([2, 4])
    >>> joined.place_of
    (array([1, 0]), array([0]))
    """
    keys = []
    for row_PN in parts:
        query_P = np.arange(len(row_PN), dtype=np.int64)[:, None]
        keys.append((query_P * n_items + row_PN)[row_PN >= 0])
    key_U, place = np.unique(np.concatenate(keys), return_inverse=True)
    query_U, row_U = np.divmod(key_U, max(n_items, 1))
    bounds = np.cumsum([len(key) for key in keys])[:-1]
    return Union(query_U, row_U, tuple(np.split(place, bounds)), n_items)


def features(
    joined: Union,
    scored_U: Float64s,
    scored: Ranked,
    neighbours: Sequence[Ranked],
    contexts: Contexts,
) -> NDArray[np.float32]:
    """The features of each candidate.

    Parameters
    ----------
    joined : Union
        The candidates: of `scored` first, then of each of the neighbours.
    scored_U : float64 array, shape (U,)
        What the transformer gives each of them.
    scored : Ranked
        What it ranks best; its total is the log of the sum of exponentials.
    neighbours : sequence of Ranked
        What the other parts rank best.
    contexts : Contexts
        The history of each of the P queries.

    Returns
    -------
    float32 array, shape (U, F)
    """
    first, *others = joined.place_of
    columns = _of_transformer(joined, scored_U, scored, first)
    columns.append(np.log1p(contexts.length_C)[joined.query_U] / 2)
    for ranked, place in zip(neighbours, others, strict=True):
        columns += _of_neighbours(joined, ranked, place)
    columns += _of_history(joined, contexts)
    return np.stack(columns, axis=1).astype(np.float32)


def _of_transformer(
    joined: Union, scored_U: Float64s, scored: Ranked, place: Int64s
) -> list[Float64s]:
    total_U = scored.total_B[joined.query_U]
    log_share_U = scored_U - total_U
    best_U = scored.score_BN[joined.query_U, 0] - total_U
    return [
        log_share_U / 4 + 1.5,
        (log_share_U - best_U) / 4,
        best_U / 3 + 1,
        _log_place(joined, scored, place),
    ]


def _of_neighbours(joined: Union, ranked: Ranked, place: Int64s) -> list[Float64s]:
    vote_U = np.zeros(len(joined.row_U))
    vote_U[place] = ranked.score_BN[ranked.row_BN >= 0]
    total_U, best_U = ranked.total_B[joined.query_U], ranked.score_BN[joined.query_U, 0]
    share_U = vote_U / np.where(total_U > 0, total_U, 1.0)
    of_best_U = vote_U / np.where(best_U > 0, best_U, 1.0)
    return [
        np.log(share_U + _LEAST_SHARE) / 4 + 1,
        of_best_U,
        np.log(of_best_U + _LEAST_OF_BEST) / 4,
        (vote_U > 0).astype(np.float64),
        _log_place(joined, ranked, place),
        np.log1p(ranked.count_B)[joined.query_U] / 6,
        np.log(total_U + _LEAST_VOTES) / 4,
    ]


def _log_place(joined: Union, ranked: Ranked, place: Int64s) -> Float64s:
    """How far down a candidate stands; behind all others if it has no place."""
    n_places = ranked.row_BN.shape[1]
    place_U = np.full(len(joined.row_U), n_places)
    place_U[place] = np.nonzero(ranked.row_BN >= 0)[1]
    log_place_U: Float64s = np.log1p(place_U) / 4
    return log_place_U


def _of_history(joined: Union, contexts: Contexts) -> list[Float64s]:
    """How often a candidate was clicked before, and whether just now."""
    n_queries, n_steps = contexts.history_CT.shape
    query_H, step_H = np.nonzero(contexts.history_CT >= 0)
    place_H, is_found_H = joined.find(query_H, contexts.history_CT[query_H, step_H])
    count_U = np.bincount(place_H[is_found_H], minlength=len(joined.row_U))
    last_P = np.full(n_queries, -1)
    if n_steps:
        at_P = np.maximum(contexts.length_C - 1, 0)
        last_P = contexts.history_CT[np.arange(n_queries), at_P]
    return [
        np.minimum(count_U, 3.0) / 2,
        (last_P[joined.query_U] == joined.row_U).astype(np.float64),
        (count_U > 0).astype(np.float64),
    ]
