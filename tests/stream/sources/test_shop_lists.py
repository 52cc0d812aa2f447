import numpy as np
import pytest

from stream.sources.shop import DAY_MS, START_MS, Shop
from stream.sources.shop_config import ScheduledEvent, SimulatorConfig
from stream.sources.shop_lists import DEVICES, MAX_DELAY_MS, examination, shown_lists
from stream.sources.shop_walks import Sessions, walked

BROKEN = ScheduledEvent(kind="broken_policy", day=5, days=2)


def lists_of(**changes):
    shop = Shop(SimulatorConfig(clicks=20_000, seed=2, **changes))
    walks = walked(shop)
    return shop, walks.sessions, shown_lists(shop, walks.sessions)


@pytest.fixture(scope="module")
def shown():
    return lists_of()


def deviation(is_clicked, probability):
    """How many standard deviations the clicks are from what is to be expected."""
    variance = (probability * (1 - probability)).sum()
    return (is_clicked.sum() - probability.sum()) / np.sqrt(variance)


def test_every_visit_begins_with_a_list_and_the_others_lie_within_it(shown):
    _, sessions, lists = shown
    assert (np.diff(lists.ts_N) >= 0).all()
    assert (np.bincount(lists.session_N) == 2).all()
    first_S = np.full(len(sessions.user_S), lists.ts_N.max())
    np.minimum.at(first_S, lists.session_N, lists.ts_N)
    assert np.array_equal(first_S, sessions.start_ms_S)
    assert (lists.ts_N <= sessions.end_ms_S[lists.session_N]).all()
    assert np.array_equal(lists.user_N, sessions.user_S[lists.session_N])


@pytest.mark.parametrize("requests_per_session", [0.3, 1.5])
def test_a_part_of_a_request_is_a_share_of_the_sessions(requests_per_session):
    _, sessions, lists = lists_of(requests_per_session=requests_per_session)
    n_sessions = len(sessions.user_S)
    assert len(lists) / n_sessions == pytest.approx(requests_per_session, abs=0.03)
    assert np.bincount(lists.session_N, minlength=n_sessions).max() == np.ceil(requests_per_session)


def test_clicks_are_as_many_as_their_probabilities_say(shown):
    _, _, lists = shown
    assert lists.is_clicked_NK.sum() > 2000
    assert abs(deviation(lists.is_clicked_NK, lists.probability_NK)) < 3


@pytest.mark.parametrize("policy", [0, 1])
def test_clicks_of_each_policy_are_as_many_as_their_probabilities_say(shown, policy):
    _, _, lists = shown
    rows = lists.policy_N == policy
    assert rows.any()
    assert abs(deviation(lists.is_clicked_NK[rows], lists.probability_NK[rows])) < 3


def test_clicks_at_each_position_are_as_many_as_their_probabilities_say(shown):
    _, _, lists = shown
    z_K = [deviation(lists.is_clicked_NK[:, k], lists.probability_NK[:, k]) for k in range(10)]
    assert np.abs(z_K).max() < 3


def test_a_probability_is_that_of_looking_times_that_of_wanting(shown):
    shop, _, lists = shown
    for place, looked in enumerate([1, 2**-0.6, 3**-0.6]):
        item_N = lists.item_NK[:, place]
        wanted_N = shop.click_probability(lists.user_N, item_N, lists.ts_N)
        assert lists.probability_NK[:, place] == pytest.approx(looked * wanted_N)
    assert (np.diff(examination(10)) < 0).all()


def test_clicks_of_a_list_are_independent_of_each_other(shown):
    _, _, lists = shown
    any_N = 1 - (1 - lists.probability_NK).prod(axis=1)
    assert abs(deviation(lists.is_clicked_NK.any(axis=1), any_N)) < 3


