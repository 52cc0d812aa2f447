import numpy as np
import pytest

from stream.sources.shop import DAY_MS, NEVER_MS, START_MS, Shop, SimulatorConfig
from stream.sources.shop_config import ScheduledEvent


@pytest.fixture(scope="module")
def shop():
    return Shop(SimulatorConfig(users=500, items=300, seed=3))


def moments(shop, n, seed=0):
    rng = np.random.default_rng(seed)
    return (
        rng.integers(0, shop.config.users, n),
        rng.integers(0, shop.config.items, n),
        rng.integers(START_MS, shop.config.end_ms, n),
    )


def test_a_taste_is_a_distribution_at_any_time(shop):
    user_N, _, ts_N = moments(shop, 1000)
    taste_NC = shop.taste(user_N, ts_N)
    assert taste_NC.min() >= 0
    assert np.allclose(taste_NC.sum(axis=1), 1)


def test_a_switching_user_has_another_favourite_from_that_instant_on(shop):
    switching = np.flatnonzero(shop.users.since_ms_SU[1] < NEVER_MS)
    switch_ms_N = shop.users.since_ms_SU[1][switching]
    before = shop.taste(switching, switch_ms_N - 1).argmax(axis=1)
    after = shop.taste(switching, switch_ms_N).argmax(axis=1)
    assert 0.2 < len(switching) / shop.config.users < 0.4
    assert (before != after).all()


def test_switches_fall_on_the_day_configured(shop):
    switch_ms_U = shop.users.since_ms_SU[1]
    days = (switch_ms_U[switch_ms_U < NEVER_MS] - START_MS) / DAY_MS
    assert 8 <= days.min() <= days.max() < 9


def test_a_taste_drifts_slowly(shop):
    user = np.flatnonzero(shop.users.since_ms_SU[1] == NEVER_MS)
    first, next_day, last = (
        shop.taste(user, np.full(len(user), START_MS + day * DAY_MS)) for day in (0, 1, 14)
    )
    a_day = np.abs(next_day - first).sum(axis=1) / 2
    all_days = np.abs(last - first).sum(axis=1) / 2
    assert np.allclose(all_days, 14 * a_day)
    assert 0.05 < all_days.mean() < 0.2


def test_without_drift_and_switches_a_taste_stays():
    still = Shop(SimulatorConfig(users=50, items=24, drift_ratio=0, switching_ratio=0))
    user = np.arange(50)
    first = still.taste(user, np.full(50, START_MS))
    last = still.taste(user, np.full(50, still.config.end_ms))
    assert np.array_equal(first, last)


def test_drawn_items_are_of_the_category_asked_for_and_on_sale(shop):
    rng = np.random.default_rng(1)
    category_N = rng.integers(0, shop.config.categories, 5000)
    ts_N = rng.integers(START_MS, shop.config.end_ms, 5000)
    item_N = shop.draw_items(category_N, ts_N, rng)
    assert np.array_equal(shop.items.category_V[item_N], category_N)
    assert shop.is_on_sale(item_N, ts_N).all()


def test_drawn_items_follow_their_popularity():
    shop = Shop(SimulatorConfig(items=24, categories=2, launched_ratio=0, retired_ratio=0))
    rng = np.random.default_rng(1)
    category_N = np.ones(20_000, int)
    item_N = shop.draw_items(category_N, np.full(20_000, START_MS), rng)
    drawn_V = np.bincount(item_N, minlength=24) / 20_000
    wanted_V = np.where(shop.items.category_V == 1, shop.items.popularity_V, 0)
    assert np.abs(drawn_V - wanted_V).max() < 0.01


def test_drawn_categories_follow_the_taste(shop):
    user_N = np.full(20_000, 7)
    ts_N = np.full(20_000, START_MS)
    category_N = shop.draw_categories(user_N, ts_N, np.random.default_rng(1))
    drawn_C = np.bincount(category_N, minlength=shop.config.categories) / 20_000
    assert np.abs(drawn_C - shop.taste(user_N[:1], ts_N[:1])[0]).max() < 0.015


def test_click_probability_is_a_probability_and_zero_off_sale(shop):
    user_N, item_N, ts_N = moments(shop, 5000)
    probability_N = shop.click_probability(user_N, item_N, ts_N)
    is_on_sale_N = shop.is_on_sale(item_N, ts_N)
    assert 0 < is_on_sale_N.mean() < 1
    assert (probability_N[~is_on_sale_N] == 0).all()
    assert (probability_N[is_on_sale_N] > 0).all()
    assert probability_N.max() < 0.4


def test_click_probability_moves_with_the_taste(shop):
    user = np.flatnonzero(shop.users.since_ms_SU[1] < NEVER_MS)[:1]
    switch_ms = shop.users.since_ms_SU[1][user]
    wanted = shop.taste(user, switch_ms).argmax(axis=1)
    staple = np.flatnonzero(
        (shop.items.category_V == wanted[0]) & shop.is_on_sale(np.arange(300), switch_ms)
    )[:1]
    after = shop.click_probability(user, staple, switch_ms)
    before = shop.click_probability(user, staple, switch_ms - 1)
    assert after[0] > 2 * before[0]


