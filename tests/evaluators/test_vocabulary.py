import math

import pytest

from evaluators.click_figures import CLICK_METRICS
from evaluators.conversions import CONVERSION_METRICS
from evaluators.ranking import figure_names
from evaluators.vocabulary import (
    METRICS_BY_POLICY,
    OFF_POLICY_METRICS,
    POLICY_METRICS,
    STEP_METRICS,
    WINDOWS,
    metric_ranges,
    nearest_metric,
)

KS = (1, 10, 20)


def test_every_metric_has_a_range():
    assert list(metric_ranges(KS)) == [
        *figure_names(KS),
        *CLICK_METRICS,
        *CONVERSION_METRICS,
        *STEP_METRICS,
        *OFF_POLICY_METRICS,
    ]


def test_only_losses_ratios_and_weighted_means_may_exceed_1():
    unbounded = {name for name, (_, high) in metric_ranges(KS).items() if high == math.inf}
    ratios = {"log_loss", "normalized_entropy", "calibration_ratio"}
    conversions = {f"conversion_{name}" for name in ratios}
    assert unbounded == ratios | conversions | (set(OFF_POLICY_METRICS) - {"snips_ctr"})


def test_only_what_a_model_expected_and_weights_corrected_may_end_below_0():
    below = {name for name, (low, _) in metric_ranges(KS).items() if low < 0}
    assert below == {"dr_ctr", "clipped_dr_ctr", "switch_dr_ctr"}


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("recall@2", "recall@20"),
        ("CTR", "ctr"),
        ("request-ctr", "request_ctr"),
        ("normalised_entropy", "normalized_entropy"),
        ("calibration", "calibration_ratio"),
        ("conversion-auc", "conversion_auc"),
    ],
)
def test_a_name_that_none_has_is_told_the_nearest(name, nearest):
    assert nearest_metric(name, KS) == nearest


def test_even_a_name_like_no_other_is_told_one():
    assert nearest_metric("???", KS) in metric_ranges(KS)


def test_what_another_policy_earned_are_shares_of_what_it_showed():
    assert {"ctr", "request_ctr", "conversion_rate"} == POLICY_METRICS


def test_a_conversion_rate_is_not_kept_by_policy():
    assert frozenset(CLICK_METRICS) - METRICS_BY_POLICY == {"conversion_rate"}


def test_the_windows_are_those_of_every_figure():
    assert WINDOWS == ("total", "events", "time", "faded")
