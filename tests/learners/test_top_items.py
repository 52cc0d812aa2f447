import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from learners.top_items import top_items_of_candidates, top_items_of_scores, top_items_of_tensor

# Few values, both zeros among them: most lists end amid equal scores.
SCORES = st.sampled_from([-np.inf, -1.5, -0.0, 0.0, 0.25, 3.0])
HASHES = st.sampled_from([0, 1, 2, 2**32 - 1])


@st.composite
def score_tables(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, int]:
    n_queries, n_items = draw(st.integers(0, 4)), draw(st.integers(1, 12))
    scores = draw(st.lists(SCORES, min_size=n_queries * n_items, max_size=n_queries * n_items))
    hashes = draw(st.lists(HASHES, min_size=n_items, max_size=n_items))
    scores_BV = np.array(scores, np.float64).reshape(n_queries, n_items)
    return scores_BV, np.array(hashes, np.uint32), draw(st.integers(1, 14))


def sorted_by_hand(scores_BV: np.ndarray, tie_hash_V: np.ndarray, k: int) -> list[list[int]]:
    lists = []
    for scores_V in scores_BV.tolist():
        keys = [(-score, int(tie_hash_V[row]), row) for row, score in enumerate(scores_V)]
        best = [row for minus_score, _, row in sorted(keys) if minus_score < np.inf][:k]
        lists.append(best + [-1] * (k - len(best)))
    return lists


@given(score_tables())
def test_dense_scores_are_ranked_as_a_full_sort_ranks_them(
    table: tuple[np.ndarray, np.ndarray, int],
) -> None:
    top_items_BK = top_items_of_scores(*table)
    assert top_items_BK.dtype == np.int32
    assert top_items_BK.tolist() == sorted_by_hand(*table)


@given(score_tables())
def test_tensors_are_ranked_as_a_full_sort_ranks_them(
    table: tuple[np.ndarray, np.ndarray, int],
) -> None:
    scores_BV, tie_hash_V, k = table
    hash_V = torch.from_numpy(tie_hash_V.astype(np.int64))
    top_items_BK = top_items_of_tensor(torch.from_numpy(scores_BV).float(), hash_V, k)
    assert top_items_BK.dtype == torch.int32
    assert top_items_BK.tolist() == sorted_by_hand(*table)


@given(score_tables(), st.randoms(use_true_random=False))
def test_candidates_in_any_order_are_ranked_as_a_full_sort_ranks_them(
    table: tuple[np.ndarray, np.ndarray, int], random: object
) -> None:
    scores_BV, tie_hash_V, k = table
    query_N, row_N = np.nonzero(scores_BV != -1.5)
    order = list(range(len(query_N)))
    random.shuffle(order)
    query_N, row_N = query_N[order], row_N[order].astype(np.int32)
    top_items_BK = top_items_of_candidates(
        query_N, row_N, scores_BV[query_N, row_N], len(scores_BV), tie_hash_V, k
    )
    candidate_BV = np.where(scores_BV == -1.5, -np.inf, scores_BV)
    assert top_items_BK.tolist() == sorted_by_hand(candidate_BV, tie_hash_V, k)


def test_large_tables_of_equal_scores_are_cut_by_hash() -> None:
    rng = np.random.default_rng(4)
    scores_BV = rng.integers(0, 3, (16, 5000)).astype(np.float32)
    tie_hash_V = rng.integers(0, 2**32, 5000).astype(np.uint32)
    expected = sorted_by_hand(scores_BV, tie_hash_V, 20)
    assert top_items_of_scores(scores_BV, tie_hash_V, 20).tolist() == expected
    hash_V = torch.from_numpy(tie_hash_V.astype(np.int64))
    assert top_items_of_tensor(torch.from_numpy(scores_BV), hash_V, 20).tolist() == expected


def test_no_candidates_give_lists_of_minus_ones() -> None:
    none = np.zeros(0, np.int64)
    top_items_BK = top_items_of_candidates(
        none, none.astype(np.int32), np.zeros(0), 2, np.zeros(0, np.uint32), 3
    )
    assert top_items_BK.tolist() == [[-1, -1, -1], [-1, -1, -1]]
