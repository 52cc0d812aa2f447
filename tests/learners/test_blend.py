import copy
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from learners.blend import Blend, BlendConfig
from learners.item_neighbours import ItemNeighbours, ItemNeighboursConfig
from learners.ranked import Ranked
from learners.reranker import RerankerConfig
from learners.session_neighbours import SessionNeighbours, SessionNeighboursConfig
from learners.transformer import TransformerLearner
from learners.transformer_config import TransformerConfig
from stream.values import Changes, Outcomes, Predictions, Queries, State
from tests.conformance.learner_contract import (
    N_ITEMS_OF_STEP,
    LearnerContract,
    random_conversion_lessons,
    random_lessons,
    random_queries,
    random_shown,
)
from tests.conformance.stateful_contract import assert_same_bits, is_same
from tests.stream_values import make_changes, make_lessons, make_outcomes, make_queries

TRANSFORMER = TransformerConfig(history_items=8, width=8, layers=1, minibatch=8, device="cpu")


def make_blend(candidates: int = 10, n_items: int = 12) -> Blend:
    neighbours = {
        "session_knn": SessionNeighbours(SessionNeighboursConfig()),
        "item_knn": ItemNeighbours(ItemNeighboursConfig()),
    }
    config = BlendConfig(candidates=candidates, reranker=RerankerConfig(minibatch=8))
    blend = Blend(config, ("transformer", TransformerLearner(TRANSFORMER)), neighbours)
    blend.follow(make_changes(n_items))
    return blend


class Judged(LearnerContract):
    """As the loop drives it: what is learned was predicted, and its answers are known."""

    @staticmethod
    def drive(learner: Blend, step: int) -> Predictions:
        n_items = N_ITEMS_OF_STEP[step % len(N_ITEMS_OF_STEP)]
        queries = replace(random_queries(step, n_items), shown=random_shown(step, n_items))
        predictions = learner.predict(queries)
        answer_B = np.random.default_rng(step).integers(-1, n_items, len(queries))
        outcomes = answered(queries, answer_B.tolist(), step)
        conversions = random_conversion_lessons(step, n_items)
        learner.learn(replace(outcomes, conversion_lessons=conversions))
        n_next = N_ITEMS_OF_STEP[(step + 1) % len(N_ITEMS_OF_STEP)]
        learner.follow(make_changes(max(n_items, n_next), recycled=[3, 7] if step == 2 else []))
        return predictions


class TestBlend(Judged):
    make = staticmethod(make_blend)


class TestBlendOfFewCandidates(Judged):
    make = staticmethod(lambda: make_blend(candidates=2))


def answered(queries: Queries, answers: Sequence[int], seed: int = 0) -> Outcomes:
    """Outcomes with these answers, and lessons of their own."""
    outcomes = make_outcomes(random_lessons(seed, queries.n_items))
    return replace(
        outcomes,
        queries=queries,
        answer_B=np.array(answers, np.int32),
        is_sample_B=np.ones(len(queries), np.bool_),
    )


class Voter:
    """Ranks the same rows for everyone, and learns nothing."""

    def __init__(self, rows: Sequence[int], votes: Sequence[float]) -> None:
        self._rows, self._votes = rows, votes
        self.asked = 0

    def predict(self, queries: Queries) -> Predictions:
        return Predictions(self.rank(queries, queries.k).row_BN)

    def rank(self, queries: Queries, n: int) -> Ranked:
        self.asked += 1
        n_queries = len(queries)
        row_BN = np.full((n_queries, n), -1, np.int32)
        score_BN = np.full((n_queries, n), -np.inf)
        row_BN[:, : len(self._rows)] = self._rows
        score_BN[:, : len(self._rows)] = self._votes
        total_B = np.full(n_queries, sum(self._votes))
        return Ranked(row_BN, score_BN, total_B, np.full(n_queries, len(self._rows)))

    def learn(self, outcomes: Outcomes) -> None: ...

    def follow(self, changes: Changes) -> None: ...

    def state_dict(self) -> State:
        return {"schema_version": 1}

    def load_state_dict(self, state: State) -> None: ...


def blend_of(**voters: Voter) -> Blend:
    transformer = ("transformer", TransformerLearner(TRANSFORMER))
    blend = Blend(BlendConfig(), transformer, voters)
    blend.follow(make_changes(40))
    return blend


