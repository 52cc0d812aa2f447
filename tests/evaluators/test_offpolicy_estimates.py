"""# S records, each a list of its own unless said otherwise, N lists, A actions"""

import itertools
import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from evaluators.confidence import bernstein_margin
from evaluators.offpolicy_estimates import (
    MIN_HITS,
    OFF_POLICY_METRICS,
    Moments,
    list_totals,
    products,
)
from tests.evaluators.record_obp import MAX_WEIGHTS, SEEDS, open_bandit_rounds, random_rounds

REFERENCE = json.loads(Path(__file__).with_name("obp_reference.json").read_text())
DATA = Path(os.environ.get("FRESHRANK_DATA", Path(__file__).parents[3] / "shared" / "data"))
ESTIMATES = [name for name in OFF_POLICY_METRICS if name.endswith("_ctr")]
RANDOM_SEEDS = st.integers(0, 2**32 - 1)
FEW = settings(deadline=None, max_examples=50)


def moments_of(
    weight_S: np.ndarray,
    is_clicked_S: np.ndarray,
    model_2S: np.ndarray | None = None,
    list_of_S: np.ndarray | None = None,
    max_weight: float = 2.0,
) -> Moments:
    n = len(weight_S)
    list_of_S = np.arange(n) if list_of_S is None else list_of_S
    model_2S = np.zeros((2, n)) if model_2S is None else model_2S
    totals_NX = list_totals(
        np.asarray(weight_S, float),
        np.asarray(is_clicked_S, np.bool_),
        model_2S,
        list_of_S,
        max_weight,
    )
    return Moments.of_sums(products(totals_NX).sum(axis=1))


def moments_of_rounds(rounds: dict[str, np.ndarray], max_weight: float) -> Moments:
    """A bandit log as obp takes it."""
    each, place = np.arange(len(rounds["action"])), rounds["position"]
    target_SA = rounds["action_dist"][each, :, place]
    model_SA = rounds["estimated_rewards_by_reg_model"][each, :, place]
    weight_S = target_SA[each, rounds["action"]] / rounds["pscore"]
    expected_S = (target_SA * model_SA).sum(axis=1) / target_SA.sum(axis=1)
    model_2S = np.stack((model_SA[each, rounds["action"]], expected_S))
    return moments_of(weight_S, rounds["reward"], model_2S, max_weight=max_weight)


def assert_as_obp_says(rounds: dict[str, np.ndarray], reference: dict[str, float]) -> None:
    for max_weight in MAX_WEIGHTS:
        moments = moments_of_rounds(rounds, max_weight)
        for metric in ESTIMATES:
            name = metric if metric in reference else f"{metric} {max_weight}"
            assert moments.value(metric) == pytest.approx(reference[name], abs=1e-9), name


@pytest.mark.parametrize("seed", SEEDS)
def test_every_estimate_is_that_of_the_open_bandit_pipeline(seed):
    assert_as_obp_says(random_rounds(seed), REFERENCE["random"][str(seed)])


@pytest.mark.skipif(
    not (DATA / "open-bandit").is_dir(), reason="needs the Open Bandit sample: FRESHRANK_DATA"
)
def test_every_estimate_of_bts_from_random_is_that_of_the_open_bandit_pipeline():
    assert_as_obp_says(open_bandit_rounds(DATA / "open-bandit"), REFERENCE["open_bandit"])


@given(RANDOM_SEEDS)
@FEW
def test_for_the_policy_that_showed_the_lists_every_weighted_mean_is_its_own_ctr(seed):
    rng = np.random.default_rng(seed)
    is_clicked_S = rng.random(rng.integers(1, 200)) < 0.2
    moments = moments_of(np.ones(len(is_clicked_S)), is_clicked_S)
    for metric in ("ips_ctr", "clipped_ips_ctr", "snips_ctr", "dr_ctr", "switch_dr_ctr"):
        assert moments.value(metric) == pytest.approx(is_clicked_S.mean(), abs=1e-12)
    assert moments.value("mean_weight") == 1.0
    assert moments.value("effective_samples") == pytest.approx(len(is_clicked_S))


