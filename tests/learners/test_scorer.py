import torch

from learners.scorer import Scorer
from tests.learners.small_scorers import small_scorer


def scorer_of() -> Scorer:
    return small_scorer(12, layers=2, temperature=5.0)


def states(scorer: Scorer, history_CT: torch.Tensor) -> torch.Tensor:
    return scorer.states(history_CT, scorer.items.vectors())


def test_a_state_depends_on_nothing_behind_it():
    scorer = scorer_of()
    one = states(scorer, torch.tensor([[3, 5, 7, -1]]))
    other = states(scorer, torch.tensor([[3, 5, 11, 2]]))
    torch.testing.assert_close(one[:, :3], other[:, :3])
    assert not torch.allclose(one[:, 3], other[:, 3])


def test_the_order_of_the_history_matters():
    scorer = scorer_of()
    one, other = states(scorer, torch.tensor([[3, 5, 7], [5, 3, 7]]))[:, 3]
    assert not torch.allclose(one, other)


def test_scores_are_cosines_times_the_temperature():
    scorer = scorer_of()
    state_ND = torch.randn(4, 8)
    vector_VD = scorer.items.vector_VD.detach()
    cosine_NV = torch.nn.functional.cosine_similarity(state_ND[:, None], vector_VD[None], dim=-1)
    torch.testing.assert_close(scorer.scores(state_ND, vector_VD), 5.0 * cosine_NV)


def test_an_empty_history_is_scored_by_the_start_alone():
    scorer = scorer_of()
    states_CSD = states(scorer, torch.zeros((2, 0), dtype=torch.int64))
    assert states_CSD.shape == (2, 1, 8)
    torch.testing.assert_close(states_CSD[0], states_CSD[1])
