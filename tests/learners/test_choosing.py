"""# N lists, S their items end to end, C candidates of a list"""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learners import choosing
from learners.choosing import log_votes, with_choice
from learners.popularity import Popularity, PopularityConfig
from learners.ranked import Ranked
from learners.transformer import TransformerLearner
from learners.transformer_config import TransformerConfig
from stream.targets import ChoiceAsked, ChoiceRule
from stream.values import Predictions, Queries, Shown
from tests.conformance.learner_contract import LearnerContract, random_queries, random_shown
from tests.stream_values import (
    make_changes,
    make_contexts,
    make_lessons,
    make_outcomes,
    make_queries,
)

N_ITEMS = 12
SILENT = Predictions(np.zeros((0, 3), np.int32))


def asked(lists: list[list[int]], rule: ChoiceRule) -> Queries:
    """Lists of rows, each in a context of its own: its number of clicks on item 0."""
    starts = np.cumsum([0, *map(len, lists)])
    shown = Shown(
        contexts=make_contexts([[0] * n for n in range(len(lists))]),
        context_of_N=np.arange(len(lists), dtype=np.int32),
        starts=starts,
        item_S=np.array([row for rows in lists for row in rows], np.int32),
        position_S=np.concatenate([np.arange(1, len(rows) + 1) for rows in lists]).astype(np.int32),
        choice=ChoiceAsked(rule, np.arange(len(lists), dtype=np.int32)),
    )
    return replace(make_queries([], n_items=N_ITEMS), shown=shown)


def scores_of(queries: Queries) -> np.ndarray:
    """A score for each query and item that depends on the context alone."""
    length_B = queries.contexts.length_C[queries.context_of_B]
    return np.sin(np.arange(N_ITEMS) * (1.0 + length_B[:, None]))


def best(queries: Queries, n: int) -> tuple[np.ndarray, np.ndarray]:
    score_BV = scores_of(queries)
    row_BN = np.argsort(-score_BV, axis=1)[:, :n].astype(np.int32)
    return row_BN, np.take_along_axis(score_BV, row_BN, axis=1)


def clicks(shown: Shown, n_places: int) -> np.ndarray:
    """How likely an item is clicked depends on item and place; -1 stands for no item."""
    place_K = np.minimum(np.arange(1, n_places + 1), 60)
    return (shown.item_S[:, None] + 1) / 20 / place_K


@given(
    st.lists(
        st.permutations(range(-1, N_ITEMS)).map(lambda rows: rows[:5]), min_size=1, max_size=6
    ),
    st.floats(0.1, 5),
    st.integers(1, N_ITEMS),
)
@settings(deadline=None)
def test_a_choice_is_the_softmax_of_what_does_not_stand_above(lists, temperature, n_candidates):
    queries = asked(lists, ChoiceRule(temperature, n_candidates))
    choice = with_choice(SILENT, queries, best, clicks).choice
    at = itertools.count()
    for n, rows in enumerate(lists):
        score_V = np.sin(np.arange(N_ITEMS) * (1.0 + n))
        left = dict.fromkeys(np.argsort(-score_V)[:n_candidates].tolist(), 0.0)
        for place, row in enumerate(rows, start=1):
            s = next(at)
            total = sum(np.exp(score_V[item] / temperature) for item in left)
            if not left:
                assert np.isnan([choice.probability_S[s], choice.click_S[s]]).all()
                continue
            share = {item: np.exp(score_V[item] / temperature) / total for item in left}
            assert choice.probability_S[s] == pytest.approx(share.get(row, 0.0), abs=1e-12)
            expected = sum(share[item] * (item + 1) / 20 / place for item in share)
            assert choice.click_S[s] == pytest.approx(expected, abs=1e-12)
            left.pop(row, None)


def test_parts_are_put_together(monkeypatch):
    lists = [[n % N_ITEMS, (n + 3) % N_ITEMS] for n in range(9)]
    queries = asked(lists, ChoiceRule(0.7, 4))
    whole = with_choice(SILENT, queries, best, clicks).choice
    monkeypatch.setattr(choosing, "_CANDIDATES_AT_ONCE", 8)
    parts = with_choice(SILENT, queries, best, clicks).choice
    np.testing.assert_array_equal(parts.probability_S, whole.probability_S)
    np.testing.assert_array_equal(parts.click_S, whole.click_S)


