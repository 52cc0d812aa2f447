import numpy as np
import torch

from learners.asker_vectors import AskerVectors
from learners.scorer import Scorer
from learners.states import last_states, length_buckets, states_before_items, states_of_lessons
from stream.input_settings import InputsConfig
from tests.learners.small_scorers import small_scorer
from tests.stream_values import make_contexts, make_lessons

HISTORIES = [[], [1], [2, 3, 4], [5, 6, 7, 8, 9], [1]]


def leaning() -> Scorer:
    scorer = small_scorer(10)
    scorer.askers = AskerVectors(8, InputsConfig.model_validate({"context": {"load": "number"}}))
    with torch.no_grad():
        scorer.askers.anybody_D.copy_(torch.arange(8.0))
    return scorer


def test_each_context_has_the_state_that_it_has_alone():
    scorer = small_scorer(10)
    item_VD = scorer.items.vectors()
    together = last_states(scorer, make_contexts(HISTORIES), item_VD)
    for history, state_D in zip(HISTORIES, together, strict=True):
        alone = last_states(scorer, make_contexts([history]), item_VD)[0]
        torch.testing.assert_close(state_D, alone)


def test_a_sequence_passes_through_the_states_of_its_beginnings():
    scorer = small_scorer(10)
    item_VD = scorer.items.vectors()
    taught = states_before_items(scorer, make_contexts([[1], [2, 3, 4]]), item_VD)
    assert taught.target_N.tolist() == [1, 2, 3, 4]
    assert taught.lean_ND is None
    expected = last_states(scorer, make_contexts([[], [], [2], [2, 3]]), item_VD)
    torch.testing.assert_close(taught.state_ND, expected)


def test_each_lesson_has_the_state_of_its_context():
    scorer = small_scorer(10)
    item_VD = scorer.items.vectors()
    taught = states_of_lessons(scorer, make_lessons([[1], [2, 3]], [4, 5]), item_VD)
    assert taught.target_N.tolist() == [4, 5]
    expected = last_states(scorer, make_contexts([[1], [2, 3]]), item_VD)
    torch.testing.assert_close(taught.state_ND, expected)


def test_where_somebody_asks_everything_leans():
    scorer = leaning()
    item_VD = scorer.items.vectors()
    lessons = states_of_lessons(scorer, make_lessons([[1], [2, 3]], [4, 5]), item_VD)
    taught = lessons.followed_by(states_before_items(scorer, make_contexts([[1, 2]]), item_VD))
    assert taught.target_N.tolist() == [4, 5, 1, 2]
    assert taught.lean_ND is not None
    assert taught.lean_ND.tolist() == [list(range(8))] * 4
    assert taught.state_ND.shape == (4, 8)


def test_nothing_replayed_adds_nothing():
    scorer = leaning()
    none = states_before_items(scorer, make_contexts([]), scorer.items.vectors())
    assert none.lean_ND is not None
    assert (len(none.state_ND), len(none.lean_ND), len(none.target_N)) == (0, 0, 0)


def test_a_lean_moves_scores_and_leaves_what_the_history_says_as_sharp_as_it_was():
    scorer = small_scorer(10)
    item_VD = scorer.items.vectors()
    state_CD = last_states(scorer, make_contexts([[1], [2, 3]]), item_VD)
    lean_CD = torch.randn(2, 8, generator=torch.Generator().manual_seed(0))
    plain, leaning = scorer.scores(state_CD, item_VD), scorer.scores(state_CD, item_VD, lean_CD)
    unit_VD = torch.nn.functional.normalize(item_VD, dim=-1)
    torch.testing.assert_close(leaning - plain, lean_CD @ unit_VD.T)


def test_buckets_hold_each_sequence_once_padded_to_no_more_than_the_longest():
    length_C = np.array([0, 3, 4, 5, 9, 40, 2], np.int32)
    found = list(length_buckets(length_C))
    assert sorted(np.concatenate([index for index, _ in found]).tolist()) == list(range(7))
    assert [(index.tolist(), width) for index, width in found] == [
        ([0, 1, 2, 6], 4),
        ([3], 8),
        ([4], 16),
        ([5], 40),
    ]
