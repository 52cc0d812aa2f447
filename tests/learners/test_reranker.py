import itertools

import numpy as np
import torch

from learners.reranker import Reranker, RerankerConfig
from tests.conformance.stateful_contract import StatefulContract, assert_same_bits

N_FEATURES = 3


def make_reranker(**settings: object) -> Reranker:
    return Reranker(N_FEATURES, RerankerConfig.model_validate({"minibatch": 4, **settings}))


def lessons(seed: int, n_queries: int = 10) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Queries of 1 to 5 candidates; the one with the largest first feature is clicked."""
    rng = np.random.default_rng(seed)
    starts_Q = np.concatenate(([0], np.cumsum(rng.integers(1, 6, n_queries))))
    feature_UF = rng.normal(size=(starts_Q[-1], N_FEATURES)).astype(np.float32)
    clicked_Q = [
        start + int(feature_UF[start:stop, 0].argmax())
        for start, stop in itertools.pairwise(starts_Q)
    ]
    return (
        torch.from_numpy(feature_UF),
        torch.from_numpy(starts_Q),
        torch.tensor(clicked_Q),
    )


class TestReranker(StatefulContract):
    make = staticmethod(make_reranker)

    @staticmethod
    def drive(reranker: Reranker, step: int) -> np.ndarray:
        feature_UF, starts_Q, clicked_Q = lessons(step)
        scores = reranker.scores(feature_UF).numpy().copy()
        reranker.learn(feature_UF, starts_Q, clicked_Q)
        return scores


def test_it_learns_what_tells_the_clicked_one():
    reranker = make_reranker(learning_rate=0.03)
    for seed in range(150):
        reranker.learn(*lessons(seed))
    feature_UF, starts_Q, clicked_Q = lessons(99, n_queries=200)
    score_U = reranker.scores(feature_UF)
    best_Q = [
        int(start) + int(score_U[start:stop].argmax())
        for start, stop in itertools.pairwise(starts_Q)
    ]
    assert (torch.tensor(best_Q) == clicked_Q).float().mean() > 0.95


def test_one_step_goes_down_the_softmax_cross_entropy_of_the_candidates():
    """Against torch's own, on queries of as many candidates each."""
    ours, plain = make_reranker(minibatch=64), make_reranker(minibatch=64)
    feature_UF = torch.from_numpy(
        np.random.default_rng(0).normal(size=(24, N_FEATURES)).astype(np.float32)
    )
    place_Q = torch.tensor([1, 0, 3, 2, 2, 0])
    ours.learn(feature_UF, torch.arange(0, 25, 4), torch.arange(6) * 4 + place_Q)
    score_QC = plain._network(feature_UF)[:, 0].reshape(6, 4)
    plain._optimizer.zero_grad()
    torch.autograd.backward(torch.nn.functional.cross_entropy(score_QC, place_Q))
    plain._optimizer.step()
    for name, weight in plain._network.named_parameters():
        torch.testing.assert_close(ours._network.get_parameter(name), weight)


def test_a_step_that_is_not_finite_is_left_out_and_counted():
    reranker = make_reranker()
    feature_UF, starts_Q, clicked_Q = lessons(1, n_queries=3)
    before = {name: array.copy() for name, array in reranker.state_dict()["weights"].items()}
    reranker.learn(torch.full_like(feature_UF, torch.nan), starts_Q, clicked_Q)
    assert reranker.steps.n_skipped == 1
    assert_same_bits(reranker.state_dict()["weights"], before)


def test_a_lesson_teaches_the_same_whatever_torch_drew_before():
    torch.manual_seed(5)
    first = make_reranker(seed=3)
    torch.manual_seed(6)
    assert_same_bits(make_reranker(seed=3).state_dict(), first.state_dict())
