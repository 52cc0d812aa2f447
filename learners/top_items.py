"""The best k items of each query, in one order for everyone.

# B queries, V items of the catalogue, K list length, N candidates, W columns

Higher scores come first; equal scores are ordered by the item's tie hash, then by its row. Every
learner ranks through here, so that a tie is broken alike on every machine and never in favour of
the item that was clicked. A score of -inf says "must not be ranked"; where fewer than k items can
be ranked, the list ends in -1.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from stream.values import Bools, Float64s, Int32s, Int64s, UInt32s

_Floats = NDArray[np.float32] | Float64s

# A row fits in 32 bits beside its hash: one integer orders a tie completely.
_ROW_BITS = 32


def top_items_of_scores(scores_BV: _Floats, tie_hash_V: UInt32s, k: int) -> Int32s:
    """Best k rows for each query, from a score for every item.

    Parameters
    ----------
    scores_BV : float array, shape (B, V)
        -inf where an item must not be ranked.
    tie_hash_V : uint32 array, at least V long
        Orders equal scores, ascending.
    k : int
        List length, at least 1.

    Returns
    -------
    int32 array, shape (B, k)
        Rows, best first; -1 where fewer than k items can be ranked.

    Examples
    --------
    >>> scores_BV = np.array([[0.5, 0.9, 0.5, -np.inf]])
    >>> top_items_of_scores(scores_BV, np.array([7, 8, 3, 1], np.uint32), k=4)
    array([[ 1,  2,  0, -1]], dtype=int32)
    """
    n_queries, n_items = scores_BV.shape
    row_V = np.arange(n_items, dtype=np.int32)
    row_BV = np.broadcast_to(row_V, (n_queries, n_items))
    return _top_columns(scores_BV, row_BV, tie_hash_V, k)[0]


def top_items_of_candidates(
    query_N: Int64s, row_N: Int32s, score_N: Float64s, n_queries: int, tie_hash_V: UInt32s, k: int
) -> Int32s:
    """The rows that `top_candidates` gives, alone.

    Examples
    --------
    >>> query_N, row_N = np.array([1, 0, 1]), np.array([4, 2, 0], np.int32)
    >>> tie_hash_V = np.array([9, 9, 9, 9, 9], np.uint32)
    >>> top_items_of_candidates(query_N, row_N, np.array([0.2, 0.1, 0.2]), 2, tie_hash_V, k=2)
    array([[ 2, -1],
           [ 0,  4]], dtype=int32)
    """
    return top_candidates(query_N, row_N, score_N, n_queries, tie_hash_V, k)[0]


def top_candidates(
    query_N: Int64s, row_N: Int32s, score_N: Float64s, n_queries: int, tie_hash_V: UInt32s, k: int
) -> tuple[Int32s, Float64s]:
    """Best k rows for each query and their scores, from scores of a few candidates each.

    Parameters
    ----------
    query_N : int array, shape (N,)
        The query each candidate belongs to, in any order.
    row_N : int array, shape (N,)
        The candidate's row; a row stands at most once for a query.
    score_N : float array, shape (N,)
        -inf where the candidate must not be ranked.
    n_queries : int
        How many lists to return.
    tie_hash_V : uint32 array, shape (V,)
        Orders equal scores, ascending.
    k : int
        List length, at least 1.

    Returns
    -------
    int32 array, shape (n_queries, k)
        Rows, best first; -1 where a query has fewer than k candidates.
    float64 array, shape (n_queries, k)
        Their scores; -inf where there is no row.
    """
    if np.any(query_N[1:] < query_N[:-1]):
        order_N = np.argsort(query_N, kind="stable")
        query_N, row_N, score_N = query_N[order_N], row_N[order_N], score_N[order_N]
    count_B = np.bincount(query_N, minlength=n_queries)
    column_N = np.arange(len(query_N)) - (np.cumsum(count_B) - count_B)[query_N]
    shape = (n_queries, int(count_B.max(initial=0)))
    score_BW = np.full(shape, -np.inf)
    row_BW = np.full(shape, -1, np.int32)
    score_BW[query_N, column_N] = score_N
    row_BW[query_N, column_N] = row_N
    return _top_columns(score_BW, row_BW, tie_hash_V, k)


def _tie_order(row_N: Int32s, tie_hash_V: UInt32s) -> NDArray[np.uint64]:
    """One number for each row that orders equal scores: by hash, then by row."""
    hash_N = tie_hash_V[row_N].astype(np.uint64)
    return (hash_N << np.uint64(_ROW_BITS)) | row_N.astype(np.uint64)


def _top_columns(
    score_BW: _Floats, row_BW: Int32s, tie_hash_V: UInt32s, k: int
) -> tuple[Int32s, Float64s]:
    """Rows and scores of the best k columns: score descending, then in tie order."""
    n_queries, n_columns = score_BW.shape
    is_kept_BW = score_BW > -np.inf
    if n_columns > k:
        cut_B = np.partition(score_BW, n_columns - k, axis=1)[:, n_columns - k]
        is_kept_BW &= np.greater_equal(score_BW, cut_B[:, None])
        for b in np.flatnonzero(is_kept_BW.sum(axis=1) > k).tolist():
            order_W = _tie_order(row_BW[b], tie_hash_V)
            is_kept_BW[b] = _without_surplus_ties(score_BW[b], order_W, cut_B[b], k)
    query_N, column_N = np.nonzero(is_kept_BW)
    place_N = np.arange(len(query_N)) - np.searchsorted(query_N, query_N)
    row_N = row_BW[query_N, column_N]
    row_BK = np.full((n_queries, k), -1, np.int32)
    score_BK = np.full((n_queries, k), -np.inf)
    order_BK = np.full((n_queries, k), np.iinfo(np.uint64).max)
    row_BK[query_N, place_N] = row_N
    score_BK[query_N, place_N] = score_BW[query_N, column_N]
    order_BK[query_N, place_N] = _tie_order(row_N, tie_hash_V)
    # Stable sorts of each list, the finest key first: less work than one sort of all that is kept.
    place_BK = np.argsort(order_BK, axis=1, kind="stable")
    by_score_BK = np.argsort(-np.take_along_axis(score_BK, place_BK, 1), axis=1, kind="stable")
    place_BK = np.take_along_axis(place_BK, by_score_BK, 1)
    return np.take_along_axis(row_BK, place_BK, 1), np.take_along_axis(score_BK, place_BK, 1)


def _without_surplus_ties(
    score_W: _Floats, order_W: NDArray[np.uint64], cut: np.floating, k: int
) -> Bools:
    """Exactly k columns: all above the cut, and of those at the cut the first in tie order."""
    is_above_W = score_W > cut
    is_tied_W = score_W == cut
    n_wanted = k - int(is_above_W.sum())
    last_order = np.partition(order_W[is_tied_W], n_wanted - 1)[n_wanted - 1]
    is_kept_W: Bools = is_above_W | (is_tied_W & (order_W <= last_order))
    return is_kept_W


def top_items_of_tensor(scores_BV: torch.Tensor, tie_hash_V: torch.Tensor, k: int) -> torch.Tensor:
    """Best k rows for each query, on the device that holds the scores.

    Parameters
    ----------
    scores_BV : float tensor, shape (B, V)
        -inf where an item must not be ranked.
    tie_hash_V : int64 tensor, at least V long
        The tie hashes, unsigned 32-bit values held in int64, on the same device.
    k : int
        List length, at least 1.

    Returns
    -------
    int32 tensor, shape (B, k)
        Rows, best first; -1 where fewer than k items can be ranked. The same rows, in the same
        order, as `top_items_of_scores` gives for these scores.

    Examples
    --------
    >>> tie_hash_V = torch.tensor([7, 8, 3, 1])
    >>> top_items_of_tensor(torch.tensor([[0.5, 0.9, 0.5, 0.5]]), tie_hash_V, k=2)
    tensor([[1, 3]], dtype=torch.int32)
    """
    n_queries, n_items = scores_BV.shape
    n_listed = min(k, n_items)
    value_BK, row_BK = torch.topk(scores_BV, min(k + 1, n_items), dim=1)
    if n_items > k:
        is_torn_B = (value_BK[:, k - 1] == value_BK[:, k]) & (value_BK[:, k] > -torch.inf)
        torn_R = torch.nonzero(is_torn_B)[:, 0]  # the only device sync of a ranking
        if len(torn_R):
            cut_R = value_BK[torn_R, k - 1]
            row_BK[torn_R, :k] = _torn_rows(scores_BV[torn_R], cut_R, tie_hash_V, k)
    row_BK = row_BK[:, :n_listed]
    # Stable sorts, the finest key first. topk promises no order among equal scores.
    row_BK = row_BK.gather(1, _tensor_tie_order(row_BK, tie_hash_V).argsort(dim=1))
    # + 0.0: a sort by bits would put -0.0 behind 0.0, which are equal scores.
    value_BK = scores_BV.gather(1, row_BK) + 0.0
    value_BK, place_BK = torch.sort(value_BK, dim=1, descending=True, stable=True)
    row_BK = row_BK.gather(1, place_BK).masked_fill(value_BK == -torch.inf, -1)
    top_items_BK = row_BK.new_full((n_queries, k), -1, dtype=torch.int32)
    top_items_BK[:, :n_listed] = row_BK.to(torch.int32)
    return top_items_BK


def _torn_rows(
    scores_RV: torch.Tensor, cut_R: torch.Tensor, tie_hash_V: torch.Tensor, k: int
) -> torch.Tensor:
    """Best k rows, in any order, of queries whose list would end amid equal scores."""
    row_V = torch.arange(scores_RV.shape[1], device=scores_RV.device)
    order_V = _tensor_tie_order(row_V, tie_hash_V)
    # Negative orders put everything above the cut before every tie at the cut.
    order_RV = torch.where(
        scores_RV > cut_R[:, None], order_V - torch.iinfo(torch.int64).max, order_V
    )
    order_RV.masked_fill_(scores_RV < cut_R[:, None], torch.iinfo(torch.int64).max)
    return torch.topk(order_RV, k, dim=1, largest=False).indices


def _tensor_tie_order(row_N: torch.Tensor, tie_hash_V: torch.Tensor) -> torch.Tensor:
    # 31 bits for the row: torch has no unsigned 64-bit sort, and rows are int32.
    return (tie_hash_V[row_N] << (_ROW_BITS - 1)) | row_N
