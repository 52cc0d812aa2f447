import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import log_loss, roc_auc_score

from evaluators.click_figures import (
    N_BINS,
    ProbabilitySums,
    binned_auc,
    exact_auc,
    log_losses,
    probability_bins,
    reliability_groups,
    sum_figures,
)

SEEDS = st.integers(0, 2**32 - 1)


def predictions(seed: int, n: int, spread: float = 1.0, n_values: int | None = None):
    """Probabilities, few of them different where `n_values` says so, and clicks."""
    rng = np.random.default_rng(seed)
    log_odds_S = rng.normal(-1.5, spread, n)
    if n_values is not None:
        log_odds_S = rng.choice(log_odds_S[:n_values], n)
    probability_S = 1 / (1 + np.exp(-log_odds_S))
    is_clicked_S = rng.random(n) < probability_S
    is_clicked_S[:2] = True, False
    return probability_S, is_clicked_S


def bin_counts(probability_S: np.ndarray, is_clicked_S: np.ndarray) -> np.ndarray:
    count_2B = np.zeros((2, N_BINS), np.int64)
    np.add.at(count_2B, (is_clicked_S.astype(int), probability_bins(probability_S)), 1)
    return count_2B


def pairs_within_bins(count_2B: np.ndarray) -> float:
    """Share of the pairs (clicked, not clicked) that lie in one bin."""
    share_2B = count_2B / count_2B.sum(axis=1, keepdims=True)
    return float((share_2B[0] * share_2B[1]).sum())


@given(seed=SEEDS, n=st.integers(2, 400), n_values=st.none() | st.integers(1, 5))
@settings(deadline=None)
def test_exact_auc_equals_scikit_learn_ties_included(seed, n, n_values):
    probability_S, is_clicked_S = predictions(seed, n, n_values=n_values)
    auc = exact_auc(probability_S[is_clicked_S], probability_S[~is_clicked_S])
    assert auc == pytest.approx(roc_auc_score(is_clicked_S, probability_S), abs=1e-12)


@given(seed=SEEDS, n=st.integers(2, 400), spread=st.floats(0.01, 8.0))
@settings(deadline=None)
def test_binned_auc_equals_scikit_learn_on_probabilities_rounded_to_their_bin(seed, n, spread):
    probability_S, is_clicked_S = predictions(seed, n, spread)
    auc = binned_auc(bin_counts(probability_S, is_clicked_S))
    expected = roc_auc_score(is_clicked_S, probability_bins(probability_S))
    assert auc == pytest.approx(expected, abs=1e-12)


@given(seed=SEEDS, n=st.integers(2, 400), spread=st.floats(0.001, 8.0))
@settings(deadline=None)
def test_binned_auc_is_off_by_at_most_half_the_pairs_within_bins(seed, n, spread):
    probability_S, is_clicked_S = predictions(seed, n, spread)
    count_2B = bin_counts(probability_S, is_clicked_S)
    error = binned_auc(count_2B) - roc_auc_score(is_clicked_S, probability_S)
    assert abs(error) <= pairs_within_bins(count_2B) / 2 + 1e-12


@pytest.mark.parametrize(("spread", "bound", "found"), [(1.0, 4e-3, 2.1e-4), (0.3, 1.5e-2, 6e-4)])
def test_binned_auc_is_as_near_as_its_documentation_says(spread, bound, found):
    for seed in range(50):
        probability_S, is_clicked_S = predictions(seed, 10_000, spread)
        count_2B = bin_counts(probability_S, is_clicked_S)
        exact = exact_auc(probability_S[is_clicked_S], probability_S[~is_clicked_S])
        assert pairs_within_bins(count_2B) / 2 <= bound
        assert abs(binned_auc(count_2B) - exact) <= found


def test_binned_auc_of_weights_is_that_of_samples_repeated():
    count_2B = np.array([[3, 1, 0], [0, 2, 5]])
    assert binned_auc(count_2B * 0.125) == pytest.approx(binned_auc(count_2B), abs=1e-15)