def test_it_learns_whom_to_believe() -> None:
    """One part is always right, the other never: before long the first one's item leads."""
    blend = blend_of(right=Voter([7, 9], [2.0, 1.0]), wrong=Voter([5, 3], [2.0, 1.0]))
    queries = make_queries([[1, 2]] * 16, n_items=40, k=1)
    for _ in range(60):
        blend.predict(queries)
        outcomes = answered(queries, [7] * 16)
        blend.learn(replace(outcomes, lessons=make_lessons([], [])))
    assert blend.predict(queries).top_items_BK.tolist() == [[7]] * 16


def test_each_part_answers_for_itself_as_it_would_alone() -> None:
    blend = make_blend(n_items=30)
    alone = {
        "transformer": TransformerLearner(TRANSFORMER),
        "session_knn": SessionNeighbours(SessionNeighboursConfig()),
        "item_knn": ItemNeighbours(ItemNeighboursConfig()),
    }
    for learner in alone.values():
        learner.follow(make_changes(30))
    for step in range(4):
        outcomes = make_outcomes(random_lessons(step, 30))
        for learner in (blend, *alone.values()):
            learner.learn(outcomes)
    queries = replace(random_queries(9, 30, is_excluding=True), shown=random_shown(9, 30))
    predictions, parts = blend.predict_all(queries)
    assert tuple(parts) == blend.parts == tuple(alone)
    for name, learner in alone.items():
        assert_same_bits(parts[name], learner.predict(queries))
    assert_same_bits(predictions.click_probability_S, parts["transformer"].click_probability_S)


def test_what_was_predicted_is_not_worked_out_again_to_be_learned() -> None:
    voter = Voter([4], [1.0])
    blend = blend_of(voter=voter)
    queries = make_queries([[1]], n_items=40)
    blend.predict(queries)
    blend.learn(answered(queries, [4]))
    assert voter.asked == 1


def test_the_order_is_learned_alike_whether_or_not_it_was_asked_for_before() -> None:
    first, second = make_blend(), make_blend()
    queries = random_queries(1, 12)
    first.predict(queries)
    for blend in (first, second):
        blend.learn(answered(queries, [3] * len(queries)))
    assert_same_bits(first.state_dict(), second.state_dict())


@pytest.mark.parametrize("answer", [-1, 25])
def test_an_answer_that_no_part_named_teaches_no_order(answer: int) -> None:
    blend = make_blend(candidates=3, n_items=30)
    queries = make_queries([[1, 2]], n_items=30, k=3)
    listed = {
        int(row) for part in blend.predict_all(queries)[1].values() for row in part.top_items_BK[0]
    }
    assert answer not in listed - {-1}
    before = blend.state_dict()["reranker"]["moments"]
    blend.learn(answered(queries, [answer]))
    assert_same_bits(blend.state_dict()["reranker"]["moments"], before)


def test_a_query_that_is_no_sample_teaches_no_order() -> None:
    blend = make_blend()
    queries = make_queries([[1, 2]], n_items=12)
    outcomes = answered(queries, [4])
    blend.learn(replace(outcomes, is_sample_B=np.zeros(1, np.bool_)))
    assert blend.state_dict()["reranker"]["moments"] == {}


def test_to_adjust_and_to_restore_concern_the_transformer() -> None:
    blend = make_blend()
    before = blend.state_dict()["parts"]["transformer"]
    earlier = {"parts": {"transformer": TransformerLearner(TRANSFORMER).state_dict()}}
    blend.adjust(2.0, 1.5)
    assert blend.state_dict()["parts"]["transformer"]["replay_factor"] == 2.0
    blend.adjust(1.0, 1.0)
    assert_same_bits(blend.state_dict()["parts"]["transformer"], before)
    earlier["parts"]["transformer"] = before
    blend.restore(earlier, np.ones(12, np.bool_))
    assert_same_bits(
        blend.state_dict()["parts"]["transformer"]["finetuner"]["weights"],
        before["finetuner"]["weights"],
    )


def test_rehearsing_teaches_the_transformer_and_nobody_else() -> None:
    blend = make_blend()
    lessons = make_lessons([[1, 2], [3]], [4, 5])
    blend.learn(make_outcomes(lessons))
    before = copy.deepcopy(blend.state_dict())
    blend.rehearse(lessons)
    after = blend.state_dict()
    assert not is_same(after["parts"].pop("transformer"), before["parts"].pop("transformer"))
    assert_same_bits(after, before)
