import numpy as np
import pytest
from pydantic import ValidationError

from stream.sources.shop import DAY_MS, NEVER_MS, START_MS, Shop, SimulatorConfig


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
    switching = np.flatnonzero(shop.users.switch_ms_U < NEVER_MS)
    switch_ms_N = shop.users.switch_ms_U[switching]
    before = shop.taste(switching, switch_ms_N - 1).argmax(axis=1)
    after = shop.taste(switching, switch_ms_N).argmax(axis=1)
    assert 0.2 < len(switching) / shop.config.users < 0.4
    assert (before != after).all()


def test_switches_fall_on_the_day_configured(shop):
    switch_ms_U = shop.users.switch_ms_U
    days = (switch_ms_U[switch_ms_U < NEVER_MS] - START_MS) / DAY_MS
    assert 8 <= days.min() <= days.max() < 9


def test_a_taste_drifts_slowly(shop):
    user = np.flatnonzero(shop.users.switch_ms_U == NEVER_MS)
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
    user = np.flatnonzero(shop.users.switch_ms_U < NEVER_MS)[:1]
    switch_ms = shop.users.switch_ms_U[user]
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


def test_fewer_items_than_categories_are_refused():
    with pytest.raises(ValidationError, match="5 items cannot fill 12 categories"):
        SimulatorConfig(items=5)
