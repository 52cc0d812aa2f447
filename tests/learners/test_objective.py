import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from learners.objective import ObjectiveConfig, objective

PLAIN = ObjectiveConfig()


def scores(seed: int = 0, n_states: int = 6, n_items: int = 9) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    score_NP = 3 * torch.randn(n_states, n_items, generator=generator)
    return score_NP, torch.randint(n_items, (n_states,), generator=generator)


def with_copies(columns: torch.Tensor, n_copies: int) -> torch.Tensor:
    return columns.repeat_interleave(n_copies, dim=-1)


def test_alone_it_is_the_cross_entropy_of_the_targets():
    score_NP, target_N = scores()
    expected = functional.cross_entropy(score_NP, target_N)
    torch.testing.assert_close(objective(PLAIN, score_NP, target_N), expected)


@pytest.mark.parametrize("share", [0.1, 0.7])
def test_smoothing_is_torchs_own(share):
    score_NP, target_N = scores(1)
    expected = functional.cross_entropy(score_NP, target_N, label_smoothing=share)
    config = ObjectiveConfig(label_smoothing=share)
    torch.testing.assert_close(objective(config, score_NP, target_N), expected)


@pytest.mark.parametrize("share", [0.0, 0.2])
def test_a_column_that_stands_for_three_items_counts_as_three_of_them_would(share):
    """The target is one of the items; the others that its column stands for are beside it."""
    score_NP, target_N = scores(2)
    config = ObjectiveConfig(label_smoothing=share)
    every = objective(config, with_copies(score_NP, 3), 3 * target_N)
    log_weight_P = torch.full((score_NP.shape[1],), math.log(3))
    sampled = objective(config, score_NP, target_N, log_weight_P)
    # A sampled target's logit bears its weight: it stands for all its like.
    assert float(every - sampled) == pytest.approx((1 - share) * math.log(3), rel=1e-5)


def test_a_teacher_is_heard_at_the_last_states_alone_and_by_its_weight():
    score_NP, target_N = scores(3)
    teacher_RP = scores(4, n_states=2)[0]
    config = ObjectiveConfig(distillation=0.5)
    plain = objective(config, score_NP, target_N)
    taught = objective(config, score_NP, target_N, None, teacher_RP)
    share_RP = functional.softmax(teacher_RP, dim=-1).numpy()
    log_share_RP = functional.log_softmax(score_NP[-2:], dim=-1).numpy()
    known = -np.mean((share_RP * log_share_RP).sum(axis=1))
    assert float(taught - plain) == pytest.approx(0.5 * known, rel=1e-5)


def test_who_agrees_with_the_teacher_learns_nothing_from_it():
    score_NP, target_N = scores(5)
    score_NP.requires_grad_()
    config = ObjectiveConfig(distillation=1.0)
    taught = objective(config, score_NP, target_N, None, score_NP[-3:].detach())
    plain = objective(PLAIN, score_NP, target_N)
    [more] = torch.autograd.grad(taught - plain, score_NP)
    assert float(more.abs().max()) < 1e-6


def test_a_teacher_of_nothing_says_nothing():
    score_NP, target_N = scores(6)
    config = ObjectiveConfig(distillation=1.0)
    silent = objective(config, score_NP, target_N, None, score_NP[:0])
    torch.testing.assert_close(silent, objective(PLAIN, score_NP, target_N))