def test_a_series_stays_in_its_category_and_never_turns_back(shop):
    successor_V, category_V = shop.items.successor_V, shop.items.category_V
    item_N = np.flatnonzero(successor_V >= 0)
    assert len(item_N) > 200
    assert np.array_equal(category_V[item_N], category_V[successor_V[item_N]])
    assert (successor_V[item_N] > item_N).all()
    assert len(np.unique(successor_V[item_N])) == len(item_N)


def test_a_title_names_the_category_and_its_series(shop):
    item = int(np.flatnonzero(shop.items.successor_V >= 0)[0])
    title = shop.items.title_V[item]
    following = shop.items.title_V[shop.items.successor_V[item]]
    assert shop.category_names[shop.items.category_V[item]] in title.split()
    assert title.rsplit("-", 1)[0] == following.rsplit("-", 1)[0]
    assert len(set(shop.items.title_V)) == 300


def test_every_category_always_has_something_on_sale():
    fleeting = Shop(SimulatorConfig(items=40, launched_ratio=1, retired_ratio=1))
    for ts_ms in (START_MS, fleeting.config.end_ms):
        is_on_sale_V = fleeting.is_on_sale(np.arange(40), np.full(40, ts_ms))
        assert set(fleeting.items.category_V[is_on_sale_V]) == set(range(12))


def shop_with(*events, **changes):
    return Shop(SimulatorConfig(users=500, items=300, seed=3, events=events, **changes))


SWITCH = ScheduledEvent(kind="catalogue_switch", day=4, share=0.4)
SHIFT = ScheduledEvent(kind="taste_shift", day=3, days=2, share=0.25)


def test_a_catalogue_switch_retires_and_launches_as_many_at_once(shop):
    switched = shop_with(SWITCH)
    at_ms = SWITCH.start_ms
    n_before = shop.is_on_sale(np.arange(300), np.full(300, at_ms)).sum()
    is_gone_V = switched.items.retire_ms_V[:300] == at_ms
    is_new_V = switched.items.launch_ms_V == at_ms
    # All but the staple of each of the twelve categories can go.
    assert is_gone_V.sum() == is_new_V.sum() == round(0.4 * (n_before - 12))
    assert is_new_V[300:].all()
    assert (switched.items.retire_ms_V[300:] == NEVER_MS).all()


def test_a_catalogue_switch_leaves_each_category_as_large_and_as_popular():
    items = shop_with(SWITCH).items
    gone, new = items.retire_ms_V == SWITCH.start_ms, items.launch_ms_V == SWITCH.start_ms
    for values_V in (items.category_V, items.popularity_V):
        assert np.array_equal(np.sort(values_V[gone]), np.sort(values_V[new]))


def test_new_items_have_series_and_titles_of_their_own():
    items = shop_with(SWITCH, SWITCH.model_copy(update={"day": 6.0})).items
    new = np.flatnonzero(items.launch_ms_V == SWITCH.start_ms)
    assert len(set(items.title_V)) == len(items.title_V)
    assert set(items.successor_V[new]) <= {-1, *new.tolist()}
    assert (items.successor_V[new] >= 0).sum() > 20


def test_a_category_is_never_found_empty_after_all_items_are_switched():
    shop = shop_with(SWITCH.model_copy(update={"share": 1.0}), retired_ratio=1)
    everything = np.arange(len(shop.items.title_V))
    for ts_ms in (SWITCH.start_ms, shop.config.end_ms):
        is_on_sale_V = shop.is_on_sale(everything, np.full(len(everything), ts_ms))
        assert set(shop.items.category_V[is_on_sale_V]) == set(range(12))


def test_a_taste_shift_gives_a_share_of_the_users_another_favourite_within_its_days(shop):
    shifted = shop_with(SHIFT)
    since_ms_U = shifted.users.since_ms_SU[2]
    user = np.flatnonzero(since_ms_U < NEVER_MS)
    assert len(user) == 125
    days = (since_ms_U[user] - START_MS) / DAY_MS
    assert 3 <= days.min() < 3.1 < 4.9 < days.max() < 5
    before = shifted.taste(user, since_ms_U[user] - 1).argmax(axis=1)
    after = shifted.taste(user, since_ms_U[user]).argmax(axis=1)
    assert (before != after).all()
    assert np.array_equal(
        shifted.taste(user, since_ms_U[user] - 1), shop.taste(user, since_ms_U[user] - 1)
    )


def test_a_later_switch_takes_the_place_of_an_earlier_taste(shop):
    shifted = shop_with(SHIFT)
    user = np.flatnonzero((shifted.users.since_ms_SU < NEVER_MS).all(axis=0))
    assert len(user) > 20
    end_ms = np.full(len(user), shifted.config.end_ms)
    assert np.array_equal(shifted.taste(user, end_ms), shop.taste(user, end_ms))


@pytest.mark.parametrize("kind", ["broken_policy", "tracking_outage"])
def test_what_breaks_around_the_shop_leaves_the_shop_as_it_is(shop, kind):
    broken = shop_with(ScheduledEvent(kind=kind, day=1))
    assert np.array_equal(broken.items.retire_ms_V, shop.items.retire_ms_V)
    assert np.array_equal(broken.users.taste_SUC, shop.users.taste_SUC)
