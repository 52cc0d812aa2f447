"""Ranking figures: every one is a function of the clicked item's rank.

# B queries of a batch, K list length, R ranks (K + 1), F figures

The rank is 1 .. K, or 0 for an item that is not in the list. With one relevant item a query, every
figure at k is a fixed weight for each rank, so that counts of ranks are all that has to be kept:
integers, which neither drift nor depend on the order they were added in.
"""

import math
from typing import Annotated

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict

from stream.values import Float64s, Int32s, Int64s

# Windows keep a rank in one byte; nobody reads a longer list.
MAX_K = 200

COMPARED_FIGURES = ("recall", "mrr", "ndcg")
"""Told of every learner, with differences."""

DERIVED_FIGURES = ("precision", "f1", "map")
"""Told of the champion alone: with one relevant item, precision and F1 are recall times a constant
of k, and MAP is MRR."""


def _list_lengths(ks: tuple[int, ...]) -> tuple[int, ...]:
    if not ks:
        raise ValueError(
            "expected at least one list length, got none; write for example [1, 10, 20]"
        )
    if ks[0] < 1 or ks[-1] > MAX_K or list(ks) != sorted(set(ks)):
        raise ValueError(
            f"expected list lengths between 1 and {MAX_K}, each once, in ascending order, "
            f"got {list(ks)}; write for example [1, 10, 20]"
        )
    return ks


class RankingConfig(BaseModel):
    """What a ranking is judged by.

    Attributes
    ----------
    exclude_seen : bool
        Whether items that the user has clicked before are left out of the ranking; a click on
        one is then learned, but is no sample.
    ks : tuple of int
        Lengths of list at which each figure is taken: 1 .. 200, ascending, each once.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    exclude_seen: bool = False
    ks: Annotated[tuple[int, ...], AfterValidator(_list_lengths)] = (1, 10, 20)


def ranks_of(top_items_BK: Int32s, answer_B: Int32s) -> Int64s:
    """Rank of each answer in its list.

    Parameters
    ----------
    top_items_BK : int array, shape (B, K)
        Rows of the catalogue, best first; -1 where fewer than K could be ranked.
    answer_B : int array, shape (B,)
        The row clicked; -1 for an item that is not admitted.

    Returns
    -------
    int64 array, shape (B,)
        1 .. K, or 0 where the list does not hold the answer.

    Examples
    --------
    >>> ranks_of(np.array([[7, 4], [7, 4], [7, -1]]), np.array([4, 5, -1]))
    array([2, 0, 0])
    """
    rank_B = np.zeros(len(answer_B), np.int64)
    # -1 pads lists and marks answers that are not admitted: the two must never meet.
    is_hit_BK = (top_items_BK == answer_B[:, None]) & (answer_B >= 0)[:, None]
    query_H, place_H = np.nonzero(is_hit_BK)
    rank_B[query_H] = place_H + 1
    return rank_B


def figure_names(ks: tuple[int, ...]) -> list[str]:
    """Names of the figures, in the order of `figure_weights`.

    Examples
    --------
    >>> figure_names((20,))
    ['recall@20', 'mrr@20', 'ndcg@20', 'precision@20', 'f1@20', 'map@20']
    """
    return [f"{figure}@{k}" for figure in COMPARED_FIGURES + DERIVED_FIGURES for k in ks]


def compared_names(ks: tuple[int, ...]) -> list[str]:
    """The names of those figures that every learner has; the first of all.

    Examples
    --------
    >>> compared_names((1, 20))
    ['recall@1', 'recall@20', 'mrr@1', 'mrr@20', 'ndcg@1', 'ndcg@20']
    """
    return [f"{figure}@{k}" for figure in COMPARED_FIGURES for k in ks]


def figure_weights(ks: tuple[int, ...]) -> Float64s:
    """What one query of each rank adds to each figure.

    With one relevant item at rank r <= k: recall@k is 1, MRR@k and MAP@k are 1 / r, NDCG@k is
    1 / log2(r + 1) [1]_, precision@k 1 / k and F1@k, the harmonic mean of precision and recall,
    2 / (k + 1); past k, or at rank 0, all are 0. A figure is the mean over the queries.

    Returns
    -------
    float64 array, shape (F, R)
        Rows as in `figure_names`, columns the ranks 0 .. max(ks); in [0, 1].

    References
    ----------
    .. [1] Järvelin, Kekäläinen. Cumulated gain-based evaluation of IR techniques. ACM TOIS 20(4),
       2002.

    Examples
    --------
    >>> figure_weights((3,)).round(3)
    array([[0.   , 1.   , 1.   , 1.   ],
           [0.   , 1.   , 0.5  , 0.333],
           [0.   , 1.   , 0.631, 0.5  ],
           [0.   , 0.333, 0.333, 0.333],
           [0.   , 0.5  , 0.5  , 0.5  ],
           [0.   , 1.   , 0.5  , 0.333]])
    """
    ranks = range(max(ks) + 1)
    reciprocal_R = np.array([1.0 / max(rank, 1) for rank in ranks])
    gain_of = {
        "recall": [np.ones(len(ranks))] * len(ks),
        "mrr": [reciprocal_R] * len(ks),
        "ndcg": [np.array([1.0 / math.log2(max(rank, 1) + 1) for rank in ranks])] * len(ks),
        "precision": [np.full(len(ranks), 1.0 / k) for k in ks],
        "f1": [np.full(len(ranks), 2.0 / (k + 1)) for k in ks],
        "map": [reciprocal_R] * len(ks),
    }
    is_hit_KR = np.array([[0 < rank <= k for rank in ranks] for k in ks])
    figures = COMPARED_FIGURES + DERIVED_FIGURES
    return np.concatenate([np.array(gain_of[figure]) * is_hit_KR for figure in figures])


def paired_squares(joint_RR: Int64s, weights_FR: Float64s) -> Float64s:
    """Sum of the squared differences of each figure between two learners on the same queries.

    Parameters
    ----------
    joint_RR : int64 array, shape (R, R)
        Number of queries for each (rank by the first learner, rank by the second).
    weights_FR : float64 array, shape (F, R)
        See `figure_weights`.

    Returns
    -------
    float64 array, shape (F,)
        At least 0.

    Examples
    --------
    Three queries that the first learner hits and one that the second hits: the differences are
    1, 1, 1 and -1.

    >>> paired_squares(np.array([[0, 1], [3, 0]]), figure_weights((1,))[:3])
    array([4., 4., 4.])
    """
    first_F = (weights_FR**2 * joint_RR.sum(axis=1)).sum(axis=1)
    second_F = (weights_FR**2 * joint_RR.sum(axis=0)).sum(axis=1)
    product_F = ((weights_FR @ joint_RR) * weights_FR).sum(axis=1)
    # Rounding may leave a hair below 0 where the learners agree on every query.
    square_F: Float64s = np.maximum(first_F + second_F - 2 * product_F, 0.0)
    return square_F
