from collections.abc import Iterator

import numpy as np
import pytest
import torch

from learners.in_play import InPlay
from learners.sampling import NegativeSampler, SamplingConfig
from tests.conformance.stateful_contract import StatefulContract
from tests.stream_values import make_changes

N_ITEMS = 40
READ_R = np.array([2, 3, 11])


def sampler_of(negatives: int = 12, clicks: int = 600, n_items: int = N_ITEMS) -> NegativeSampler:
    """A sampler that has seen few items clicked often and most of them seldom."""
    sampler = NegativeSampler(SamplingConfig(negatives=negatives))
    rng = np.random.default_rng(1)
    sampler.add((n_items * rng.random(clicks) ** 3).astype(np.int32))
    return sampler


def draws(sampler: NegativeSampler, n_draws: int, n_items: int = N_ITEMS) -> Iterator[InPlay]:
    for number in range(n_draws):
        yield sampler.draw(READ_R, n_items, np.random.default_rng((5, number)))


@pytest.mark.parametrize("clicks", [0, 600])
def test_the_weights_of_the_draws_sum_to_one_for_each_item_on_average(clicks):
    """So that the sum over the rows in play is, on average, the sum over all items."""
    weight_V = np.zeros(N_ITEMS)
    for in_play in draws(sampler_of(clicks=clicks), 4_000):
        weight_V[in_play.row_P] += np.exp(in_play.log_weight_P) / 4_000
    np.testing.assert_allclose(weight_V, 1.0, atol=0.12)


def test_what_the_step_reads_counts_once_and_is_never_its_own_negative():
    for in_play in draws(sampler_of(), 50):
        assert (np.diff(in_play.row_P) > 0).all()
        place_R = np.searchsorted(in_play.row_P, READ_R)
        assert in_play.row_P[place_R].tolist() == READ_R.tolist()
        assert not in_play.log_weight_P[place_R].any()


def test_the_gradient_approaches_that_of_the_full_softmax():
    """Its mean over many draws does, as there are more negatives; without the weights it does not.

    Distances are sums over all items, of a gradient whose entries sum to 2.
    """
    n_items = 300
    score_V = torch.randn(n_items, generator=torch.Generator().manual_seed(0)).requires_grad_()
    exact_V = gradient(score_V, np.arange(n_items), np.zeros(n_items, np.float32))

    def apart(negatives: int, weighted: float) -> float:
        mean_V, n_draws = torch.zeros(n_items), 600
        sampler = sampler_of(negatives, n_items=n_items)
        for in_play in draws(sampler, n_draws, n_items):
            log_weight_P = weighted * in_play.log_weight_P
            mean_V += gradient(score_V, in_play.row_P, log_weight_P) / n_draws
        return float((mean_V - exact_V).abs().sum())

    assert apart(128, 1.0) < apart(8, 1.0) / 4
    assert apart(128, 1.0) < 0.08
    assert apart(128, 0.0) > 0.3


def gradient(score_V: torch.Tensor, row_P: np.ndarray, log_weight_P: np.ndarray) -> torch.Tensor:
    """Of the loss of a target that the step reads, by the score of each item."""
    score_P = score_V[torch.from_numpy(row_P)] + torch.from_numpy(log_weight_P)
    target = torch.tensor(np.searchsorted(row_P, READ_R[1]))
    loss = torch.nn.functional.cross_entropy(score_P, target)
    return torch.autograd.grad(loss, score_V)[0]


def test_clicks_on_recycled_rows_are_forgotten():
    sampler = sampler_of(negatives=400)
    sampler.follow(make_changes(N_ITEMS, recycled=[0, 1]))
    drawn = [sampler.draw(READ_R, 10**6, np.random.default_rng(n)).row_P for n in range(3)]
    assert not np.isin([0, 1], np.concatenate(drawn)).any()
    assert np.isin([4, 5], np.concatenate(drawn)).all(), "others are still drawn by their clicks"


def test_the_oldest_clicks_drop_out_of_the_counts(monkeypatch):
    monkeypatch.setattr("learners.sampling._CLICKS_KEPT", 5)
    sampler = NegativeSampler(SamplingConfig(negatives=100))
    for rows in ([7, 8, 7], [8, 8, 8], [9, 9]):
        sampler.add(np.array(rows, np.int32))
    in_play = sampler.draw(np.array([0]), 10**6, np.random.default_rng(0))
    assert 7 not in in_play.row_P
    expected = 50 / 10**6 + 50 * 3 / 5
    weight = np.exp(in_play.log_weight_P[in_play.row_P == 8])
    np.testing.assert_allclose(weight * expected, round(float(weight[0] * expected)), rtol=1e-5)


class TestNegativeSamplerState(StatefulContract):
    @staticmethod
    def make() -> NegativeSampler:
        return NegativeSampler(SamplingConfig(negatives=10))

    @staticmethod
    def drive(stateful: NegativeSampler, step: int) -> object:
        rng = np.random.default_rng(step)
        stateful.add(rng.integers(0, 20 + step, 30).astype(np.int32))
        stateful.follow(make_changes(20 + step, recycled=[step] if step % 2 else []))
        in_play = stateful.draw(READ_R, 20 + step, rng)
        return [in_play.row_P, in_play.log_weight_P]
