import numpy as np
import pytest
import torch

from learners.states import last_states, states_to_learn
from stream.values import Contexts
from tests.learners.small_scorers import small_scorer
from tests.stream_values import make_contexts

HISTORIES = [[3, 4, 5], [], [3, 4], [7], [9, 9, 9, 9, 9], [3, 4, 5]]
N_ITEMS = 12


def alone(scorer, rows: list[int], item_VD: torch.Tensor) -> torch.Tensor:
    """The states of one history, one after the other, shape (S, D)."""
    states: torch.Tensor = scorer.states(torch.tensor([rows], dtype=torch.int64), item_VD)[0]
    return states


@pytest.fixture
def scorer():
    return small_scorer(n_items=N_ITEMS).eval()


def test_contexts_end_in_the_states_that_each_reaches_alone(scorer):
    item_VD = scorer.items.vectors()
    found_CD = last_states(scorer, make_contexts(HISTORIES), item_VD)
    expected_CD = torch.stack([alone(scorer, rows, item_VD)[-1] for rows in HISTORIES])
    torch.testing.assert_close(found_CD, expected_CD)


def test_no_contexts_have_no_states(scorer):
    found_CD = last_states(scorer, make_contexts([]), scorer.items.vectors())
    assert found_CD.shape == (0, scorer.start_D.shape[0])


def test_lessons_and_replayed_items_are_learned_from_the_states_before_them(scorer):
    item_VD = scorer.items.vectors()
    contexts = make_contexts(HISTORIES)
    context_of_M = np.array([5, 1, 2, 2], np.int32)
    sequence_QW = np.array([[3, 4, 8, -1], [1, -1, -1, -1], [2, 1, 2, 1]], np.int32)
    found_ND = states_to_learn(scorer, contexts, context_of_M, sequence_QW, item_VD)
    expected = [alone(scorer, HISTORIES[context], item_VD)[-1] for context in context_of_M]
    for rows in ([3, 4, 8], [1], [2, 1, 2, 1]):
        expected += [*alone(scorer, rows, item_VD)[: len(rows)]]
    torch.testing.assert_close(found_ND, torch.stack(expected))
    gradient_D = torch.autograd.grad(found_ND.square().sum(), scorer.start_D)[0]
    once_D = torch.autograd.grad(torch.stack(expected).square().sum(), scorer.start_D)[0]
    torch.testing.assert_close(gradient_D, once_D)


@pytest.mark.parametrize("n_lessons", [0, 2])
def test_lessons_are_learned_without_anything_replayed_and_the_other_way_round(scorer, n_lessons):
    contexts = make_contexts(HISTORIES[:n_lessons])
    none = Contexts(np.zeros((0, 1), np.int32), np.zeros(0, np.int32))
    sequence_QW = np.array([[1, 2]], np.int32) if not n_lessons else np.zeros((0, 0), np.int32)
    found_ND = states_to_learn(
        scorer,
        contexts if n_lessons else none,
        np.arange(n_lessons, dtype=np.int32),
        sequence_QW,
        scorer.items.vectors(),
    )
    assert len(found_ND) == 2
