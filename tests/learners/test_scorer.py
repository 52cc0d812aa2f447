import torch

from learners.scorer import Scorer


def scorer_of(n_items: int = 12) -> Scorer:
    torch.manual_seed(0)
    scorer = Scorer(6, width=8, layers=2, heads=2, dropout=0.2, temperature=5.0).eval()
    scorer.items.vector_VD = torch.nn.Parameter(torch.randn(n_items, 8))
    scorer.items.n_items = n_items
    return scorer


def test_a_state_depends_on_nothing_behind_it():
    scorer = scorer_of()
    one = scorer.states(torch.tensor([[3, 5, 7, -1]]))
    other = scorer.states(torch.tensor([[3, 5, 11, 2]]))
    torch.testing.assert_close(one[:, :3], other[:, :3])
    assert not torch.allclose(one[:, 3], other[:, 3])


def test_the_order_of_the_history_matters():
    scorer = scorer_of()
    one, other = scorer.states(torch.tensor([[3, 5, 7], [5, 3, 7]]))[:, 3]
    assert not torch.allclose(one, other)


def test_scores_are_cosines_times_the_temperature():
    scorer = scorer_of()
    state_ND = torch.randn(4, 8)
    vector_VD = scorer.items.vector_VD.detach()
    cosine_NV = torch.nn.functional.cosine_similarity(state_ND[:, None], vector_VD[None], dim=-1)
    torch.testing.assert_close(scorer.scores(state_ND).detach(), 5.0 * cosine_NV)


def test_an_empty_history_is_scored_by_the_start_alone():
    scorer = scorer_of()
    states_CSD = scorer.states(torch.zeros((2, 0), dtype=torch.int64))
    assert states_CSD.shape == (2, 1, 8)
    torch.testing.assert_close(states_CSD[0], states_CSD[1])
