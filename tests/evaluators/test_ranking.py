import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from evaluators.ranking import (
    RankingConfig,
    figure_names,
    figure_weights,
    paired_squares,
    ranks_of,
)
from tests.conformance.evaluator_contract import N_ITEMS, random_lists

SEEDS = st.integers(0, 2**32 - 1)
KS = st.lists(st.integers(1, 20), min_size=1, max_size=4, unique=True).map(sorted).map(tuple)


def random_queries(seed: int, n_queries: int = 60) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return random_lists(rng, n_queries), rng.integers(-1, N_ITEMS, n_queries).astype(np.int32)


def figures_of(top_items_BK: np.ndarray, answer_B: np.ndarray, ks: tuple[int, ...]) -> dict:
    rank_B = ranks_of(top_items_BK[:, : max(ks)], answer_B)
    count_R = np.bincount(rank_B, minlength=max(ks) + 1)
    mean_F = figure_weights(ks) @ count_R / len(rank_B)
    return dict(zip(figure_names(ks), mean_F.tolist(), strict=True))


def brute_force(lists: list[list[int]], answers: list[int], ks: tuple[int, ...]) -> dict:
    sums = dict.fromkeys(figure_names(ks), 0.0)
    for items, answer in zip(lists, answers, strict=True):
        for k in ks:
            for place, item in enumerate(items[:k], start=1):
                if item == answer and answer != -1:
                    sums[f"recall@{k}"] += 1
                    sums[f"mrr@{k}"] += 1 / place
                    sums[f"ndcg@{k}"] += 1 / math.log2(place + 1)
                    sums[f"precision@{k}"] += 1 / k
                    sums[f"f1@{k}"] += 2 / (1 / (1 / k) + 1)
                    sums[f"map@{k}"] += 1 / place
    return {figure: total / len(answers) for figure, total in sums.items()}


@given(seed=SEEDS, ks=KS)
@settings(deadline=None)
def test_figures_equal_a_loop_over_lists(seed, ks):
    top_items_BK, answer_B = random_queries(seed)
    expected = brute_force(top_items_BK.tolist(), answer_B.tolist(), ks)
    assert figures_of(top_items_BK, answer_B, ks) == pytest.approx(expected, abs=1e-12)


@given(seed=SEEDS, ks=KS)
@settings(deadline=None, max_examples=20)
def test_figures_equal_ranx(seed, ks):
    top_items_BK, answer_B = random_queries(seed)
    assert figures_of(top_items_BK, answer_B, ks) == pytest.approx(
        ranx_figures(top_items_BK, answer_B, ks), abs=1e-9
    )


def ranx_figures(top_items_BK: np.ndarray, answer_B: np.ndarray, ks: tuple[int, ...]) -> dict:
    n_places = top_items_BK.shape[1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numba and ranx warn about their own ways
        import ranx  # noqa: PLC0415

        judged = {f"q{i}": {f"item{item}": 1} for i, item in enumerate(answer_B.tolist())}
        lists = {
            f"q{i}": {
                # Padding must match nothing: least of all an answer that is not admitted.
                f"item{item}" if item >= 0 else f"padding{place}": float(n_places - place)
                for place, item in enumerate(items)
            }
            for i, items in enumerate(top_items_BK.tolist())
        }
        names = figure_names(ks)
        figures = ranx.evaluate(ranx.Qrels(judged), ranx.Run(lists), names)
    return {names[0]: float(figures)} if len(names) == 1 else dict(figures)


def test_an_answer_that_is_not_admitted_is_a_miss_even_in_a_padded_list():
    assert ranks_of(np.array([[3, -1, -1]]), np.array([-1])).tolist() == [0]


def test_the_last_place_of_a_list_still_counts():
    assert ranks_of(np.array([[3, 5, 9]]), np.array([9])).tolist() == [3]


def test_no_queries_have_no_ranks():
    assert ranks_of(np.zeros((0, 20), np.int32), np.zeros(0, np.int32)).shape == (0,)


@given(seed=SEEDS, ks=KS, n_queries=st.integers(1, 80))
@settings(deadline=None)
def test_paired_squares_equal_numpy_on_the_raw_differences(seed, ks, n_queries):
    rng = np.random.default_rng(seed)
    n_ranks = max(ks) + 1
    rank_2N = rng.integers(0, n_ranks, (2, n_queries))
    joint_RR = np.zeros((n_ranks, n_ranks), np.int64)
    np.add.at(joint_RR, tuple(rank_2N), 1)
    weights_FR = figure_weights(ks)
    difference_FN = weights_FR[:, rank_2N[0]] - weights_FR[:, rank_2N[1]]
    expected = (difference_FN**2).sum(axis=1)
    assert paired_squares(joint_RR, weights_FR) == pytest.approx(expected, abs=1e-10)


def test_learners_that_agree_on_every_query_differ_by_nothing():
    rng = np.random.default_rng(0)
    square_SF = np.array(
        [
            paired_squares(np.diag(rng.integers(1, 10**9, 21)), figure_weights((20,)))
            for _ in range(50)
        ]
    )
    assert (square_SF >= 0).all()
    assert square_SF / 10**10 == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize("ks", [(), (0, 10), (10, 1), (10, 10), (1, 201)])
def test_list_lengths_that_make_no_sense_are_refused_with_an_example(ks):
    with pytest.raises(ValidationError, match=r"write for example \[1, 10, 20\]"):
        RankingConfig(ks=ks)


def test_list_lengths_come_as_a_list_from_a_file():
    assert RankingConfig.model_validate({"ks": [5, 200]}).ks == (5, 200)
