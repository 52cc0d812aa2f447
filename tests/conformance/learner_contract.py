"""What every learner promises.

An implementation joins in a line:

    class TestThing(LearnerContract):
        make = staticmethod(make_thing)
"""

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from stream.conversions import ConversionLessons
from stream.protocols import Learner
from stream.targets import ChoiceAsked, ChoiceRule
from stream.values import Lessons, Outcomes, Predictions, Queries, Shown, ShownLessons
from tests.conformance.stateful_contract import StatefulContract, assert_same_bits
from tests.stream_values import (
    make_changes,
    make_contexts,
    make_lessons,
    make_outcomes,
    make_queries,
    make_ragged,
)

# The catalogue grows past two doublings of whatever a learner allots at first.
N_ITEMS_OF_STEP = (12, 12, 30, 30, 100, 100)
N_QUERIES = 24
MAX_HISTORY = 6


class LearnerContract(StatefulContract):
    @staticmethod
    def drive(learner: Any, step: int) -> Predictions:
        """A batch: predict, learn, then a larger catalogue, recycled rows, forgotten users."""
        n_items = N_ITEMS_OF_STEP[step % len(N_ITEMS_OF_STEP)]
        queries = replace(random_queries(step, n_items), shown=random_shown(step, n_items))
        predictions = learner.predict(queries)
        outcomes = taught(random_lessons(step, n_items), *random_shown_lessons(step, n_items))
        conversions = random_conversion_lessons(step, n_items)
        learner.learn(replace(outcomes, conversion_lessons=conversions))
        n_next = N_ITEMS_OF_STEP[(step + 1) % len(N_ITEMS_OF_STEP)]
        recycled = [3, 7] if step % 3 == 1 else []
        forgotten = [2, 5] if step % 3 == 2 else []
        told = {"title": f"red shoes {step}", "category": "shoes"}
        described = {7: told, n_items - 1: told} if step % 2 else {}
        learner.follow(make_changes(max(n_items, n_next), recycled, forgotten, described))
        return predictions

    def driven(self, n_steps: int = 5) -> Learner:
        learner: Learner = self.make()
        for step in range(n_steps):
            self.drive(learner, step)
        return learner

    def test_predicting_changes_nothing(self) -> None:
        learner = self.driven()
        before = copy.deepcopy(learner.state_dict())
        first = learner.predict(random_queries(90, 40))
        assert_same_bits(learner.state_dict(), before)
        assert_same_bits(learner.predict(random_queries(90, 40)), first)

    def test_lists_hold_distinct_rows_of_the_catalogue_then_minus_ones(self) -> None:
        for n_items in (1, 4, 40):
            top_items_BK = self.driven().predict(random_queries(90, n_items, k=10)).top_items_BK
            assert top_items_BK.shape == (N_QUERIES, 10)
            assert top_items_BK.dtype == np.int32
            assert top_items_BK.max() < n_items
            for top_items_K in top_items_BK.tolist():
                listed = [row for row in top_items_K if row != -1]
                assert top_items_K == listed + [-1] * (10 - len(listed))
                assert len(set(listed)) == len(listed)

    def test_no_queries_are_answered_with_no_lists(self) -> None:
        queries = make_queries([], n_items=12, k=10)
        assert self.driven().predict(queries).top_items_BK.shape == (0, 10)

    def test_an_empty_catalogue_is_answered_with_empty_lists(self) -> None:
        queries = make_queries([[], []], n_items=0, k=2)
        assert self.make().predict(queries).top_items_BK.tolist() == [[-1, -1], [-1, -1]]

    def test_excluded_rows_are_never_listed(self) -> None:
        queries = random_queries(91, 40, is_excluding=True)
        seen = queries.contexts.seen
        assert seen is not None
        top_items_BK = self.driven().predict(queries).top_items_BK
        for context, top_items_K in zip(queries.context_of_B, top_items_BK, strict=True):
            excluded = seen.values[seen.starts[context] : seen.starts[context + 1]]
            assert not set(top_items_K.tolist()) & set(excluded.tolist())

    def test_excluding_everything_leaves_empty_lists(self) -> None:
        queries = make_queries([[1, 2], [3]], n_items=12, seen=[range(12), range(12)])
        assert self.driven().predict(queries).top_items_BK.max() == -1

    def test_queries_of_one_context_are_answered_alike_whatever_stands_beside_them(self) -> None:
        learner = self.driven()
        queries = random_queries(92, 40)
        together = learner.predict(queries).top_items_BK
        context = queries.context_of_B[0]
        alike_B = (queries.context_of_B == context) & (
            queries.session_length_B == queries.session_length_B[0]
        )
        assert (together[alike_B] == together[0]).all()

    def test_learning_no_lessons_changes_nothing(self) -> None:
        learner = self.driven()
        before = copy.deepcopy(learner.state_dict())
        learner.learn(make_outcomes(make_lessons([], [])))
        assert_same_bits(learner.state_dict(), before)

    def test_lists_shown_are_answered_with_a_probability_for_each_item_or_not_at_all(self) -> None:
        learner = self.driven()
        for queries in (random_queries(94, 40), make_queries([], n_items=40)):
            for shown in (random_shown(94, 40), no_list_at_all()):
                predictions = learner.predict(replace(queries, shown=shown))
                assert len(predictions.top_items_BK) == len(queries)
                p_S = predictions.click_probability_S
                if p_S is not None:
                    assert (p_S.shape, p_S.dtype) == (shown.item_S.shape, np.float64)
                    assert ((p_S > 0) & (p_S < 1)).all()

    def test_lists_of_unknown_items_are_answered_before_any_item_is_known(self) -> None:
        shown = random_shown(95, 0)
        queries = replace(make_queries([[], []], n_items=0, k=2), shown=shown)
        predictions = self.make().predict(queries)
        assert predictions.top_items_BK.tolist() == [[-1, -1], [-1, -1]]
        p_S = predictions.click_probability_S
        assert p_S is None or len(set(p_S.tolist())) == 1

    def test_a_choice_is_told_of_every_place_or_not_at_all(self) -> None:
        learner = self.driven()
        for excluding in (False, True):
            queries = random_queries(97, 40, is_excluding=excluding)
            shown = random_shown(97, 40)
            for lists in (with_rule(shown, 0.7, 11), with_rule(no_list_at_all(), 1.0, 3)):
                choice = learner.predict(replace(queries, shown=lists)).choice
                if choice is None:
                    continue
                told = [choice.probability_S, *([] if choice.click_S is None else [choice.click_S])]
                for value_S in told:
                    assert (value_S.shape, value_S.dtype) == (lists.item_S.shape, np.float64)
                    known_S = value_S[~np.isnan(value_S)]
                    assert ((known_S >= 0) & (known_S <= 1)).all()

    def test_a_choice_is_a_distribution_over_all_items(self) -> None:
        learner = self.driven()
        contexts = make_contexts([[3, 5, 1]])
        every = np.arange(40, dtype=np.int32)
        ones = np.ones(40, np.int32)
        shown = Shown(contexts, 0 * every, np.arange(41), every, ones)
        shown = with_rule(shown, 2.0, 25)
        choice = learner.predict(replace(random_queries(98, 40), shown=shown)).choice
        if choice is not None and not np.isnan(choice.probability_S).all():
            assert choice.probability_S.sum() == pytest.approx(1, abs=1e-9)
            assert 1 < np.count_nonzero(choice.probability_S) <= 25

    def test_asking_for_a_choice_moves_no_other_answer_and_nothing_that_is_held(self) -> None:
        learner = self.driven()
        before = copy.deepcopy(learner.state_dict())
        queries = replace(random_queries(99, 40), shown=random_shown(99, 40))
        silent = learner.predict(queries)
        shown = with_rule(random_shown(99, 40), 1.0, 10)
        told = learner.predict(replace(queries, shown=shown))
        assert silent.choice is None
        assert_same_bits(replace(told, choice=None), silent)
        assert_same_bits(learner.predict(replace(queries, shown=shown)), told)
        assert_same_bits(learner.state_dict(), before)

    def test_without_lists_no_probability_is_told(self) -> None:
        predictions = self.driven().predict(random_queries(94, 40))
        assert predictions.click_probability_S is predictions.conversion_probability_S is None

    def test_conversions_are_told_for_each_item_shown_once_they_were_taught(self) -> None:
        shown = random_shown(94, 12)
        queries = replace(make_queries([], n_items=12), shown=shown)
        assert self.make().predict(queries).conversion_probability_S is None
        predictions = self.driven().predict(queries)
        if predictions.click_probability_S is None:
            assert predictions.conversion_probability_S is None
            return
        p_S = predictions.conversion_probability_S
        assert p_S is not None
        assert (p_S.shape, p_S.dtype) == (shown.item_S.shape, np.float64)
        assert ((p_S > 0) & (p_S < 1)).all()
        both_S = predictions.click_and_convert_probability_S
        assert_same_bits(both_S, predictions.click_probability_S * p_S)

    def test_lists_are_learned_without_clicks_and_clicks_without_lists(self) -> None:
        learner = self.driven()
        learner.learn(taught(make_lessons([], []), *random_shown_lessons(96, 40)))
        learner.learn(taught(random_lessons(96, 40)))
        queries = replace(random_queries(96, 40), shown=random_shown(96, 40))
        first = learner.predict(queries)
        assert first.top_items_BK.shape == (N_QUERIES, 5)
        assert_same_bits(learner.predict(queries), first)

    def test_learning_lists_that_hold_nothing_changes_nothing(self) -> None:
        learner = self.driven()
        before = copy.deepcopy(learner.state_dict())
        for is_presumed in (False, True):
            nothing = ShownLessons(no_list_at_all(), np.zeros(0, np.bool_), is_presumed)
            learner.learn(taught(make_lessons([], []), nothing, nothing))
        assert_same_bits(learner.state_dict(), before)

    def test_a_larger_catalogue_leaves_the_ranking_of_known_items_as_it_was(self) -> None:
        learner = self.driven()
        before = learner.predict(random_queries(93, 40))
        for n_items in (101, 250, 1000):
            learner.follow(make_changes(n_items))
            assert_same_bits(learner.predict(random_queries(93, 40)), before)

    def test_a_recycled_row_leads_no_list_because_of_its_past(self) -> None:
        learner = self.make()
        learner.follow(make_changes(6))
        for _ in range(20):
            learner.learn(make_outcomes(make_lessons([[0]] * 4, [1, 1, 1, 2], users=[9] * 4)))
        learner.follow(make_changes(6, recycled=[1]))
        # Row 1 comes last among equal scores: only its past could put it first.
        queries = make_queries([[0], []], n_items=6, k=1, tie_hash=[0, 9, 1, 2, 3, 4])
        assert 1 not in learner.predict(queries).top_items_BK


