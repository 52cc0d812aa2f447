import numpy as np
import torch

from learners.click_features import N_FEATURES, click_features, steps
from learners.scorer import Scorer
from stream.values import Contexts, Shown
from tests.learners.shown_lists import make_shown, make_shown_lessons
from tests.learners.small_scorers import small_scorer


def scorer_of(n_items: int = 4) -> Scorer:
    return small_scorer(n_items).requires_grad_(requires_grad=False)


def cosine(one: torch.Tensor, other: torch.Tensor) -> float:
    return float(torch.nn.functional.cosine_similarity(one, other, dim=0))


def test_an_item_is_compared_with_the_state_and_with_what_was_clicked():
    scorer, state_CD = scorer_of(), torch.randn(1, 8, generator=torch.Generator().manual_seed(1))
    shown = make_shown([[2, 3]], histories=[[0, 0, 1]])
    vector_VD = scorer.items.vector_VD
    unit_VD = torch.nn.functional.normalize(vector_VD, dim=-1)
    mean_D = 2 * unit_VD[0] + unit_VD[1]
    features_SF = click_features(scorer.items.vectors(), state_CD, shown)
    assert features_SF.shape == (2, N_FEATURES)
    length = np.log(4) / 2
    for s, row in enumerate((2, 3)):
        by_state = 4 * cosine(state_CD[0], vector_VD[row])
        by_history = 4 * cosine(mean_D, vector_VD[row])
        expected = [by_state, by_history, length, by_history * length]
        np.testing.assert_allclose(features_SF[s], expected, rtol=1e-5, atol=1e-6)


def test_what_is_not_known_matches_nothing():
    shown = make_shown([[-1, 2], [1]], histories=[[0], []])
    features_SF = click_features(scorer_of().items.vectors(), torch.ones(2, 8), shown)
    assert features_SF[0, [0, 1, 3]].tolist() == [0, 0, 0]
    assert features_SF[1, :2].abs().min() > 0
    assert features_SF[2, 1:].tolist() == [0, 0, 0]


def test_without_any_item_every_match_is_nothing():
    features_SF = click_features(
        scorer_of(0).items.vectors(), torch.ones(1, 8), make_shown([[-1, -1]])
    )
    assert features_SF.tolist() == [[0] * N_FEATURES] * 2


def test_each_list_is_compared_in_its_own_context():
    shown = make_shown([[2], [2, 3]], histories=[[0], [1]])
    swapped = Shown(shown.contexts, shown.context_of_N[::-1], *_rest(shown))
    state_CD = torch.randn(2, 8)
    both_SF = click_features(scorer_of().items.vectors(), state_CD, shown)
    swapped_SF = click_features(scorer_of().items.vectors(), state_CD, swapped)
    assert both_SF[0].tolist() == swapped_SF[1].tolist() != swapped_SF[0].tolist()
    assert both_SF.dtype == torch.float64


def test_steps_hold_every_list_once_in_order_and_are_bounded():
    rng = np.random.default_rng(0)
    lists = [rng.integers(-1, 9, n).tolist() for n in rng.integers(0, 900, 300)]
    histories = [[n % 7] * (n % 3) for n in range(len(lists))]
    lessons = make_shown_lessons(
        make_shown(lists, histories), rng.random(sum(map(len, lists))) < 0.5, is_presumed=True
    )
    in_steps = list(steps([lessons, lessons]))
    assert len(in_steps) > 4
    parts = [part for step in in_steps for part in step]
    sizes = [sum(len(part.is_clicked_S) for part in step) for step in in_steps]
    assert all(32_768 <= size < 40_000 for size in sizes[:-1])
    assert all(len(part.is_clicked_S) <= 4096 for part in parts)
    together = [row for _ in range(2) for row in lists]
    assert [rows for part in parts for rows in _lists(part.shown)] == together
    assert [h for part in parts for h in _histories(part.shown)] == histories * 2
    clicked_S = np.concatenate([part.is_clicked_S for part in parts])
    assert clicked_S.tolist() == lessons.is_clicked_S.tolist() * 2
    places_S = np.concatenate([part.shown.position_S for part in parts])
    assert places_S.tolist() == lessons.shown.position_S.tolist() * 2
    assert all(part.is_presumed for part in parts)


def test_a_list_longer_than_a_part_is_a_part_and_no_list_is_no_step():
    long = make_shown_lessons(make_shown([[1] * 5000, [2]]), [False] * 5001)
    (step,) = steps([long])
    assert [len(part.is_clicked_S) for part in step] == [5000, 1]
    assert list(steps([])) == list(steps([make_shown_lessons(make_shown([]), [])])) == []


def test_a_part_holds_no_contexts_but_its_own():
    shared = make_shown([[1]] * 600, histories=[[n] for n in range(600)])
    shared = Shown(
        Contexts(shared.contexts.history_CT, shared.contexts.length_C),
        np.repeat(shared.context_of_N[:2], 300),
        *_rest(shared),
    )
    ((first, second, third),) = steps([make_shown_lessons(shared, [True] * 600)])
    assert [len(p.shown.contexts.length_C) for p in (first, second, third)] == [1, 2, 1]
    assert second.shown.contexts.history_CT[:, 0].tolist() == [0, 1]


def _rest(shown: Shown) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return shown.starts, shown.item_S, shown.position_S


def _lists(shown: Shown) -> list[list[int]]:
    return [rows.tolist() for rows in np.split(shown.item_S, shown.starts[1:-1])]


def _histories(shown: Shown) -> list[list[int]]:
    history_NT = shown.contexts.history_CT[shown.context_of_N]
    return [[row for row in history_T if row >= 0] for history_T in history_NT.tolist()]
