"""The transformer with every option of its loss and of its learning rates on."""

import numpy as np
import pytest
import torch

from learners.transformer import TransformerLearner
from learners.transformer_config import TransformerConfig
from stream.values import Lessons, Predictions
from tests.conformance.learner_contract import LearnerContract
from tests.conformance.stateful_contract import assert_same_bits, is_same
from tests.stream_values import make_changes, make_lessons, make_outcomes, make_queries

EVERYTHING = {
    "temperature": None,
    "objective": {"label_smoothing": 0.05, "distillation": 0.5},
    "optimizer": {"schedule": {"warmup_steps": 3, "decay_steps": 9}},
}
SMALL = {"width": 16, "layers": 1, "history_items": 8, "minibatch": 8, "device": "cpu"}


def learner_of(**settings: object) -> TransformerLearner:
    return TransformerLearner(TransformerConfig.model_validate(SMALL | settings))


class TestWithEveryOption(LearnerContract):
    @staticmethod
    def make() -> TransformerLearner:
        learner = learner_of(**EVERYTHING)
        learner.follow(make_changes(12))
        return learner


class TestWithEveryOptionOfALargeCatalogue(LearnerContract):
    @staticmethod
    def make() -> TransformerLearner:
        learner = learner_of(**EVERYTHING, sampling={"exact_items": 20, "negatives": 16})
        learner.follow(make_changes(12))
        return learner


def a_cycle(seed: int) -> Lessons:
    ends = np.random.default_rng(seed).integers(0, 6, 16)
    histories = [[(int(end) - 2) % 6, (int(end) - 1) % 6, int(end)] for end in ends]
    return make_lessons(histories, [(int(end) + 1) % 6 for end in ends])


def taught(n_batches: int = 40, **settings: object) -> TransformerLearner:
    learner = learner_of(replay_ratio=1, **settings)
    learner.follow(make_changes(6))
    for step in range(n_batches):
        learner.learn(make_outcomes(a_cycle(step)))
    return learner


def answers(learner: TransformerLearner) -> Predictions:
    return learner.predict(make_queries([[4, 5, 0], [1, 2, 3]], n_items=6, k=2))


@pytest.mark.parametrize("option", [*EVERYTHING, "all"])
def test_it_learns_which_item_follows_which(option):
    settings = EVERYTHING if option == "all" else {option: EVERYTHING[option]}
    assert answers(taught(150, **settings)).top_items_BK[:, 0].tolist() == [1, 4]


@pytest.mark.parametrize(
    "objective", [{"label_smoothing": 0.1}, {"distillation": 1.0}], ids=lambda one: next(iter(one))
)
def test_an_objective_moves_the_weights_elsewhere(objective):
    plain, other = taught(3).state_dict(), taught(3, objective=objective).state_dict()
    assert not is_same(plain["finetuner"]["weights"], other["finetuner"]["weights"])


def test_without_anything_replayed_there_is_no_teacher():
    plain = taught(3, objective={}).state_dict()
    learner = learner_of(replay_ratio=0, objective={"distillation": 1.0})
    learner.follow(make_changes(6))
    undistilled = learner_of(replay_ratio=0)
    undistilled.follow(make_changes(6))
    for one in (learner, undistilled):
        one.learn(make_outcomes(a_cycle(0)))
    assert_same_bits(learner.state_dict(), undistilled.state_dict())
    assert not is_same(plain, learner.state_dict())


def test_the_teacher_is_taught_nothing_by_distillation():
    learner = taught(3, objective={"distillation": 1.0})
    assert all(not weight.requires_grad for weight in learner._served.scorer.parameters())


def test_a_plain_product_ranks_by_the_items_lengths_too():
    learner = taught(temperature=None)
    with torch.no_grad():
        learner._served.scorer.items.table("vector_VD")[3] *= 100
    longest = answers(learner).top_items_BK
    assert (longest[:, 0] == 3).any()
    cosine = taught()
    before = answers(cosine).top_items_BK
    with torch.no_grad():
        cosine._served.scorer.items.table("vector_VD")[3] *= 100
    np.testing.assert_array_equal(answers(cosine).top_items_BK, before)


def test_a_schedule_goes_on_where_it_stopped():
    schedule = {"optimizer": {"schedule": {"warmup_steps": 50, "decay_steps": 60}}}
    learner, resumed = taught(4, **schedule), learner_of(replay_ratio=1, **schedule)
    resumed.load_state_dict(learner.state_dict())
    for one in (learner, resumed):
        one.learn(make_outcomes(a_cycle(9)))
    assert_same_bits(learner.state_dict(), resumed.state_dict())
    constant = taught(4)
    assert not is_same(constant.state_dict()["finetuner"], learner.state_dict()["finetuner"])
