import numpy as np
import pytest

from stream.sources.shop import DAY_MS, START_MS, Shop
from stream.sources.shop_config import SimulatorConfig
from stream.sources.shop_sequels import Clicks, conversion_probability, opinions, purchases

N_CLICKS = 50_000


@pytest.fixture(scope="module")
def shop():
    return Shop(SimulatorConfig(users=100, items=200, seed=4))


@pytest.fixture(scope="module")
def clicks(shop):
    rng = np.random.default_rng(1)
    # Long before the end: all that follows is seen.
    ts_N = np.sort(rng.integers(START_MS, shop.config.end_ms - 4 * DAY_MS, N_CLICKS))
    user_N, item_N = rng.integers(0, 100, N_CLICKS), rng.integers(0, 200, N_CLICKS)
    return Clicks(user_N, item_N, ts_N, np.arange(N_CLICKS), np.full(N_CLICKS, -1))


@pytest.fixture(scope="module")
def bought(shop, clicks):
    return purchases(shop, clicks)


@pytest.fixture(scope="module")
def said(shop, clicks):
    return opinions(shop, clicks)


def test_clicks_are_bought_as_often_as_the_quality_of_their_item_says(shop, clicks, bought):
    probability_N = conversion_probability(shop, clicks.user_N, clicks.item_N, clicks.ts_N)
    is_good_N = shop.items.quality_V[clicks.item_N] > 0.65
    is_bought_N = np.isin(np.arange(N_CLICKS), bought.click_P)
    for rows in (is_good_N, ~is_good_N):
        expected = probability_N[rows].sum()
        variance = (probability_N * (1 - probability_N))[rows].sum()
        assert abs(is_bought_N[rows].sum() - expected) < 3 * np.sqrt(variance)


def test_where_taste_matters_a_click_is_bought_as_often_as_its_user_wants_the_category(clicks):
    shop = Shop(
        SimulatorConfig(users=100, items=200, seed=4, conversion_ratio=0.6, conversion_taste=1.0)
    )
    probability_N = conversion_probability(shop, clicks.user_N, clicks.item_N, clicks.ts_N)
    taste_NC = shop.taste(clicks.user_N, clicks.ts_N)
    wanted_N = taste_NC[np.arange(N_CLICKS), shop.items.category_V[clicks.item_N]]
    quality_N = shop.items.quality_V[clicks.item_N]
    np.testing.assert_allclose(probability_N, 0.6 * quality_N * wanted_N)
    is_bought_N = np.isin(np.arange(N_CLICKS), purchases(shop, clicks).click_P)
    for rows in (wanted_N > 0.4, wanted_N < 0.1):
        expected = probability_N[rows].sum()
        variance = (probability_N * (1 - probability_N))[rows].sum()
        assert abs(is_bought_N[rows].sum() - expected) < 3 * np.sqrt(variance)


def test_a_purchase_comes_minutes_to_days_after_its_click_and_once(clicks, bought):
    delay_P = bought.ts_P - clicks.ts_N[bought.click_P]
    assert 59_999 <= delay_P.min() < 120_000
    assert 2 * DAY_MS < delay_P.max() <= 3 * DAY_MS
    assert (np.diff(bought.ts_P) >= 0).all()
    assert len(np.unique(bought.click_P)) == len(bought.click_P)


def test_an_item_has_one_price(clicks, bought):
    price_of = {}
    for item, value in zip(clicks.item_N[bought.click_P], bought.value_P.tolist(), strict=True):
        assert price_of.setdefault(item, value) == value > 0
    assert len(set(price_of.values())) > 100


def test_what_follows_after_the_end_is_not_seen(shop, clicks):
    late = Clicks(
        *(getattr(clicks, name) for name in ("user_N", "item_N")),
        clicks.ts_N + 4 * DAY_MS,
        clicks.session_N,
        clicks.request_N,
    )
    bought = purchases(shop, late)
    assert 0 < len(bought.ts_P) < len(purchases(shop, clicks).ts_P)
    assert max(bought.ts_P.max(), opinions(shop, late).ts_F.max()) < shop.config.end_ms


def test_opinions_come_within_minutes_of_a_tenth_of_the_clicks(clicks, said):
    delay_F = said.ts_F - clicks.ts_N[said.click_F]
    assert len(said.ts_F) / N_CLICKS == pytest.approx(0.1, abs=0.01)
    assert 2_999 <= delay_F.min() <= delay_F.max() <= 600_000
    assert (np.diff(said.ts_F) >= 0).all()


@pytest.mark.parametrize(("kind", "low", "high"), [("dwell", 0, 3000), ("rating", 1, 5)])
def test_dwelling_and_ratings_grow_with_quality(shop, clicks, said, kind, low, high):
    rows = np.array(said.kind_F) == kind
    value_F = said.value_F[rows]
    quality_F = shop.items.quality_V[clicks.item_N[said.click_F[rows]]]
    assert low <= value_F.min() <= value_F.max() <= high
    assert np.corrcoef(value_F, quality_F)[0, 1] > 0.3


def test_likes_are_as_frequent_as_quality_says_and_have_no_value(shop, clicks, said):
    kind_F = np.array(said.kind_F)
    rows = np.isin(kind_F, ["like", "dislike"])
    assert np.isnan(said.value_F[rows]).all()
    assert not np.isnan(said.value_F[~rows]).any()
    quality = shop.items.quality_V[clicks.item_N[said.click_F[rows]]].mean()
    assert (kind_F[rows] == "like").mean() == pytest.approx(quality, abs=0.04)


def test_clicks_are_selected_and_put_together_column_by_column():
    clicks = Clicks(*(np.array([1, 2, 3]) * 10**k for k in range(5)))
    last = clicks.select(np.array([2]))
    assert [last.user_N, last.item_N, last.request_N] == [[3], [30], [30000]]
    both = last.followed_by(clicks.select(np.array([True, False, False])))
    assert (both.session_N.tolist(), len(both)) == ([3000, 1000], 2)