@given(RANDOM_SEEDS, st.floats(0.01, 100))
@FEW
def test_snips_and_the_effective_samples_do_not_depend_on_the_scale_of_the_weights(seed, scale):
    rng = np.random.default_rng(seed)
    weight_S, is_clicked_S = rng.lognormal(0, 1, 50), rng.random(50) < 0.3
    one, other = (moments_of(factor * weight_S, is_clicked_S) for factor in (1.0, scale))
    for metric in ("snips_ctr", "effective_samples"):
        assert other.value(metric) == pytest.approx(one.value(metric), rel=1e-9)
    if is_clicked_S.any():
        assert other.value("ips_ctr") == pytest.approx(scale * one.value("ips_ctr"), rel=1e-9)
    if one.interval("snips_ctr"):
        expected = pytest.approx(one.interval("snips_ctr"), abs=1e-9)
        assert other.interval("snips_ctr") == expected


@given(RANDOM_SEEDS)
@FEW
def test_with_a_perfect_model_doubly_robust_figures_do_not_move_with_the_weights(seed):
    rng = np.random.default_rng(seed)
    is_clicked_S, expected_S = rng.random(60) < 0.3, rng.random(60)
    model_2S = np.stack((is_clicked_S.astype(float), expected_S))
    for weight_S in (np.ones(60), rng.lognormal(0, 3, 60)):
        moments = moments_of(weight_S, is_clicked_S, model_2S)
        for metric in ("dr_ctr", "clipped_dr_ctr", "switch_dr_ctr"):
            assert moments.value(metric) == pytest.approx(expected_S.mean(), abs=1e-9)


@given(RANDOM_SEEDS)
@FEW
def test_ips_and_dr_are_right_on_average_whatever_the_model_says(seed):
    """Every draw of the logging policy and every answer, weighed by how likely they are."""
    rng = np.random.default_rng(seed)
    logging_A, target_A = rng.dirichlet(np.ones(4)), rng.dirichlet(np.ones(4))
    assume(logging_A.min() > 1e-3)
    click_A, model_A = rng.random(4), rng.random(4)
    mean = dict.fromkeys(("ips_ctr", "dr_ctr"), 0.0)
    for action, is_clicked in itertools.product(range(4), (False, True)):
        chance = logging_A[action] * (click_A[action] if is_clicked else 1 - click_A[action])
        model_2S = np.array([[model_A[action]], [target_A @ model_A]])
        weight = target_A[action] / logging_A[action]
        moments = moments_of(np.array([weight]), np.array([is_clicked]), model_2S)
        for metric in mean:
            mean[metric] += chance * moments.value(metric)
    assert mean["ips_ctr"] == pytest.approx(target_A @ click_A, abs=1e-9)
    assert mean["dr_ctr"] == pytest.approx(target_A @ click_A, abs=1e-9)


@given(RANDOM_SEEDS)
@FEW
def test_clipping_only_lowers_ips_and_weights_that_are_all_small_are_left_alone(seed):
    rng = np.random.default_rng(seed)
    weight_S, is_clicked_S = rng.lognormal(0, 1, 40), rng.random(40) < 0.5
    model_2S = rng.random((2, 40))
    moments = moments_of(weight_S, is_clicked_S, model_2S)
    assert moments.value("clipped_ips_ctr") <= moments.value("ips_ctr") + 1e-12
    wide = moments_of(weight_S, is_clicked_S, model_2S, max_weight=weight_S.max())
    assert wide.value("clipped_ips_ctr") == wide.value("ips_ctr")
    assert wide.value("clipped_dr_ctr") == wide.value("switch_dr_ctr") == wide.value("dr_ctr")