def test_lists_are_asked_about_with_their_session_and_what_is_excluded():
    heard: list[Queries] = []

    def listening(queries: Queries, n: int) -> tuple[np.ndarray, np.ndarray]:
        heard.append(queries)
        return best(queries, n)

    queries = asked([[1], [2], [3]], ChoiceRule(1.0, 4))
    contexts = make_contexts([[], [0], [0, 0]], seen=[[7], [8, 9], []])
    shown = replace(queries.shown, contexts=contexts, context_of_N=np.array([2, 1, 2], np.int32))
    with_choice(SILENT, replace(queries, shown=shown), listening)
    (told,) = heard
    assert told.shown is None
    assert told.session_length_B.tolist() == [0, 1, 2]
    assert told.contexts.length_C[told.context_of_B].tolist() == [2, 1, 2]
    assert told.contexts.seen.values.tolist() == [8, 9]
    assert told.contexts.seen.starts.tolist() == [0, 2, 2]


def test_who_estimates_no_clicks_tells_none():
    choice = with_choice(SILENT, asked([[1]], ChoiceRule(1.0, 4)), best).choice
    assert choice.click_S is None
    assert choice.probability_S.shape == (1,)


def test_votes_count_in_proportion_at_temperature_1():
    row_BN = np.array([[4, 2, -1]], np.int32)
    ranked = Ranked(row_BN, np.array([[3.0, 1.0, -np.inf]]), np.array([4.0]), np.array([2]))
    queries = asked([[2, 4]], ChoiceRule(1.0, 3))
    choice = with_choice(SILENT, queries, lambda *_: log_votes(ranked)).choice
    assert choice.probability_S.tolist() == pytest.approx([0.25, 1.0])


def test_popularity_draws_in_proportion_to_faded_clicks_and_never_what_nobody_clicked():
    popularity = Popularity(PopularityConfig(half_life_clicks=1_000_000))
    popularity.learn(make_outcomes(make_lessons([[]] * 4, [3, 3, 3, 5])))
    choice = popularity.predict(asked([[3], [5], [6]], ChoiceRule(1.0, 12))).choice
    assert choice.probability_S == pytest.approx([0.75, 0.25, 0.0], abs=1e-5)
    fresh = Popularity(PopularityConfig()).predict(asked([[3]], ChoiceRule(1.0, 12))).choice
    assert np.isnan(fresh.probability_S).all()


def driven_transformer() -> TransformerLearner:
    learner = TransformerLearner(TransformerConfig(width=8, layers=1, device="cpu"))
    learner.follow(make_changes(12))
    for step in range(3):
        LearnerContract.drive(learner, step)
    return learner


def test_a_transformer_draws_by_its_logits_and_expects_its_own_click_probabilities():
    learner = driven_transformer()
    every = np.arange(30, dtype=np.int32)
    one = np.ones(30, np.int32)
    shown = Shown(make_contexts([[4, 2]]), 0 * every, np.arange(31), every, one)
    shown = replace(shown, choice=ChoiceAsked(ChoiceRule(2.0, 30), 2 * one))
    queries = replace(random_queries(0, 30), shown=shown)
    told = learner.predict(queries)
    row_CN, score_CN = learner.best(make_queries([[4, 2]], n_items=30), 30)
    share_N = np.exp(score_CN[0] / 2.0) / np.exp(score_CN[0] / 2.0).sum()
    assert told.choice.probability_S[row_CN[0]] == pytest.approx(share_N, rel=1e-5)
    expected = told.choice.probability_S @ told.click_probability_S
    assert told.choice.click_S == pytest.approx(np.full(30, expected), rel=1e-5)


def test_clicks_by_place_are_those_at_each_place():
    learner = driven_transformer()
    shown = random_shown(7, 30)
    shown = replace(shown, position_S=np.minimum(shown.position_S, 9))
    p_SK = learner.click_by_place(shown, 9)
    predicted = learner.predict(replace(random_queries(0, 30), shown=shown))
    each = np.arange(len(shown.item_S)), shown.position_S - 1
    assert p_SK[each] == pytest.approx(predicted.click_probability_S, rel=1e-6)
