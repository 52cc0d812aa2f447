from dataclasses import replace

import pytest
import torch

from learners.asker_vectors import AskerVectors
from learners.scorer import Scorer
from learners.states import last_states, taught_states
from stream.context_rows import nobody
from stream.input_settings import InputsConfig
from tests.learners.small_scorers import small_scorer
from tests.stream_values import make_contexts, make_lessons

HISTORIES = [[3, 4, 5], [], [3, 4], [7], [9, 9, 9, 9, 9], [3, 4, 5]]
SEQUENCES = [[3, 4, 8], [1], [2, 1, 2, 1]]
N_ITEMS = 12
WIDTH = 8


def alone(scorer: Scorer, rows: list[int], item_VD: torch.Tensor) -> torch.Tensor:
    """The states of one history, one after the other, shape (S, D)."""
    states: torch.Tensor = scorer.states(torch.tensor([rows], dtype=torch.int64), item_VD)[0]
    return states


@pytest.fixture
def scorer():
    return small_scorer(n_items=N_ITEMS).eval()


@pytest.fixture
def leaning(scorer):
    scorer.askers = AskerVectors(
        WIDTH, InputsConfig.model_validate({"context": {"load": "number"}})
    )
    with torch.no_grad():
        scorer.askers.anybody_D.copy_(torch.arange(float(WIDTH)))
    return scorer


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
    histories = [HISTORIES[context] for context in (5, 1, 2, 2)]
    lessons = make_lessons(histories, [6, 7, 8, 9])
    taught = taught_states(scorer, lessons, make_contexts(SEQUENCES), item_VD)
    expected = [alone(scorer, history, item_VD)[-1] for history in histories]
    for rows in SEQUENCES:
        expected += [*alone(scorer, rows, item_VD)[: len(rows)]]
    torch.testing.assert_close(taught.state_ND, torch.stack(expected))
    assert taught.target_N.tolist() == [6, 7, 8, 9, *(row for rows in SEQUENCES for row in rows)]
    assert taught.lean_ND is None
    gradient_D = torch.autograd.grad(taught.state_ND.square().sum(), scorer.start_D)[0]
    once_D = torch.autograd.grad(torch.stack(expected).square().sum(), scorer.start_D)[0]
    torch.testing.assert_close(gradient_D, once_D)


@pytest.mark.parametrize("n_lessons", [0, 2])
def test_lessons_are_learned_without_anything_replayed_and_the_other_way_round(leaning, n_lessons):
    lessons = make_lessons(HISTORIES[:n_lessons], list(range(n_lessons)))
    replayed = make_contexts([] if n_lessons else [[1, 2]])
    taught = taught_states(leaning, lessons, replayed, leaning.items.vectors())
    assert taught.lean_ND is not None
    assert (len(taught.state_ND), len(taught.lean_ND), len(taught.target_N)) == (2, 2, 2)


def test_where_somebody_asks_everything_leans(leaning):
    lessons = make_lessons([[1], [2, 3]], [4, 5])
    taught = taught_states(leaning, lessons, make_contexts([[1, 2]]), leaning.items.vectors())
    assert taught.target_N.tolist() == [4, 5, 1, 2]
    assert taught.lean_ND is not None
    assert taught.lean_ND.tolist() == [list(range(WIDTH))] * 4


def test_a_lean_moves_scores_and_leaves_what_the_history_says_as_sharp_as_it_was(scorer):
    item_VD = scorer.items.vectors()
    state_CD = last_states(scorer, make_contexts([[1], [2, 3]]), item_VD)
    lean_CD = torch.randn(2, WIDTH, generator=torch.Generator().manual_seed(0))
    plain, leaning = scorer.scores(state_CD, item_VD), scorer.scores(state_CD, item_VD, lean_CD)
    unit_VD = torch.nn.functional.normalize(item_VD, dim=-1)
    torch.testing.assert_close(leaning - plain, lean_CD @ unit_VD.T)


def test_what_a_request_carried_leans_the_last_item_of_a_sequence_alone(leaning):
    with torch.no_grad():
        leaning.askers.anybody_D.zero_()
        leaning.askers.number_FD.fill_(1.0)
    askers = nobody(2, 0, leaning.askers.number_FD.shape[0])
    askers.number_CF[:, 0] = [5.0, 7.0]
    replayed = replace(make_contexts([[1, 2, 3], [4]]), askers=askers)
    taught = taught_states(leaning, make_lessons([], []), replayed, leaning.items.vectors())
    assert taught.target_N.tolist() == [1, 2, 3, 4]
    assert taught.lean_ND is not None
    assert taught.lean_ND[:, 0].tolist() == [0.0, 0.0, 5.0, 7.0]