def test_where_every_weight_is_too_large_switching_leaves_the_model_alone():
    model_2S = np.array([[0.1, 0.2], [0.3, 0.5]])
    moments = moments_of(np.array([9.0, 7.0]), np.array([True, False]), model_2S)
    assert moments.value("switch_dr_ctr") == pytest.approx(0.4)


@given(RANDOM_SEEDS)
@FEW
def test_an_interval_is_that_of_a_quotient_of_sums_over_lists(seed):
    rng = np.random.default_rng(seed)
    length_N = rng.integers(1, 6, 40)
    list_of_S = np.repeat(np.arange(40), length_N)
    n = len(list_of_S)
    weight_S, is_clicked_S, model_2S = (
        rng.lognormal(0, 1, n),
        rng.random(n) < 0.4,
        rng.random((2, n)),
    )
    moments = moments_of(weight_S, is_clicked_S, model_2S, list_of_S)

    def of_lists(value_S):
        return np.array([value_S[list_of_S == n].sum() for n in range(40)])

    dr_S = model_2S[1] + weight_S * (is_clicked_S - model_2S[0])
    quotients = {
        "ips_ctr": (weight_S * is_clicked_S, np.ones(n)),
        "snips_ctr": (weight_S * is_clicked_S, weight_S),
        "dr_ctr": (dr_S, np.ones(n)),
        "mean_weight": (weight_S, np.ones(n)),
    }
    for metric, pair in quotients.items():
        above_N, below_N = map(of_lists, pair)
        value = above_N.sum() / below_N.sum()
        error = (above_N - value * below_N).std(ddof=1) * math.sqrt(40) / below_N.sum()
        expected = (value - 1.959964 * error, value + 1.959964 * error)
        assert moments.interval(metric) == pytest.approx(expected, abs=1e-6), metric


def test_an_interval_needs_clicks_that_the_target_might_have_had():
    weight_S = np.ones(100)
    is_clicked_S = np.arange(100) < MIN_HITS
    assert moments_of(weight_S, is_clicked_S).interval("ips_ctr") is not None
    assert moments_of(weight_S * (np.arange(100) > 0), is_clicked_S).interval("ips_ctr") is None
    one_list = moments_of(weight_S, is_clicked_S, list_of_S=np.zeros(100, int))
    assert one_list.interval("ips_ctr") is None


@given(RANDOM_SEEDS)
@FEW
def test_bounds_are_those_of_a_loop_over_lists(seed):
    rng = np.random.default_rng(seed)
    length_N = rng.integers(1, 4, 5_000)
    list_of_S = np.repeat(np.arange(5_000), length_N)
    n = len(list_of_S)
    weight_S, is_clicked_S = rng.lognormal(-0.125, 0.5, n), rng.random(n) < 0.5
    clipped_S = np.minimum(weight_S, 2.0)
    low_of = []
    for value_S in (clipped_S * is_clicked_S, clipped_S * ~is_clicked_S):
        value_N = np.bincount(list_of_S, value_S) * 5_000 / n
        largest = 2.0 * 3 * 5_000 / n
        margin = bernstein_margin(5_000, value_N.var(ddof=1), largest, 0.025)
        low_of.append(value_N.mean() - margin)
    moments = moments_of(weight_S, is_clicked_S, list_of_S=list_of_S)
    low, high = moments.bounds(2.0, max_items=3)
    assert (low, high) == pytest.approx((low_of[0], 1 - low_of[1]), abs=1e-9)
    assert low < moments.value("ips_ctr") < high


def test_bounds_of_too_little_leave_everything_open():
    assert moments_of(np.ones(1), np.ones(1)).bounds(2.0, 1) == (0.0, 1.0)
    assert moments_of(np.ones(3), np.ones(3)).bounds(2.0, 1) == (0.0, 1.0)


def test_a_target_that_would_have_shown_nothing_has_no_weighted_mean():
    moments = moments_of(np.zeros(4), np.ones(4))
    assert moments.value("snips_ctr") is None
    assert moments.value("effective_samples") == 0.0
    assert moments.value("ips_ctr") == 0.0