def test_auc_of_counts_whose_product_is_past_64_bits_is_right():
    count_2B = np.array([[10**12, 0], [0, 10**12]])
    assert binned_auc(count_2B) == 1.0


@pytest.mark.parametrize("is_clicked", [True, False])
def test_auc_does_not_exist_with_one_class_only(is_clicked):
    probability_S, is_clicked_S = np.array([0.2, 0.4]), np.full(2, is_clicked)
    assert exact_auc(probability_S[is_clicked_S], probability_S[~is_clicked_S]) is None
    assert binned_auc(bin_counts(probability_S, is_clicked_S)) is None


@given(probabilities=st.lists(st.floats(0, 1, exclude_min=True, exclude_max=True), min_size=2))
@settings(deadline=None)
def test_bins_keep_the_order_of_probabilities(probabilities):
    bin_S = probability_bins(np.sort(probabilities))
    assert (np.diff(bin_S) >= 0).all()
    assert bin_S[0] >= 0
    assert bin_S[-1] < N_BINS


@given(
    probabilities=st.lists(
        st.floats(0, 1, exclude_min=True, exclude_max=True), min_size=2, max_size=50
    ),
    seed=SEEDS,
)
@settings(deadline=None)
def test_log_loss_equals_scikit_learn_even_at_the_ends(probabilities, seed):
    probability_S = np.array(probabilities)
    is_clicked_S = np.random.default_rng(seed).random(len(probability_S)) < 0.5
    expected = log_loss(is_clicked_S, probability_S, labels=[False, True])
    assert log_losses(probability_S, is_clicked_S).mean() == pytest.approx(expected, rel=1e-12)


def test_always_predicting_the_ctr_has_a_normalized_entropy_of_1():
    probability_S, is_clicked_S = np.full(50, 0.1), np.arange(50) < 5
    loss = log_losses(probability_S, is_clicked_S).sum()
    figures = sum_figures(ProbabilitySums(50, 5, probability_S.sum(), loss))
    assert figures["normalized_entropy"] == pytest.approx(1.0, abs=1e-12)
    assert figures["calibration_ratio"] == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize(
    ("clicks", "missing"),
    [(0, {"calibration_ratio", "normalized_entropy"}), (4, {"normalized_entropy"})],
)
def test_figures_that_divide_by_nothing_do_not_exist(clicks, missing):
    figures = sum_figures(ProbabilitySums(4, clicks, 1.0, 2.0))
    every = {"predicted_ctr", "calibration_ratio", "log_loss", "normalized_entropy"}
    assert every - set(figures) == missing


@given(seed=SEEDS, groups=st.integers(1, 40))
@settings(deadline=None)
def test_reliability_equals_scikit_learn_by_quantile(seed, groups):
    # Tens of different probabilities: scikit-learn's quantiles then cut at the same items.
    probability_S, is_clicked_S = predictions(seed, 10 * groups)
    observed, predicted = calibration_curve(
        is_clicked_S, probability_S, n_bins=10, strategy="quantile"
    )
    found = reliability_groups(probability_S, is_clicked_S)
    assert [group["samples"] for group in found] == [groups] * 10
    assert [group["predicted"] for group in found] == pytest.approx(predicted.tolist())
    assert [group["observed"] for group in found] == pytest.approx(observed.tolist())


@given(seed=SEEDS, n=st.integers(1, 100), n_values=st.integers(1, 5))
@settings(deadline=None)
def test_reliability_keeps_equal_probabilities_together_and_loses_none(seed, n, n_values):
    rng = np.random.default_rng(seed)
    probability_S = rng.choice(np.linspace(0.1, 0.9, n_values), n)
    is_clicked_S = rng.random(n) < 0.5
    found = reliability_groups(probability_S, is_clicked_S)
    assert len(found) <= min(n_values, 10)
    assert sum(group["samples"] for group in found) == n
    clicks = sum(group["samples"] * group["observed"] for group in found)
    assert clicks == pytest.approx(is_clicked_S.sum())


def test_no_items_have_no_reliability():
    assert reliability_groups(np.zeros(0), np.zeros(0, np.bool_)) == []
