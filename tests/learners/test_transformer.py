import numpy as np
import pytest
import torch
from pydantic import ValidationError

from learners.transformer import TransformerConfig, TransformerLearner
from stream.values import Contexts, Queries
from tests.conformance.learner_contract import LearnerContract
from tests.stream_values import make_changes, make_lessons, make_outcomes, make_queries


def learner_of(**settings: object) -> TransformerLearner:
    config = {"width": 8, "layers": 1, "history_items": 8, "minibatch": 8, "device": "cpu"}
    return TransformerLearner(TransformerConfig.model_validate(config | settings))


class TestTransformer(LearnerContract):
    @staticmethod
    def make() -> TransformerLearner:
        learner = learner_of()
        learner.follow(make_changes(12))
        return learner


def test_it_learns_which_item_follows_which():
    """A cycle over six items: after some hundred clicks the successor leads each list."""
    learner = learner_of(replay_ratio=1, width=16)
    learner.follow(make_changes(6))
    rng = np.random.default_rng(0)
    for _ in range(40):
        ends = rng.integers(0, 6, 16)
        histories = [[(int(end) - 2) % 6, (int(end) - 1) % 6, int(end)] for end in ends]
        targets = [(int(end) + 1) % 6 for end in ends]
        learner.learn(make_outcomes(make_lessons(histories, targets)))
    asked = make_queries([[4, 5, 0], [1, 2, 3]], n_items=6, k=2)
    assert learner.predict(asked).top_items_BK[:, 0].tolist() == [1, 4]


def test_histories_of_other_lengths_do_not_change_a_prediction():
    """Bucketing and padding are invisible: each context is ranked as if it stood alone."""
    learner = learner_of(history_items=40)
    learner.follow(make_changes(30))
    rng = np.random.default_rng(1)
    histories = [rng.integers(0, 30, n).tolist() for n in (0, 1, 3, 4, 5, 9, 17, 33, 40)]
    together = learner.predict(make_queries(histories, n_items=30, k=5)).top_items_BK
    for history, expected in zip(histories, together.tolist(), strict=True):
        alone = learner.predict(make_queries([history], n_items=30, k=5)).top_items_BK
        assert alone.tolist() == [expected]


def test_predicting_draws_no_dropout_and_learning_does_not_leave_it_on():
    learner = learner_of(dropout=0.5)
    learner.follow(make_changes(20))
    learner.learn(make_outcomes(make_lessons([[1, 2, 3]], [4])))
    queries = make_queries([[1, 2, 3]] * 2, n_items=20, k=20)
    first = learner.predict(queries).top_items_BK
    assert first[0].tolist() == first[1].tolist()
    assert learner.predict(queries).top_items_BK.tolist() == first.tolist()


def test_equal_seeds_give_equal_weights_and_others_do_not():
    def weights(seed: int) -> bytes:
        learner = learner_of(seed=seed)
        learner.follow(make_changes(9))
        for _ in range(3):
            learner.learn(make_outcomes(make_lessons([[1, 2], [3]], [4, 5])))
        state = learner.state_dict()["finetuner"]["weights"]
        return b"".join(np.asarray(entry["weight"]).tobytes() for entry in state.values())

    assert weights(1) == weights(1)
    assert weights(1) != weights(2)


def test_nothing_is_ranked_before_an_item_is_known():
    learner = learner_of()
    empty = Contexts(np.full((1, 1), -1, np.int32), np.zeros(1, np.int32))
    queries = Queries(
        empty,
        np.zeros(1, np.int32),
        np.zeros(1, np.int64),
        np.zeros(1, np.int64),
        np.zeros(1, np.int32),
        0,
        np.zeros(0, np.uint32),
        3,
    )
    assert learner.predict(queries).top_items_BK.tolist() == [[-1, -1, -1]]


def test_a_width_that_rotary_positions_cannot_pair_is_refused():
    with pytest.raises(ValidationError, match=r"width 10 must be a multiple of 2 x heads \(4\)"):
        TransformerConfig(width=10, heads=2)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_cuda_it_ranks_like_on_the_cpu():
    lists = []
    for device in ("cpu", "cuda"):
        learner = learner_of(device=device)
        learner.follow(make_changes(12))
        queries = make_queries([[1, 2], [3]], n_items=12, k=1)
        lists.append(learner.predict(queries).top_items_BK.tolist())
    assert lists[0] == lists[1]