def random_queries(seed: int, n_items: int, k: int = 5, is_excluding: bool = False) -> Queries:
    """Queries that share contexts, some of them without history, with many equal hashes."""
    rng = np.random.default_rng(seed)
    n_contexts = N_QUERIES - 4
    histories = _random_histories(rng, n_contexts, n_items)
    context_of_B = np.concatenate((np.arange(n_contexts), rng.integers(0, n_contexts, 4)))
    contexts = make_contexts(histories, width=MAX_HISTORY)
    if is_excluding:
        seen = [history + [int(rng.integers(n_items))] * 2 for history in histories]
        contexts = type(contexts)(contexts.history_CT, contexts.length_C, make_ragged(seen))
    length_B = contexts.length_C[context_of_B]
    return Queries(
        contexts=contexts,
        context_of_B=context_of_B.astype(np.int32),
        ts_B=np.arange(N_QUERIES, dtype=np.int64) + 1000 * seed,
        session_B=rng.integers(0, 9, N_QUERIES),
        session_length_B=rng.integers(0, length_B + 1).astype(np.int32),
        n_items=n_items,
        tie_hash_V=(np.arange(n_items) * 7 % 5).astype(np.uint32),
        k=k,
    )


def random_shown(seed: int, n_items: int) -> Shown:
    """Lists that share contexts, with items that are not admitted, and places far down."""
    rng = np.random.default_rng(2000 + seed)
    histories = _random_histories(rng, 5, n_items) if n_items else [[] for _ in range(5)]
    starts = np.concatenate([[0], np.cumsum(rng.integers(1, 9, 8))]).astype(np.int64)
    far = np.repeat([0, 90], [4, 4])
    return Shown(
        contexts=make_contexts(histories, width=MAX_HISTORY + 2),
        context_of_N=rng.integers(0, 5, 8).astype(np.int32),
        starts=starts,
        item_S=rng.integers(-1, n_items, starts[-1]).astype(np.int32),
        position_S=np.concatenate(
            [far[n] + np.arange(1, end - start + 1) for n, (start, end) in _spans(starts)]
        ).astype(np.int32),
    )