def test_a_click_comes_soon_after_its_list_before_the_end_and_on_an_item_on_sale(shown):
    shop, _, lists = shown
    delay_NK = lists.click_ms_NK - lists.ts_N[:, None]
    assert 1000 <= delay_NK.min() < 2000
    assert 10_000 < np.median(delay_NK) < 20_000
    assert 60_000 < delay_NK.max() <= MAX_DELAY_MS
    assert lists.click_ms_NK.max() < shop.config.end_ms
    clicked = lists.is_clicked_NK
    assert shop.is_on_sale(lists.item_NK[clicked], lists.click_ms_NK[clicked]).all()


def test_a_visit_at_the_very_end_is_shown_its_lists_early_enough_to_click_them():
    shop = Shop(SimulatorConfig(users=1, items=24))
    end_ms = np.full(500, shop.config.end_ms)
    lists = shown_lists(shop, Sessions(np.zeros(500, np.int64), end_ms - 900_000, end_ms - 1))
    assert lists.click_ms_NK.max() < shop.config.end_ms
    assert lists.ts_N.max() == shop.config.end_ms - 1 - MAX_DELAY_MS


@pytest.mark.parametrize("exploration_ratio", [0.0, 0.25, 1.0])
def test_a_share_of_the_lists_is_random(exploration_ratio):
    _, _, lists = lists_of(exploration_ratio=exploration_ratio)
    assert lists.policy_N.mean() == pytest.approx(exploration_ratio, abs=0.02)


def test_the_shops_own_policy_is_clicked_more_than_chance(shown):
    _, _, lists = shown
    ctr = [lists.is_clicked_NK[lists.policy_N == policy].mean() for policy in (0, 1)]
    assert 0.03 < ctr[0] < 0.07
    assert 0.005 < ctr[1] < 0.02


def test_a_broken_policy_is_clicked_less_while_it_lasts_and_a_random_one_as_before(shown):
    _, _, lists = lists_of(events=(BROKEN,))
    is_broken_N = (lists.ts_N >= BROKEN.start_ms) & (lists.ts_N < BROKEN.end_ms)
    is_own_N = lists.policy_N == 0
    during = lists.probability_NK[is_broken_N & is_own_N].mean()
    outside = lists.probability_NK[~is_broken_N & is_own_N].mean()
    assert during < 0.15 * outside
    before = shown[2].probability_NK[~is_broken_N & is_own_N].mean()
    assert outside == pytest.approx(before, rel=0.03)
    explored = [
        lists.probability_NK[rows & ~is_own_N].mean() for rows in (is_broken_N, ~is_broken_N)
    ]
    assert explored[0] == pytest.approx(explored[1], rel=0.15)


def test_a_policy_can_be_broken_for_a_share_of_its_lists():
    half = BROKEN.model_copy(update={"share": 0.5})
    _, _, whole, _, _, broken = *lists_of(), *lists_of(events=(half,))
    is_during_N = (whole.ts_N >= BROKEN.start_ms) & (whole.ts_N < BROKEN.end_ms)
    ctr = [lists.probability_NK[is_during_N].mean() for lists in (whole, broken)]
    assert 0.4 < ctr[1] / ctr[0] < 0.65


def test_after_a_taste_shift_the_shops_policy_is_clicked_less():
    _, _, lists = lists_of(switching_ratio=0.8)
    day_N = (lists.ts_N - START_MS) // DAY_MS
    ctr = [lists.probability_NK[(day_N == day) & (lists.policy_N == 0)].mean() for day in range(14)]
    assert max(ctr[9:11]) < 0.75 * np.mean(ctr[:8])
    assert ctr[12] > max(ctr[9:11])


def test_a_visit_has_one_device(shown):
    _, sessions, lists = shown
    device_S = np.zeros(len(sessions.user_S), np.int64)
    device_S[lists.session_N] = lists.device_N
    assert np.array_equal(device_S[lists.session_N], lists.device_N)
    assert set(lists.device_N) == set(range(len(DEVICES)))
