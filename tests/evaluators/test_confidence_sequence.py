import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluators.confidence_sequence import mean_margin

ALPHA = 0.05
LOOK_EVERY = 25
N_RUNS = 1000
N_SAMPLES = 4000


def share_ever_left_out(values_RN: np.ndarray, truth_N: np.ndarray | float) -> float:
    """Of the runs, those whose interval left out the running mean of the truth at any look."""
    n_L = np.arange(LOOK_EVERY, values_RN.shape[1] + 1, LOOK_EVERY)
    truth_N = np.broadcast_to(truth_N, values_RN.shape[1:])
    off_RL = np.abs((values_RN - truth_N).cumsum(axis=1)[:, n_L - 1]) / n_L
    squares_RL = (values_RN**2).cumsum(axis=1)[:, n_L - 1]
    margins = [mean_margin(n, squares_RL[:, look], ALPHA) for look, n in enumerate(n_L.tolist())]
    return float((off_RL > np.stack(margins, axis=1)).any(axis=1).mean())


def differences(rng: np.random.Generator, up_N: np.ndarray, down_N: np.ndarray) -> np.ndarray:
    """Differences of a hit: 1 and -1 with the given probabilities, else 0."""
    draw_RN = rng.random((N_RUNS, N_SAMPLES))
    return (draw_RN < up_N).astype(float) - (draw_RN > 1 - down_N)


@pytest.mark.parametrize(
    ("up", "down"),
    [(0.1, 0.1), (0.3, 0.2), (0.03, 0.02), (0.01, 0.01), (0.005, 0.0), (0.001, 0.0), (0.9, 0.05)],
)
def test_looking_after_every_batch_raises_few_false_alarms(up, down):
    values_RN = differences(np.random.default_rng(7), np.array(up), np.array(down))
    assert share_ever_left_out(values_RN, up - down) <= ALPHA


def test_a_mean_that_moves_is_covered_by_its_running_mean():
    up_N = 0.1 + 0.1 * np.sin(np.arange(N_SAMPLES) / 300)
    values_RN = differences(np.random.default_rng(7), up_N, np.array(0.1))
    assert share_ever_left_out(values_RN, up_N - 0.1) <= ALPHA


def test_a_real_difference_is_seen_in_nearly_every_run():
    values_RN = differences(np.random.default_rng(7), np.array(0.12), np.array(0.08))
    assert share_ever_left_out(values_RN, 0.0) > 0.75


@given(
    bet=st.floats(1e-6, 0.95),
    chance=st.floats(0.0, 1.0),
    low=st.floats(-1.0, 0.0),
    high=st.floats(0.0, 1.0),
)
def test_what_is_bet_on_a_sample_is_worth_no_more_than_it_cost(bet, chance, low, high):
    # Of two values, whatever they are: E exp(bet (x - mean) - psi x^2) is at most 1.
    psi = -math.log1p(-bet) - bet
    mean = chance * high + (1 - chance) * low
    worth = [math.exp(bet * (x - mean) - psi * x * x) for x in (low, high)]
    assert (1 - chance) * worth[0] + chance * worth[1] <= 1 + 1e-12


@given(squares=st.floats(0.0, 1e9), alpha=st.sampled_from([0.01, 0.05, 0.3]))
@settings(deadline=None)
def test_the_margin_is_where_the_mixture_reaches_its_level(squares, alpha):
    # The same mixture, written down plainly and solved by halving.
    bets, weights = [], []
    bet = 0.95
    while bet >= 1e-6:
        bets.append(bet)
        weights.append(bet / (1 + (bet / 0.03) ** 2))
        bet /= 1.5
    costs = [-math.log1p(-bet) - bet for bet in bets]

    def log_mixture(total: float) -> float:
        terms = [
            math.log(weight / sum(weights)) + bet * total - cost * squares
            for bet, cost, weight in zip(bets, costs, weights, strict=True)
        ]
        largest = max(terms)
        return largest + math.log(sum(math.exp(term - largest) for term in terms))

    low, high = 0.0, 1e9
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if log_mixture(middle) < math.log(2 / alpha) else (low, middle)
    n = 10**9
    margin = mean_margin(n, np.array([squares]), alpha).item()
    assert margin * n == pytest.approx(high, rel=1e-6)
    assert margin * n >= high * (1 - 1e-9)


def test_it_is_never_far_from_what_one_bet_made_for_that_number_would_be():
    squares_F = np.array([300.0, 1e3, 1e4, 1e5, 1e6])
    best_F = np.sqrt(2 * math.log(2 / ALPHA) * squares_F)  # of a normal sum, looked at once
    margin_F = mean_margin(10**7, squares_F, ALPHA) * 10**7
    assert (margin_F / best_F).round(2).tolist() == pytest.approx(
        [1.36, 1.26, 1.18, 1.23, 1.34], abs=0.02
    )


def test_equal_samples_are_not_taken_for_certainty():
    assert mean_margin(50, np.zeros(1), ALPHA).item() > 0.1


def test_a_margin_says_no_more_than_that_nothing_is_known():
    assert mean_margin(1, np.ones(1), ALPHA).item() == 2.0


def test_a_margin_without_samples_is_refused():
    with pytest.raises(ValueError, match="at least one sample, got 0"):
        mean_margin(0, np.zeros(1), ALPHA)


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_an_alpha_that_is_no_probability_of_error_is_refused(alpha):
    with pytest.raises(ValueError, match="alpha lies between 0 and 1"):
        mean_margin(10, np.zeros(1), alpha)
