import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from learners.click_head import MAX_POSITION, PRIOR_CLICK_RATIO, ClickHead
from stream.values import ShownLessons
from tests.conformance.stateful_contract import StatefulContract
from tests.learners.shown_lists import make_shown, make_shown_lessons
from tests.stream_values import make_changes

N_ITEMS, N_PLACES, N_LISTS = 20, 5, 25
PLACE_LOGIT_P = -0.8 * np.arange(N_PLACES)
ITEM_LOGIT_V = np.random.default_rng(9).normal(0, 0.7, N_ITEMS)
MATCH_LOGIT = 0.8


def head_of(n_items: int = N_ITEMS, memory_clicks: float = 300.0) -> ClickHead:
    head = ClickHead(1, memory_clicks)
    head.follow(make_changes(n_items))
    return head


def features_of(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)[:, None]


class World:
    """Lists whose clicks have a place effect, an item effect and an effect of the match."""

    def __init__(self, base_logit: float, seed: int = 0) -> None:
        self._rng = np.random.default_rng(seed)
        self._base_logit = base_logit

    def batch(self) -> tuple[torch.Tensor, ShownLessons, np.ndarray]:
        """Features, lists with their answers, and the true probabilities."""
        rng = self._rng
        rows_NP = np.array([rng.permutation(N_ITEMS)[:N_PLACES] for _ in range(N_LISTS)])
        match_NP = rng.normal(0, 1, rows_NP.shape)
        logit_NP = self._base_logit + PLACE_LOGIT_P + ITEM_LOGIT_V[rows_NP] + MATCH_LOGIT * match_NP
        true_S = (1 / (1 + np.exp(-logit_NP))).ravel()
        lessons = make_shown_lessons(make_shown(rows_NP.tolist()), rng.random(len(true_S)) < true_S)
        return features_of(*match_NP.ravel()), lessons, true_S


def asked(head: ClickHead, features_SF: torch.Tensor, lessons: ShownLessons) -> np.ndarray:
    return head.probabilities(features_SF, lessons.shown.item_S, lessons.shown.position_S)


def log_loss(p_S: np.ndarray, is_clicked_S: np.ndarray) -> float:
    return float(-np.log(np.where(is_clicked_S, p_S, 1 - p_S)).mean())


def learned(head: ClickHead, n_batches: int, base_logit: float = -2.0) -> Iterator[np.ndarray]:
    """Prequential: (estimated, clicked, true) of each batch, which is learned behind it."""
    world = World(base_logit)
    for _ in range(n_batches):
        features_SF, lessons, true_S = world.batch()
        yield np.stack([asked(head, features_SF, lessons), lessons.is_clicked_S, true_S])
        head.learn(features_SF, [lessons])


def logit(p: np.ndarray) -> np.ndarray:
    return np.log(p / (1 - p))


def at_places(head: ClickHead, row: int = 0) -> np.ndarray:
    places = np.arange(1, N_PLACES + 1, dtype=np.int32)
    return head.probabilities(features_of(*[0.0] * N_PLACES), np.full(N_PLACES, row), places)


def test_an_untrained_head_answers_the_prior_whatever_is_asked():
    p_S = head_of().probabilities(
        features_of(0.0, 3.0, -2.0), np.array([0, 5, -1]), np.array([1, 9, 700])
    )
    np.testing.assert_allclose(p_S, PRIOR_CLICK_RATIO)
    assert p_S.dtype == np.float64


def test_what_a_place_takes_away_is_learned_apart_from_what_is_shown_there():
    head = head_of()
    list(learned(head, 200))
    effect_P = logit(at_places(head))
    np.testing.assert_allclose(effect_P - effect_P[0], PLACE_LOGIT_P, atol=0.3)


def test_what_an_item_is_worth_is_learned_apart_from_its_places():
    head = head_of()
    list(learned(head, 200))
    items = np.arange(N_ITEMS, dtype=np.int32)
    effect_V = logit(head.probabilities(features_of(*[0.0] * N_ITEMS), items, np.ones(N_ITEMS)))
    assert np.corrcoef(effect_V, ITEM_LOGIT_V)[0, 1] > 0.95
    assert np.polyfit(ITEM_LOGIT_V, effect_V, 1)[0] == pytest.approx(1.0, abs=0.15)


def test_estimates_are_calibrated_and_beat_the_base_rate():
    p_S, is_clicked_S, true_S = np.concatenate(list(learned(head_of(), 200))[50:], axis=1)
    assert p_S.sum() / true_S.sum() == pytest.approx(1.0, abs=0.03)
    base = log_loss(np.full(len(p_S), is_clicked_S.mean()), is_clicked_S > 0)
    best = log_loss(true_S, is_clicked_S > 0)
    assert log_loss(p_S, is_clicked_S > 0) < base - 0.9 * (base - best)


