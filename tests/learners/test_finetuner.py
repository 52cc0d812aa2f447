import copy
from functools import partial

import numpy as np
import pytest
import torch

from learners.finetuner import FineTuner, FineTunerConfig
from learners.scorer import Scorer
from tests.conformance.stateful_contract import StatefulContract
from tests.learners.small_scorers import small_scorer
from tests.stream_values import make_changes


def tuner_of(n_items: int = 6) -> tuple[Scorer, FineTuner]:
    scorer = small_scorer()
    tuner = FineTuner(FineTunerConfig(), scorer, seed=0)
    if n_items:
        tuner.follow(make_changes(n_items))
    return scorer, tuner


def loss_of(scorer: Scorer, target: int = 1) -> torch.Tensor:
    item_VD = scorer.items.vectors()
    state_CSD = scorer.states(torch.tensor([[0, 1, 2], [2, 3, -1]]), item_VD)
    scores_NV = scorer.scores(state_CSD[:, 2], item_VD)
    return torch.nn.functional.cross_entropy(scores_NV, torch.tensor([target, target]))


def steps(scorer: Scorer, tuner: FineTuner, n_steps: int) -> None:
    for _ in range(n_steps):
        tuner.step(lambda: loss_of(scorer))


def test_steps_go_down_the_loss():
    scorer, tuner = tuner_of()
    before = float(loss_of(scorer).detach())
    steps(scorer, tuner, 20)
    assert float(loss_of(scorer).detach()) < before / 2


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_never_reaches_the_weights(bad):
    scorer, tuner = tuner_of()
    steps(scorer, tuner, 3)
    before = {name: weight.clone() for name, weight in scorer.state_dict().items()}
    tuner.step(lambda: loss_of(scorer) * bad)
    assert tuner.steps.n_skipped == 1
    for name, weight in scorer.state_dict().items():
        assert torch.equal(weight, before[name])


def test_growth_keeps_every_row_and_its_moments():
    scorer, tuner = tuner_of(6)
    steps(scorer, tuner, 3)
    before = tuner.state_dict()["weights"]["items.vector_VD"]
    before = {name: np.array(value) for name, value in before.items()}
    tuner.follow(make_changes(40))
    after = tuner.state_dict()["weights"]["items.vector_VD"]
    for name in ("weight", "exp_avg", "exp_avg_sq"):
        np.testing.assert_array_equal(after[name][:6], before[name])
        assert len(after[name]) == 40
    assert not after["exp_avg"][6:].any()
    assert after["step"] == 3


def test_a_recycled_row_starts_fresh_without_moments():
    scorer, tuner = tuner_of(6)
    steps(scorer, tuner, 3)
    before = np.array(tuner.state_dict()["weights"]["items.vector_VD"]["weight"])
    tuner.follow(make_changes(6, recycled=(1,)))
    after = tuner.state_dict()["weights"]["items.vector_VD"]
    assert not np.array_equal(after["weight"][1], before[1])
    np.testing.assert_array_equal(np.delete(after["weight"], 1, 0), np.delete(before, 1, 0))
    assert not after["exp_avg"][1].any()
    assert not after["exp_avg_sq"][1].any()
    assert after["exp_avg"][2].any()


def test_fresh_rows_do_not_depend_on_how_they_came():
    _, at_once = tuner_of(0)
    at_once.follow(make_changes(6))
    _, tuner = tuner_of(0)
    tuner.follow(make_changes(6))
    one, other = (t.state_dict()["weights"]["items.vector_VD"]["weight"] for t in (at_once, tuner))
    np.testing.assert_array_equal(one, other)
    assert len(np.unique(one, axis=0)) == 6


def test_the_global_random_state_is_left_alone():
    scorer, tuner = tuner_of()
    before = torch.random.get_rng_state()
    steps(scorer, tuner, 2)
    assert torch.equal(torch.random.get_rng_state(), before)


class TestFineTunerState(StatefulContract):
    """With the scorer that it tunes: what is compared is every weight and every moment."""

    @staticmethod
    def make() -> FineTuner:
        return tuner_of(0)[1]

    @staticmethod
    def drive(stateful: FineTuner, step: int) -> object:
        stateful.follow(make_changes(5 + step, recycled=(step,) if step else ()))
        steps(stateful._scorer, stateful, 2)
        return loss_of(stateful._scorer).detach().numpy()


def test_an_infinite_loss_with_finite_gradients_is_skipped_too():
    scorer, tuner = tuner_of()
    before = scorer.start_D.detach().clone()
    tuner.step(lambda: loss_of(scorer) + float("inf"))
    assert tuner.steps.n_skipped == 1
    assert torch.equal(scorer.start_D, before)


def test_a_token_that_is_new_has_a_fresh_vector_without_moments():
    scorer, tuner = tuner_of()
    content = scorer.items.content
    for title in ("red", "red shoes"):
        changes = make_changes(6, described={1: {"title": title}})
        content.follow(changes)
        fresh = tuner.follow(changes)
        steps(scorer, tuner, 3)
    assert {name: rows.tolist() for name, rows in fresh.items()} == {
        "vector_VD": [],
        "token_HD": [1],
    }
    state = tuner.state_dict()["weights"]["items.token_HD"]
    assert state["weight"].shape == (2, 8)
    # Three steps for the newer one, six for the older.
    assert (np.abs(state["exp_avg_sq"][1]) < np.abs(state["exp_avg_sq"][0])).mean() > 0.5


