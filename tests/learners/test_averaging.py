import copy

import numpy as np
import pytest
import torch

from learners.averaging import AveragedScorer
from learners.scorer import Scorer
from tests.conformance.stateful_contract import StatefulContract, assert_same_bits
from tests.learners.small_scorers import small_scorer
from tests.stream_values import make_changes

_TABLE = "items.vector_VD"


def scorer_of(n_items: int) -> Scorer:
    scorer = small_scorer()
    grow(scorer, n_items)
    return scorer


def grow(scorer: Scorer, n_items: int) -> None:
    table = torch.randn(n_items, 8, generator=torch.Generator().manual_seed(n_items))
    scorer.items.vector_VD = torch.nn.Parameter(table)
    scorer.items.n_rows["vector_VD"] = n_items
    scorer.items.content.follow(make_changes(n_items))


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


def rows_moved(step: int) -> np.ndarray:
    """Row 0 in every step, row 1 seldom, row 2 early and then never again; row 3 never."""
    return np.array([row for row in (0, 1, 2) if row == 0 or step in ((3, 9), (0, 1, 2))[row - 1]])


def move_rows(scorer: Scorer, rows_R: np.ndarray, step: int) -> None:
    with torch.no_grad():
        scorer.start_D.add_(step + 1)
        scorer.items.vector_VD[rows_R] += step + 1


@pytest.mark.parametrize("decay", [0.0, 0.6, 0.97])
@pytest.mark.parametrize("n_full", [0, 2])
def test_the_mean_of_items_that_stand_still_is_that_of_a_mean_which_reads_them_all(decay, n_full):
    trained = scorer_of(4)
    lazy, eager = (AveragedScorer(trained, decay) for _ in range(2))
    for step in range(12):
        rows_R = rows_moved(step)
        if step >= n_full:
            lazy.settle(rows_R)
        move_rows(trained, rows_R, step)
        eager.update()
        if step >= n_full:
            lazy.update_rows(rows_R)
        else:
            lazy.update()
        expected_VD = eager.scorer.items.vector_VD
        torch.testing.assert_close(lazy.vectors(), expected_VD, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(lazy.vectors(np.array([2, 1])), expected_VD[[2, 1]])
    assert torch.equal(lazy.scorer.start_D, eager.scorer.start_D)


def test_reading_what_is_served_changes_no_mean():
    trained = scorer_of(4)
    averaged = AveragedScorer(trained, decay=0.9)
    for step in range(4):
        averaged.settle(rows_moved(step))
        move_rows(trained, rows_moved(step), step)
        averaged.update_rows(rows_moved(step))
    before = copy.deepcopy(averaged.state_dict())
    assert not np.array_equal(averaged.vectors()[2].numpy(), before["weights"][_TABLE][2])
    assert_same_bits(averaged.state_dict(), before)


def test_means_of_items_that_stood_still_are_taken_back_as_they_were_served():
    trained = scorer_of(4)
    averaged = AveragedScorer(trained, decay=0.9)

    def step(number: int) -> None:
        averaged.settle(rows_moved(number))
        move_rows(trained, rows_moved(number), number)
        averaged.update_rows(rows_moved(number))

    for number in range(5):
        step(number)
    earlier, weights_VD = copy.deepcopy(averaged.state_dict()), trained.items.vector_VD.clone()
    served_VD = averaged.vectors().clone()
    for number in range(5, 12):
        step(number)
    with torch.no_grad():
        trained.items.vector_VD[[0, 2]] = weights_VD[[0, 2]]
    averaged.restore(earlier, np.array([0, 2]))
    torch.testing.assert_close(averaged.vectors()[[0, 2]], served_VD[[0, 2]])


class TestAveragedScorerOfRowsState(TestAveragedScorerState):
    """The same promises where steps move some items alone."""

    @staticmethod
    def drive(stateful: AveragedScorer, step: int) -> object:
        grow(stateful._trained, 3 + step)
        stateful.start_fresh({"vector_VD": np.array([2 + step], np.int32)})
        stateful.settle(np.array([0, 2]))
        stateful.update_rows(np.array([0, 2]))
        return stateful.vectors().numpy().copy()