@pytest.mark.parametrize("base_logit", [-7.0, -5.0, 0.0, 2.0])
def test_the_base_rate_is_found_within_some_hundred_items(base_logit):
    *_, (p_S, _, true_S) = learned(head_of(), 5, base_logit)
    assert abs(logit(p_S.mean()) - logit(true_S.mean())) < max(0.25, -0.2 * base_logit)


def test_a_stream_that_changes_is_followed_the_faster_the_shorter_the_memory():
    def late(memory_clicks: float, forgetting: float = 1.0) -> float:
        head, world = head_of(memory_clicks=memory_clicks), World(0.0)
        for _ in range(100):
            features_SF, lessons, _ = world.batch()
            head.learn(features_SF, [lessons], forgetting)
        now = World(-2.0)
        for _ in range(12):
            features_SF, lessons, true_S = now.batch()
            head.learn(features_SF, [lessons], forgetting)
        return float(logit(asked(head, features_SF, lessons).mean()) - logit(true_S.mean()))

    assert late(3000.0) > 2 * abs(late(100.0))
    assert late(300.0, forgetting=3.0) == late(100.0)


@pytest.mark.parametrize("is_clicked", [True, False])
def test_thousands_of_equal_answers_neither_overshoot_nor_reach_certainty(is_clicked):
    head = head_of()
    shown = make_shown([[0, 1, 2, 3, 4]] * 800)
    features_SF = features_of(*[50.0] * 4000)
    for _ in range(5):
        head.learn(features_SF, [make_shown_lessons(shown, [is_clicked] * 4000)])
    p_S = head.probabilities(features_SF, shown.item_S, shown.position_S)
    assert ((p_S > 0) & (p_S < 1)).all()
    assert np.all(p_S > 0.9 if is_clicked else p_S < 0.01)
    extreme_S = head.probabilities(features_of(1e9, -1e9), np.zeros(2, np.int32), np.ones(2))
    assert ((extreme_S > 0) & (extreme_S < 1)).all()


def test_places_behind_the_last_that_has_a_weight_share_it():
    head = head_of()
    far = make_shown([[0], [1], [2]], positions=[MAX_POSITION, MAX_POSITION + 1, 1000])
    head.learn(features_of(0.0, 0.0, 0.0), [make_shown_lessons(far, [True, True, False])])
    places = np.array([MAX_POSITION, MAX_POSITION + 7, MAX_POSITION - 1])
    p_S = head.probabilities(features_of(0, 0, 0), np.full(3, -1), places)
    assert p_S[0] == p_S[1] != p_S[2]


def test_an_item_that_is_not_admitted_has_no_part_of_its_own():
    head = head_of()
    shown = make_shown([[-1], [4]])
    for _ in range(50):
        head.learn(features_of(0, 0), [make_shown_lessons(shown, [True, False])])
    unknown, bad, unseen = head.probabilities(
        features_of(0, 0, 0), np.array([-1, 4, 5]), np.ones(3)
    )
    assert unknown == unseen
    assert bad < unseen / 2


def test_a_recycled_row_is_any_item_again_and_the_others_stay():
    head = head_of()
    list(learned(head, 20))
    rows = np.arange(3, dtype=np.int32)
    before = head.probabilities(features_of(0, 0, 0), rows, np.ones(3))
    head.follow(make_changes(N_ITEMS, recycled=[1]))
    after = head.probabilities(features_of(0, 0, 0, 0), np.append(rows, -1), np.ones(4))
    assert after[[0, 2]].tolist() == before[[0, 2]].tolist()
    assert after[1] == after[3] != before[1]
    state = head.state_dict()
    fresh = head_of(N_ITEMS).state_dict()
    assert state["item_precision"][1] == fresh["item_precision"][1] < state["item_precision"][2]


def test_growth_keeps_what_is_known_of_each_item():
    head = head_of()
    list(learned(head, 5))
    before = np.array(head.state_dict()["item"])
    head.follow(make_changes(N_ITEMS * 7))
    state = head.state_dict()
    assert state["item"][:N_ITEMS].tolist() == before.tolist()
    assert not state["item"][N_ITEMS:].any()
    assert len(set(state["item_precision"][N_ITEMS:].tolist())) == 1


