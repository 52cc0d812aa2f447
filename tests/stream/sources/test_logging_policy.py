import numpy as np
import pytest

from stream.sources.logging_policy import LoggingPolicy
from stream.sources.shop import DAY_MS, NEVER_MS, START_MS, Shop
from stream.sources.shop_config import SimulatorConfig

RANKINGS = ["sound", "broken", "random"]
NOTICE_MS = 3_600_000


def ranked(shop, ranking, n=4000, list_items=6, user=None, ts_ms=None):
    rng = np.random.default_rng(2)
    user_N = rng.integers(0, shop.config.users, n) if user is None else np.full(n, user)
    ts_N = rng.integers(START_MS, shop.config.end_ms, n) if ts_ms is None else np.full(n, ts_ms)
    drawn = LoggingPolicy(shop, NOTICE_MS).rank(ranking, user_N, ts_N, list_items, rng)
    return user_N, ts_N, drawn


@pytest.fixture(scope="module")
def shop():
    return Shop(SimulatorConfig(users=200, items=60, categories=4, seed=1))


@pytest.mark.parametrize("ranking", RANKINGS)
@pytest.mark.parametrize("place", [0, 1, 4])
def test_items_come_first_second_and_fifth_as_often_as_their_propensities_say(shop, ranking, place):
    n = 30_000
    _, _, drawn = ranked(shop, ranking, n, user=5, ts_ms=START_MS + 3 * DAY_MS)
    item_N, propensity_N = drawn.item_NK[:, place], drawn.propensity_NK[:, place]
    # The expected sum of 1 / propensity over the lists with an item at a place is how many lists
    # could have had it there: all, but for those that have it at an earlier place.
    n_times_V = np.bincount(item_N, minlength=60)
    inverse_V = np.bincount(item_N, 1 / propensity_N, 60)
    squared_V = np.bincount(item_N, propensity_N**-2, 60)
    n_free_V = n - sum(np.bincount(drawn.item_NK[:, k], minlength=60) for k in range(place))
    often = n_times_V >= 100
    assert often.sum() > 15
    z_V = (inverse_V - n_free_V)[often] / np.sqrt(squared_V[often])
    assert np.abs(z_V).max() < 4
    assert 0.5 < z_V.std() < 1.5


@pytest.mark.parametrize("ranking", RANKINGS)
def test_first_places_are_chi_square_distributed_around_their_propensities(shop, ranking):
    n = 30_000
    _, _, drawn = ranked(shop, ranking, n, user=5, ts_ms=START_MS + 3 * DAY_MS)
    item, index_V, n_times_V = np.unique(drawn.item_NK[:, 0], return_index=True, return_counts=True)
    # One user at one time: an item's propensity for the first place is always the same.
    propensity_V = drawn.propensity_NK[index_V, 0]
    assert len(set(zip(drawn.item_NK[:, 0], drawn.propensity_NK[:, 0], strict=True))) == len(item)
    assert propensity_V.sum() == pytest.approx(1, abs=1e-3)
    expected_V = n * propensity_V
    chi_square = ((n_times_V - expected_V) ** 2 / expected_V)[expected_V > 5].sum()
    freedom = (expected_V > 5).sum() - 1
    assert abs(chi_square - freedom) < 4 * np.sqrt(2 * freedom)


def test_a_propensity_is_the_softmax_of_the_scores_that_are_left(shop):
    user, ts_ms = 9, START_MS + 5 * DAY_MS
    _, _, drawn = ranked(shop, "sound", 1, list_items=40, user=user, ts_ms=ts_ms)
    policy = LoggingPolicy(shop, NOTICE_MS)
    taste_C = policy._category_scores(np.array([user]), np.array([ts_ms]))[0]
    weight_V = np.exp(policy._score_V + taste_C[shop.items.category_V])
    weight_V[shop.items.launch_ms_V > ts_ms] = 0
    weight_V[shop.items.retire_ms_V <= ts_ms + NOTICE_MS] = 0
    for item, propensity in zip(drawn.item_NK[0], drawn.propensity_NK[0], strict=True):
        if item < 0:
            break
        assert propensity == pytest.approx(weight_V[item] / weight_V.sum(), rel=1e-5)
        weight_V[item] = 0