def random_shown_lessons(seed: int, n_items: int) -> tuple[ShownLessons, ...]:
    """Lists that are known, lists that are presumed, and clicks that come again."""
    known, presumed, again = (random_shown(seed + part, n_items) for part in (10, 20, 30))
    again = _each_alone(again)
    rng = np.random.default_rng(3000 + seed)
    return (
        ShownLessons(known, rng.random(len(known.item_S)) < 0.2, False, tells_conversions=True),
        ShownLessons(presumed, np.zeros(len(presumed.item_S), np.bool_), True),
        ShownLessons(
            again, np.ones(len(again.item_S), np.bool_), True, True, tells_conversions=True
        ),
    )


def random_conversion_lessons(seed: int, n_items: int) -> tuple[ConversionLessons, ...]:
    """Clicks on no list, and conversions of such clicks and of some on lists."""
    plain, converted = (_each_alone(random_shown(seed + part, n_items)) for part in (40, 50))
    plain = replace(plain, position_S=np.zeros(len(plain.item_S), np.int32))
    return ConversionLessons(plain, False), ConversionLessons(converted, True)


def with_rule(shown: Shown, temperature: float, candidates: int) -> Shown:
    """The lists, and the question how the learner would choose; half of each history is session."""
    length_N = shown.contexts.length_C[shown.context_of_N] // 2
    return replace(shown, choice=ChoiceAsked(ChoiceRule(temperature, candidates), length_N))