def test_beliefs_are_taken_back_those_of_items_row_by_row():
    head = head_of()
    list(learned(head, 5))
    earlier = {name: np.array(value) for name, value in head.state_dict().items()}
    list(learned(head, 5, base_logit=0.0))
    later = {name: np.array(value) for name, value in head.state_dict().items()}
    head.restore(earlier, np.array([0, 3]))
    now = head.state_dict()
    assert now["weight"].tolist() == earlier["weight"].tolist()
    assert now["precision"].tolist() == earlier["precision"].tolist()
    for name in ("item", "item_precision"):
        assert now[name][[0, 3]].tolist() == earlier[name][[0, 3]].tolist()
        assert now[name][[1, 2]].tolist() == later[name][[1, 2]].tolist()
    head.learn(*_one_lesson())
    assert earlier["weight"].tolist() != head.state_dict()["weight"].tolist()


def test_an_earlier_state_is_not_written_to_after_it_was_taken_back():
    head = head_of()
    earlier = {name: np.array(value) for name, value in head.state_dict().items()}
    head.restore(earlier, np.arange(N_ITEMS))
    head.learn(*_one_lesson())
    fresh = head_of().state_dict()
    assert earlier["weight"].tolist() == fresh["weight"].tolist()
    assert earlier["item"].tolist() == fresh["item"].tolist()


@pytest.mark.parametrize("share_at_once", [0.0, 0.4])
@pytest.mark.parametrize("delay", [0, 3])
def test_presumed_negatives_and_late_clicks_teach_the_rates_that_waiting_teaches(
    delay, share_at_once
):
    """However many clicks come how late: naively learned they would be a third too rare."""
    waiting, eager, world = head_of(), head_of(), World(-1.0)
    rng, later, ratios = np.random.default_rng(4), [], []
    for step in range(300):
        features_SF, lessons, true_S = world.batch()
        if step >= 100:
            p_S = asked(eager, features_SF, lessons)
            ratios.append((p_S.sum(), asked(waiting, features_SF, lessons).sum(), true_S.sum()))
        waiting.learn(features_SF, [lessons])
        is_early_S = lessons.is_clicked_S & (rng.random(len(true_S)) < share_at_once)
        later.append(_clicks_alone(features_SF, lessons, lessons.is_clicked_S & ~is_early_S))
        first = make_shown_lessons(lessons.shown, is_early_S, is_presumed=True)
        taught = [(features_SF, first)]
        if len(later) > delay:
            taught.append(later.pop(0))
        eager.learn(torch.cat([features for features, _ in taught]), [one for _, one in taught])
    of_eager, of_waiting, true = np.array(ratios).sum(axis=0)
    assert of_waiting / true == pytest.approx(1.0, abs=0.03)
    assert of_eager / true == pytest.approx(1.0, abs=0.03)


def test_no_list_at_all_teaches_nothing():
    head = head_of()
    before = head.state_dict()["precision"].copy()
    head.learn(torch.zeros(0, 1, dtype=torch.float64), [make_shown_lessons(make_shown([]), [])])
    assert head.state_dict()["precision"].tolist() == before.tolist()
    assert math.isclose(at_places(head)[0], PRIOR_CLICK_RATIO)


class TestClickHeadState(StatefulContract):
    @staticmethod
    def make() -> ClickHead:
        return head_of(4)

    @staticmethod
    def drive(stateful: ClickHead, step: int) -> np.ndarray:
        rng = np.random.default_rng(step)
        stateful.follow(make_changes(4 + 3 * step, recycled=[step] if step else []))
        shown = make_shown(rng.integers(-1, 4 + 3 * step, (6, 3)).tolist())
        features_SF = features_of(*rng.normal(0, 1, 18))
        p_S = stateful.probabilities(features_SF, shown.item_S, shown.position_S)
        stateful.learn(features_SF, [make_shown_lessons(shown, rng.random(18) < 0.3)])
        return p_S


def _one_lesson() -> tuple[torch.Tensor, list[ShownLessons]]:
    return features_of(0.0), [make_shown_lessons(make_shown([[2]]), [True])]


def _clicks_alone(
    features_SF: torch.Tensor, lessons: ShownLessons, chosen_S: np.ndarray
) -> tuple[torch.Tensor, ShownLessons]:
    """The chosen items, clicked, each in a list of its own at the place where it was shown."""
    shown, chosen = lessons.shown, np.flatnonzero(chosen_S)
    alone = make_shown(
        shown.item_S[chosen][:, None].tolist(), positions=shown.position_S[chosen].tolist()
    )
    return features_SF[chosen], make_shown_lessons(alone, [True] * len(chosen), is_presumed=False)
