import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluators.confidence import IMAGINED_SAMPLES, mean_interval, share_interval

ALPHA = 0.05
TUNED_SAMPLES = 1000
LOOK_EVERY = 25
N_RUNS = 1000
N_SAMPLES = 4000


def running_moments(values_RN: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Samples, mean and variance at every look of every run."""
    n_L = np.arange(LOOK_EVERY, values_RN.shape[1] + 1, LOOK_EVERY)
    mean_RL = values_RN.cumsum(axis=1)[:, n_L - 1] / n_L
    variance_RL = (values_RN**2).cumsum(axis=1)[:, n_L - 1] / n_L - mean_RL**2
    return n_L, mean_RL, variance_RL


def share_ever_left_out(values_RN: np.ndarray, truth: float) -> float:
    n_L, mean_RL, variance_RL = running_moments(values_RN)
    # The margin is that of a unit variance, scaled, to look a hundred thousand times in no time.
    unit_margin_L = np.array(
        [
            mean_interval(n, 0.0, 1 - IMAGINED_SAMPLES / n, ALPHA, TUNED_SAMPLES)[1]
            for n in n_L.tolist()
        ]
    )
    margin_RL = unit_margin_L * np.sqrt(variance_RL + IMAGINED_SAMPLES / n_L)
    return float((np.abs(mean_RL - truth) > margin_RL).any(axis=1).mean())


def differences(rng: np.random.Generator, up: float, down: float) -> np.ndarray:
    """Differences of a hit: 1 and -1 with the given probabilities, else 0."""
    draw_RN = rng.random((N_RUNS, N_SAMPLES))
    return (draw_RN < up).astype(float) - (draw_RN > 1 - down)


@pytest.mark.parametrize(
    ("up", "down"),
    [(0.1, 0.1), (0.3, 0.2), (0.03, 0.02), (0.01, 0.01), (0.005, 0.0), (0.001, 0.0), (0.9, 0.05)],
)
def test_looking_after_every_batch_raises_few_false_alarms(up, down):
    values_RN = differences(np.random.default_rng(7), up, down)
    assert share_ever_left_out(values_RN, up - down) <= ALPHA


def test_an_ordinary_interval_looked_at_after_every_batch_raises_many():
    values_RN = differences(np.random.default_rng(7), 0.1, 0.1)
    n_L, mean_RL, variance_RL = running_moments(values_RN)
    is_out_RL = np.abs(mean_RL) > 1.96 * np.sqrt(variance_RL / n_L)
    assert is_out_RL.any(axis=1).mean() > 4 * ALPHA


def test_a_real_difference_is_seen_in_nearly_every_run():
    values_RN = differences(np.random.default_rng(7), 0.12, 0.08)
    assert share_ever_left_out(values_RN, 0.0) > 0.8


def test_the_interval_is_the_formula_of_the_paper():
    n, variance, rho = 5000, 0.2, 0.1
    # rho = 0.1 is the best one for the sample size at which rho**2 n solves u = log((u + 1) / a^2).
    spread = 8.22
    for _ in range(100):
        spread = math.log((spread + 1) / ALPHA**2)
    tuned = spread / rho**2
    margin = math.sqrt(
        (variance + 4 / n)
        * (2 * (n * rho**2 + 1))
        / (n**2 * rho**2)
        * math.log(math.sqrt(n * rho**2 + 1) / ALPHA)
    )
    low, high = mean_interval(n, 0.3, variance, ALPHA, tuned)
    assert (low, high) == pytest.approx((0.3 - margin, 0.3 + margin), rel=1e-12)


@pytest.mark.parametrize("n", [100, 10_000, 1_000_000])
def test_no_other_tuning_is_narrower_at_the_number_it_is_tuned_for(n):
    width = {
        tuned: mean_interval(n, 0.0, 0.1, ALPHA, tuned)[1]
        for tuned in (n // 4, n * 9 // 10, n, n * 11 // 10, n * 4)
    }
    assert min(width, key=width.__getitem__) == n


def test_equal_samples_are_not_taken_for_certainty():
    low, high = mean_interval(50, 0.0, 0.0, ALPHA, TUNED_SAMPLES)
    assert low < -0.01
    assert high > 0.01


def test_an_interval_without_samples_is_refused():
    with pytest.raises(ValueError, match="at least one sample, got 0"):
        mean_interval(0, 0.0, 0.0, ALPHA, TUNED_SAMPLES)


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_an_alpha_that_is_no_probability_of_error_is_refused(alpha):
    with pytest.raises(ValueError, match="alpha lies between 0 and 1"):
        mean_interval(10, 0.0, 0.1, alpha, TUNED_SAMPLES)


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
