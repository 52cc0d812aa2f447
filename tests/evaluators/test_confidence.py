import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluators.confidence import share_interval


@given(n_samples=st.integers(1, 10**7), data=st.data(), alpha=st.sampled_from([0.01, 0.05, 0.3]))
def test_the_ends_of_a_share_interval_are_where_the_score_test_is_at_its_limit(
    n_samples, data, alpha
):
    n_hits = data.draw(st.integers(0, n_samples))
    quantile = {0.01: 2.5758293035489004, 0.05: 1.959963984540054, 0.3: 1.0364333894937898}[alpha]
    # The score test refuses p where n (h - p)^2 > z^2 p (1 - p); its limits are two roots in p.
    share = n_hits / n_samples
    square = quantile**2
    roots = np.roots([n_samples + square, -(2 * n_samples * share + square), n_samples * share**2])
    expected = np.clip(np.sort(roots.real), 0, 1)
    assert share_interval(n_hits, n_samples, alpha) == pytest.approx(expected, abs=1e-6)


def test_a_share_interval_equals_a_worked_example():
    # Newcombe, Statistics in Medicine 17, 1998, table I: 81 of 263, and 0 of 20.
    assert share_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert share_interval(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)


@pytest.mark.parametrize(("share", "n_samples"), [(0.02, 500), (0.05, 200), (0.3, 50), (0.9, 100)])
def test_a_share_interval_covers_the_truth_about_as_often_as_it_says(share, n_samples):
    n_hits = np.random.default_rng(11).binomial(n_samples, share, 20_000)
    interval_of = {hits: share_interval(hits, n_samples) for hits in np.unique(n_hits).tolist()}
    is_inside = [interval_of[hits][0] <= share <= interval_of[hits][1] for hits in n_hits.tolist()]
    assert 0.93 <= np.mean(is_inside) <= 0.98


@pytest.mark.parametrize("n_hits", [0, 7])
def test_a_share_interval_stays_between_0_and_1(n_hits):
    low, high = share_interval(n_hits, 7)
    assert 0.0 <= low < high <= 1.0


def test_a_share_interval_without_samples_is_refused():
    with pytest.raises(ValueError, match="at least one sample, got 0"):
        share_interval(0, 0)


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_a_share_interval_with_an_alpha_that_is_no_probability_is_refused(alpha):
    with pytest.raises(ValueError, match="alpha lies between 0 and 1"):
        share_interval(1, 10, alpha)
