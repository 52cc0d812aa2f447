import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from learners.logistic_beliefs import Answers, LogisticBeliefs, probability
from tests.conformance.stateful_contract import StatefulContract
from tests.stream_values import make_changes

ALWAYS = 1e12


def design_of(n_samples: int, n_features: int = 3, seed: int = 0) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    columns = [np.ones((n_samples, 1)), rng.normal(0, 1, (n_samples, n_features))]
    return torch.from_numpy(np.concatenate(columns, axis=1))


def answers_of(yes_S: np.ndarray, weight_S: np.ndarray | float = 1.0) -> Answers:
    all_S = np.broadcast_to(weight_S, yes_S.shape).astype(np.float64)
    return Answers(torch.from_numpy(yes_S * all_S), torch.from_numpy(all_S.copy()))


def no_item(n_samples: int) -> np.ndarray:
    return np.full(n_samples, -1, np.int32)


@pytest.mark.parametrize("n_steps", [1, 40])
def test_the_weights_are_those_of_a_logistic_regression(n_steps):
    """At once scikit-learn's to the digit; step by step, within what a normal belief costs."""
    n, rng = 4_000, np.random.default_rng(1)
    design_SW = design_of(n)
    logit_S = design_SW.numpy() @ np.array([-1.0, 0.8, -0.5, 0.0])
    yes_S, weight_S = rng.random(n) < 1 / (1 + np.exp(-logit_S)), rng.uniform(0.2, 2.0, n)
    beliefs = LogisticBeliefs([1.0] * 4, 0.5)
    for part in np.array_split(np.arange(n), n_steps):
        answers = answers_of(yes_S[part].astype(float), weight_S[part])
        beliefs.learn(design_SW[torch.from_numpy(part)], no_item(len(part)), answers, ALWAYS)
    known = LogisticRegression(fit_intercept=False, C=1.0, tol=1e-10, max_iter=1000)
    known.fit(design_SW.numpy(), yes_S, sample_weight=weight_S)
    tolerance = 1e-4 if n_steps == 1 else 0.02
    np.testing.assert_allclose(beliefs.state_dict()["weight"], known.coef_[0], atol=tolerance)


def test_a_gradient_reaches_the_design_and_not_the_beliefs():
    beliefs = LogisticBeliefs([1.0] * 4, 0.2)
    beliefs.learn(design_of(50), no_item(50), answers_of(np.tile([1.0, 0.0], 25)), ALWAYS)
    design_SW = design_of(5).requires_grad_()
    beliefs.logits(design_SW, no_item(5)).sum().backward()
    weight_W = torch.from_numpy(beliefs.state_dict()["weight"])
    torch.testing.assert_close(design_SW.grad, weight_W.expand(5, -1))


def test_before_the_first_answer_the_prior_is_told():
    beliefs = LogisticBeliefs([1.0] * 4, 0.2)
    design_SW = design_of(3)
    design_SW[:, 1:] = 0
    np.testing.assert_allclose(beliefs.probabilities(design_SW, no_item(3)), 0.2)


def test_probabilities_stay_off_0_and_1():
    p_S = probability(torch.tensor([-1e9, 0.0, 1e9], dtype=torch.float64)).numpy()
    assert ((p_S > 0) & (p_S < 1)).all()
    assert p_S[1] == 0.5


class TestLogisticBeliefsState(StatefulContract):
    @staticmethod
    def make() -> LogisticBeliefs:
        return LogisticBeliefs([0.25, 1.0, 1.0, 1.0], 0.05)

    @staticmethod
    def drive(obj: LogisticBeliefs, step: int) -> np.ndarray:
        rng = np.random.default_rng(step)
        n_items = 4 + 3 * step
        obj.follow(make_changes(n_items, recycled=[step] if step else []))
        design_SW, item_S = design_of(20, seed=step), rng.integers(-1, n_items, 20)
        p_S = obj.probabilities(design_SW, item_S)
        obj.learn(design_SW, item_S, answers_of((rng.random(20) < 0.3).astype(float)), 50.0)
        return p_S