def test_each_step_draws_its_own_dropout():
    scorer, tuner = tuner_of()
    drawn = []

    def loss() -> torch.Tensor:
        drawn.append(scorer.dropout(torch.ones(200)).detach())
        return loss_of(scorer)

    tuner.step(loss)
    tuner.step(loss)
    assert not torch.equal(drawn[0], drawn[1])
    assert set(drawn[0].tolist()) != {1.0}, "dropout is on while learning"
    assert torch.equal(scorer.dropout(torch.ones(9)), torch.ones(9)), "and off afterwards"


def copied(tuner: FineTuner) -> dict:
    return copy.deepcopy(tuner.state_dict())


def test_learning_rates_are_multiplied_until_they_are_set_back():
    def moved(factor: float) -> float:
        scorer, tuner = tuner_of()
        tuner.adjust(3.0)
        tuner.adjust(factor)
        before = scorer.mixture_2.detach().clone()
        steps(scorer, tuner, 1)
        return float((scorer.mixture_2.detach() - before).abs().max())

    # AdamW's first step moves each weight by its learning rate.
    assert moved(1.0) == pytest.approx(FineTunerConfig().learning_rate, rel=1e-3)
    assert moved(2.5) == pytest.approx(2.5 * FineTunerConfig().learning_rate, rel=1e-3)


def test_weights_and_moments_are_taken_back_those_of_items_row_by_row():
    scorer, tuner = tuner_of(6)
    steps(scorer, tuner, 3)
    earlier = copied(tuner)
    tuner.follow(make_changes(9, recycled=(1,)))
    steps(scorer, tuner, 4)
    later = copied(tuner)
    tuner.restore(earlier, np.array([0, 2, 5]))
    now = tuner.state_dict()
    for name, entry in now["weights"].items():
        for kind in entry.keys() - {"step"}:
            expected = np.array(earlier["weights"][name][kind])
            if name == "items.vector_VD":
                expected = np.array(later["weights"][name][kind])
                expected[[0, 2, 5]] = earlier["weights"][name][kind][[0, 2, 5]]
            np.testing.assert_array_equal(entry[kind], expected, f"{name}.{kind}")
        if name in ("items.vector_VD", "start_D"):
            assert entry["step"] == (7 if name == "items.vector_VD" else 3)
    counters = ("n_rows", "capacity", "n_steps", "n_skipped", "n_fresh")
    assert [now[name] for name in counters] == [later[name] for name in counters]


def test_going_back_to_a_state_before_the_first_step_takes_the_moments_back_too():
    scorer, tuner = tuner_of(6)
    earlier = copied(tuner)
    steps(scorer, tuner, 4)
    tuner.restore(earlier, np.arange(6))
    for name, entry in tuner.state_dict()["weights"].items():
        np.testing.assert_array_equal(entry["weight"], earlier["weights"][name]["weight"])
        assert not any(entry[kind].any() for kind in entry.keys() & {"exp_avg", "exp_avg_sq"})
    assert tuner.state_dict()["weights"]["start_D"]["step"] == 0


def test_a_state_that_was_taken_back_goes_on_as_it_did():
    """Without dropout, whose draws go on: the same three steps lead to the same weights."""
    scorer, tuner = tuner_of(6)
    steps(scorer, tuner, 3)
    earlier = copied(tuner)
    scorer.dropout.p = 0.0
    for layer in scorer.backbone.layers:
        layer.self_attn.attention_dropout = 0.0
    ends = []
    for _ in range(2):
        steps(scorer, tuner, 3)
        ends.append(scorer.start_D.detach().clone())
        tuner.restore(earlier, np.arange(6))
    # Nearly: the item table's step count, by which its bias is corrected, goes on as well.
    torch.testing.assert_close(ends[0], ends[1], rtol=1e-3, atol=1e-3)


def test_a_loss_that_read_some_items_alone_moves_these_alone_by_the_same_step():
    """The clip norm is over the same gradient, and all other weights go the same way."""
    weights = []
    for is_sparse in (False, True):
        scorer, tuner = tuner_of(6)
        scorer.items.content.follow(make_changes(6))
        before_VD = scorer.items.vector_VD.detach().clone()
        for _ in range(3):
            tuner.step(partial(loss_of_rows, scorer, np.array([1, 2, 4]), is_sparse))
        state = tuner.state_dict()["weights"]
        np.testing.assert_array_equal(
            state["items.vector_VD"]["weight"][[0, 3, 5]], before_VD[[0, 3, 5]]
        )
        weights.append(state)
    for name, entry in weights[0].items():
        for kind in entry:
            np.testing.assert_allclose(
                entry[kind], weights[1][name][kind], 1e-4, 1e-6, err_msg=name
            )


def loss_of_rows(scorer: Scorer, row_P: np.ndarray, is_sparse: bool) -> torch.Tensor:
    item_PD = scorer.items.vectors(row_P) if is_sparse else scorer.items.vectors()[row_P]
    state_CSD = scorer.states(torch.tensor([[0, 1], [2, 0]]), item_PD)
    score_NP = scorer.scores(state_CSD[:, 2], item_PD)
    return torch.nn.functional.cross_entropy(score_NP, torch.tensor([1, 2]))


class TestFineTunerOfRowsState(StatefulContract):
    """The same where steps move some items alone, from a table without moments on."""

    @staticmethod
    def make() -> FineTuner:
        return tuner_of(0)[1]

    @staticmethod
    def drive(stateful: FineTuner, step: int) -> object:
        changes = make_changes(5 + step, recycled=(step,) if step else ())
        stateful._scorer.items.content.follow(changes)
        stateful.follow(changes)
        row_P = np.array([0, step, 4 + step]) if step else np.array([0, 1, 4])
        stateful.step(lambda: loss_of_rows(stateful._scorer, row_P, True))
        return stateful._scorer.items.vector_VD.detach().numpy().copy()
