import math

import pytest

from evaluators.click_figures import CLICK_METRICS
from evaluators.conversions import CONVERSION_METRICS
from evaluators.ranking import figure_names
from evaluators.vocabulary import (
    FAMILIES,
    METRICS_BY_POLICY,
    OFF_POLICY_METRICS,
    POLICY_METRICS,
    STEP_METRICS,
    WINDOWS,
    family_of,
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
        *(name for names in FAMILIES.values() for name in names),
    ]


def test_only_what_is_no_share_may_exceed_1():
    unbounded = {name for name, (_, high) in metric_ranges(KS).items() if high == math.inf}
    ratios = {"log_loss", "normalized_entropy", "calibration_ratio"}
    assert unbounded == {
        *(*ratios, *(f"conversion_{name}" for name in ratios)),
        *(set(OFF_POLICY_METRICS) - {"snips_ctr"}),
        *("novelty", "mean_rating", "mean_dwell", "revenue_per_mille", "revenue_per_click"),
        *("active_users_day", "active_users_week"),
    }


def test_only_ratings_revenue_and_corrected_expectations_may_be_below_0():
    negative = {name for name, (low, _) in metric_ranges(KS).items() if low < 0}
    assert negative == {
        *("mean_rating", "revenue_per_mille", "revenue_per_click"),
        *("dr_ctr", "clipped_dr_ctr", "switch_dr_ctr"),
    }


def test_a_metric_of_a_family_names_the_settings_that_leave_it_out():
    assert family_of("mean_rating") == "satisfaction"
    assert family_of("recall@20") is None


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