def no_list_at_all() -> Shown:
    none = np.zeros(0, np.int32)
    return Shown(make_contexts([]), none, np.zeros(1, np.int64), none, none)


def taught(lessons: Lessons, *shown_lessons: ShownLessons) -> Outcomes:
    return replace(make_outcomes(lessons), shown_lessons=shown_lessons)


def random_lessons(seed: int, n_items: int) -> Lessons:
    """Lessons of a few users and sessions, with clicks on a few items again and again."""
    rng = np.random.default_rng(1000 + seed)
    histories = _random_histories(rng, N_QUERIES, n_items)
    session_M = np.sort(rng.integers(0, 6, N_QUERIES)) + 4 * seed
    return make_lessons(
        histories,
        targets=(n_items * rng.random(N_QUERIES) ** 2).astype(int).tolist(),
        sessions=session_M.tolist(),
        users=(session_M % 7).tolist(),
        session_lengths=[int(rng.integers(0, len(history) + 1)) for history in histories],
    )


def _each_alone(shown: Shown) -> Shown:
    """The same items, each in a list of its own."""
    context_of_S = np.repeat(shown.context_of_N, np.diff(shown.starts))
    return replace(shown, context_of_N=context_of_S, starts=np.arange(len(context_of_S) + 1))


def _spans(starts: np.ndarray) -> list[tuple[int, tuple[int, int]]]:
    return list(enumerate(zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)))


def _random_histories(rng: np.random.Generator, n_histories: int, n_items: int) -> list[list[int]]:
    lengths = rng.integers(0, MAX_HISTORY + 1, n_histories)
    return [rng.integers(0, n_items, length).tolist() for length in lengths]
