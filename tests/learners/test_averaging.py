import copy

import numpy as np
import torch

from learners.averaging import AveragedScorer
from learners.scorer import Scorer
from tests.conformance.stateful_contract import StatefulContract
from tests.learners.small_scorers import small_scorer


def scorer_of(n_items: int) -> Scorer:
    scorer = small_scorer()
    grow(scorer, n_items)
    return scorer


def grow(scorer: Scorer, n_items: int) -> None:
    table = torch.randn(n_items, 8, generator=torch.Generator().manual_seed(n_items))
    scorer.items.vector_VD = torch.nn.Parameter(table)
    scorer.items.n_rows["vector_VD"] = n_items


def move(scorer: Scorer, step: int) -> None:
    with torch.no_grad():
        for weight in scorer.parameters():
            weight.add_(step + 1)


def test_the_mean_is_exponential_after_the_first_steps():
    trained = scorer_of(3)
    averaged = AveragedScorer(trained, decay=0.6)
    expected = None
    for step in range(6):
        move(trained, step)
        averaged.update()
        decay = min(0.6, step / (step + 1))
        start = trained.start_D.detach().numpy().copy()
        expected = start if expected is None else decay * expected + (1 - decay) * start
    np.testing.assert_allclose(averaged.scorer.start_D.numpy(), expected, rtol=1e-5)


def test_without_decay_the_newest_weights_are_served():
    trained = scorer_of(3)
    averaged = AveragedScorer(trained, decay=0.0)
    for step in range(3):
        move(trained, step)
        averaged.update()
    assert torch.equal(averaged.scorer.items.vector_VD, trained.items.vector_VD)


def test_fresh_rows_are_served_at_once_and_the_others_keep_their_mean():
    trained = scorer_of(3)
    averaged = AveragedScorer(trained, decay=0.9)
    averaged.update()
    before = averaged.scorer.items.vector_VD.clone()
    grow(trained, 5)
    averaged.start_fresh({"vector_VD": np.array([1, 3, 4], np.int32)})
    after = averaged.scorer.items.vector_VD
    assert torch.equal(after[[0, 2]], before[[0, 2]])
    assert torch.equal(after[[1, 3, 4]], trained.items.vector_VD.detach()[[1, 3, 4]])
    assert averaged.scorer.items.n_rows["vector_VD"] == 5


class TestAveragedScorerState(StatefulContract):
    @staticmethod
    def make() -> AveragedScorer:
        return AveragedScorer(scorer_of(3), decay=0.7)

    @staticmethod
    def drive(stateful: AveragedScorer, step: int) -> object:
        grow(stateful._trained, 3 + step)
        stateful.start_fresh({"vector_VD": np.array([2 + step], np.int32)})
        stateful.update()
        return stateful.scorer.items.vector_VD.numpy().copy()

    def test_a_fresh_object_given_a_state_goes_on_like_the_one_that_wrote_it(self) -> None:
        """The trained scorer is restored by its own owner: here by walking it to the same step."""
        for cut in range(1, 6):
            unbroken = self.make()
            for step in range(cut):
                self.drive(unbroken, step)
            resumed = self.make()
            grow(resumed._trained, 2 + cut)
            resumed.load_state_dict(unbroken.state_dict())
            for step in range(cut, 6):
                one, other = self.drive(unbroken, step), self.drive(resumed, step)
                np.testing.assert_array_equal(one, other)

    def test_a_loaded_state_is_handed_out_unchanged(self) -> None:
        state = self.state_after(4)
        resumed = self.make()
        grow(resumed._trained, 6)
        resumed.load_state_dict(state)
        np.testing.assert_array_equal(
            resumed.state_dict()["weights"]["items.vector_VD"],
            state["weights"]["items.vector_VD"],
        )


def test_means_are_taken_back_those_of_items_row_by_row():
    trained = scorer_of(3)
    averaged = AveragedScorer(trained, decay=0.9)
    averaged.update()
    earlier = copy.deepcopy(averaged.state_dict())
    grow(trained, 5)
    averaged.start_fresh({"vector_VD": np.array([3, 4], np.int32)})
    for step in range(3):
        move(trained, step)
        averaged.update()
    later = copy.deepcopy(averaged.state_dict())
    averaged.restore(earlier, np.array([0, 2]))
    now = averaged.state_dict()
    assert now["n_updates"] == later["n_updates"] == 4
    for name, mean in now["weights"].items():
        expected = np.array(earlier["weights"][name])
        if name == "items.vector_VD":
            expected = np.array(later["weights"][name])
            expected[[0, 2]] = earlier["weights"][name][[0, 2]]
        np.testing.assert_array_equal(mean, expected)
    move(trained, 9)
    averaged.update()
    moved = averaged.state_dict()["weights"]["start_D"]
    assert not np.array_equal(moved, earlier["weights"]["start_D"])