@pytest.mark.parametrize("ranking", RANKINGS)
def test_items_of_a_list_differ_and_stay_on_sale_for_the_notice(shop, ranking):
    _, ts_N, drawn = ranked(shop, ranking)
    ordered_NK = np.sort(drawn.item_NK, axis=1)
    assert (ordered_NK[:, 0] >= 0).all()
    assert (np.diff(ordered_NK, axis=1) > 0).all()
    assert shop.is_on_sale(drawn.item_NK, ts_N[:, None]).all()
    assert shop.is_on_sale(drawn.item_NK, ts_N[:, None] + NOTICE_MS - 1).all()


@pytest.mark.parametrize("ranking", RANKINGS)
def test_propensities_are_probabilities_of_six_digits(shop, ranking):
    _, _, drawn = ranked(shop, ranking)
    propensities = np.unique(drawn.propensity_NK).tolist()
    assert 0 < propensities[0] <= propensities[-1] <= 1
    assert propensities == [float(f"{propensity:.6g}") for propensity in propensities]


def test_a_sound_ranking_finds_what_is_wanted_and_a_broken_one_avoids_it(shop):
    relevance = {}
    for ranking in RANKINGS:
        user_N, ts_N, drawn = ranked(shop, ranking)
        relevance[ranking] = shop.click_probability(user_N, drawn.item_NK[:, 0], ts_N).mean()
    assert relevance["sound"] > 1.8 * relevance["random"]
    assert relevance["broken"] < 0.6 * relevance["random"]


def test_a_sound_ranking_follows_a_switch_of_taste_days_later():
    shop = Shop(SimulatorConfig(users=300, items=60, seed=1, switching_ratio=1, switch_day=4))
    clicked = {}
    for day in (3, 6, 7.5):
        user_N, ts_N, drawn = ranked(shop, "sound", ts_ms=START_MS + int(day * DAY_MS))
        clicked[day] = shop.click_probability(user_N, drawn.item_NK[:, 0], ts_N).mean()
    assert clicked[6] < 0.5 * clicked[3]
    assert clicked[7.5] > 1.5 * clicked[6]


@pytest.mark.parametrize("ranking", RANKINGS)
def test_a_list_ends_where_nothing_is_left_to_list(ranking):
    shop = Shop(SimulatorConfig(users=20, items=30, categories=3, retired_ratio=0.8))
    _, ts_N, drawn = ranked(shop, ranking, n=500, list_items=40)
    leave_ms_V = np.where(
        shop.items.retire_ms_V == NEVER_MS, NEVER_MS, shop.items.retire_ms_V - NOTICE_MS
    )
    is_listed_NV = (shop.items.launch_ms_V <= ts_N[:, None]) & (ts_N[:, None] < leave_ms_V)
    n_listed_N = is_listed_NV.sum(axis=1)
    assert n_listed_N.min() < 20
    assert np.array_equal((drawn.item_NK >= 0).sum(axis=1), n_listed_N)
    assert np.array_equal(drawn.propensity_NK > 0, drawn.item_NK >= 0)
    last_N = drawn.propensity_NK[np.arange(500), n_listed_N - 1]
    assert last_N == pytest.approx(np.ones(500), abs=1e-5)


def test_staples_are_found_on_shelves_of_items_yet_to_come():
    shop = Shop(SimulatorConfig(users=5, items=5000, categories=2, launched_ratio=1))
    _, _, drawn = ranked(shop, "broken", n=50, list_items=3, ts_ms=START_MS)
    staples = np.flatnonzero(shop.items.launch_ms_V == START_MS)
    assert len(staples) == 2
    assert np.array_equal(np.sort(drawn.item_NK, axis=1), np.tile([-1, *staples], (50, 1)))
