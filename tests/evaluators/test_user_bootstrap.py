import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluators.ranking import figure_weights
from evaluators.user_bootstrap import N_GROUPS, BootstrapConfig, UserBootstrap
from stream.id_hash import hash64
from stream.values import Int64s
from tests.conformance.stateful_contract import StatefulContract, assert_same_bits

KS = (1, 5)
WEIGHTS_FR = figure_weights(KS)[: 3 * len(KS)]
N_RANKS = WEIGHTS_FR.shape[1]


def bootstrap_of(n_learners: int = 2, replicates: int = 200) -> UserBootstrap:
    return UserBootstrap(BootstrapConfig(replicates=replicates), n_learners, WEIGHTS_FR)


def random_clicks(seed: int, n: int, n_users: int = 400) -> tuple[Int64s, Int64s]:
    """Ranks by champion and shadow, and hashes of who clicked."""
    rng = np.random.default_rng(seed)
    hashes = np.array([hash64(f"u{user}") for user in range(n_users)])
    return rng.integers(0, N_RANKS, (2, n)), hashes[rng.integers(0, n_users, n)]


@given(seed=st.integers(0, 2**32 - 1), cuts=st.lists(st.integers(0, 500), max_size=8).map(sorted))
@settings(deadline=None, max_examples=20)
def test_intervals_do_not_depend_on_how_clicks_are_cut_into_batches(seed, cuts):
    rank_2N, user_N = random_clicks(seed, 500)
    whole, cut = bootstrap_of(), bootstrap_of()
    whole.update(rank_2N, user_N)
    for start, end in itertools.pairwise([0, *cuts, 500]):
        cut.update(rank_2N[:, start:end], user_N[start:end])
    assert_same_bits(cut.intervals(0.05), whole.intervals(0.05))


def test_it_equals_replicates_that_weigh_each_click_by_its_users_group():
    rank_2N, user_N = random_clicks(5, 3000)
    bootstrap = bootstrap_of()
    bootstrap.update(rank_2N, user_N)
    lead_FN = WEIGHTS_FR[:, rank_2N[0]] - WEIGHTS_FR[:, rank_2N[1]]
    weight_BG = np.random.default_rng(7).poisson(1.0, (200, N_GROUPS))
    replicates = []
    for weight_G in weight_BG:
        weight_N = weight_G[user_N % N_GROUPS]
        replicates.append((lead_FN * weight_N).sum(axis=1) / weight_N.sum())
    in_order = np.sort(replicates, axis=0)
    ends_SF2 = bootstrap.intervals(0.05)
    assert ends_SF2 is not None
    # 2.5 % of 201 is five on either side; ranks weigh whole millionths.
    np.testing.assert_allclose(ends_SF2[0].T, in_order[[4, 195]], rtol=0, atol=2e-6)


def test_a_users_clicks_are_no_witnesses_of_their_own():
    # Each user clicks 20 times and all of it goes one way: as sure as with a click a user.
    rng = np.random.default_rng(3)
    users = np.array([hash64(f"u{user}") for user in range(1000)])
    rank_2U = rng.integers(0, N_RANKS, (2, 1000))
    once, often = bootstrap_of(), bootstrap_of()
    once.update(rank_2U, users)
    often.update(np.repeat(rank_2U, 20, axis=1), np.repeat(users, 20))
    assert_same_bits(often.intervals(0.05), once.intervals(0.05))


def test_it_covers_what_other_users_do_about_as_often_as_it_says():
    held = []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        users = rng.integers(-(2**63), 2**63 - 1, 300)
        lean_U = rng.choice([0.2, 0.8], 300)  # of whom the champion serves well
        user_N = rng.integers(0, 300, 3000)
        hit_N = rng.random(3000) < lean_U[user_N]
        bootstrap = bootstrap_of()
        bootstrap.update(np.stack((hit_N, ~hit_N)).astype(np.int64), users[user_N])
        low, high = bootstrap.intervals(0.05)[0, 0]
        held.append(low <= 0.0 <= high)
    assert 0.90 <= np.mean(held) <= 0.98


def test_few_users_tell_nothing_of_others():
    rank_2N, user_N = random_clicks(1, 500, n_users=12)
    bootstrap = bootstrap_of()
    bootstrap.update(rank_2N, user_N)
    assert bootstrap.intervals(0.05) is None
    figures = [{"recall@1": {}}]
    bootstrap.add_intervals(figures, 0.05)
    assert figures == [{"recall@1": {}}]


def test_learners_that_agree_differ_by_nothing_in_any_replicate():
    rank_2N, user_N = random_clicks(1, 500)
    bootstrap = bootstrap_of()
    bootstrap.update(rank_2N[[0, 0]], user_N)
    assert not bootstrap.intervals(0.05).any()


def test_each_figure_of_each_shadow_is_given_its_own():
    rank_2N, user_N = random_clicks(2, 2000)
    rank_3N = np.stack((rank_2N[0], rank_2N[1], rank_2N[0]))
    bootstrap = bootstrap_of(n_learners=3)
    bootstrap.update(rank_3N, user_N)
    shadows = [{f"figure {f}": {} for f in range(len(WEIGHTS_FR))} for _ in range(2)]
    bootstrap.add_intervals(shadows, 0.05)
    assert shadows[1] == {name: {"interval_by_user": [0.0, 0.0]} for name in shadows[1]}
    widths = [low_high["interval_by_user"] for low_high in shadows[0].values()]
    assert all(low < high for low, high in widths)


class TestUserBootstrapState(StatefulContract):
    make = staticmethod(bootstrap_of)

    @staticmethod
    def drive(bootstrap: UserBootstrap, step: int) -> object:
        bootstrap.update(*random_clicks(step, 100))
        return bootstrap.intervals(0.05)
