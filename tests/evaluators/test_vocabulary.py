import math

import pytest

from evaluators.click_figures import CLICK_METRICS
from evaluators.experience import EXPERIENCE_METRICS
from evaluators.ranking import figure_names
from evaluators.vocabulary import (
    METRICS_BY_POLICY,
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
        *STEP_METRICS,
        *EXPERIENCE_METRICS,
    ]


def test_only_losses_and_ratios_may_exceed_1():
    unbounded = {name for name, (_, high) in metric_ranges(KS).items() if high == math.inf}
    assert unbounded == {"log_loss", "normalized_entropy", "calibration_ratio", "novelty"}
    assert {low for low, _ in metric_ranges(KS).values()} == {0.0}


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("recall@2", "recall@20"),
        ("CTR", "ctr"),
        ("request-ctr", "request_ctr"),
        ("normalised_entropy", "normalized_entropy"),
        ("calibration", "calibration_ratio"),
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
