from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from evaluators.drift_parameters import AdwinParameters
from evaluators.drift_settings import (
    DriftSettings,
    Feed,
    FeedSetting,
    default_feed,
    is_mean,
)
from evaluators.vocabulary import metric_ranges
from stream.durations import WRITTEN_BY_PEOPLE

FEEDS: TypeAdapter[Any] = TypeAdapter(FeedSetting)


@pytest.mark.parametrize(
    ("written", "feed"),
    [
        ("1 sample", Feed(samples=1)),
        ("50 samples", Feed(samples=50)),
        ("10_000samples", Feed(samples=10_000)),
        ("10m", Feed(time_ms=600_000)),
    ],
)
def test_a_feed_is_samples_or_event_time(written, feed):
    assert FEEDS.validate_python(written, context=WRITTEN_BY_PEOPLE) == feed
    assert FEEDS.validate_python(FEEDS.dump_python(feed)) == feed


@pytest.mark.parametrize("written", ["0 samples", "100001 samples", "0s", "50", 50, "-1h", None])
def test_anything_else_is_refused(written):
    with pytest.raises(ValidationError, match="expected a number of samples from 1 to 100000"):
        FEEDS.validate_python(written, context=WRITTEN_BY_PEOPLE)


@pytest.mark.parametrize(
    ("metric", "detector", "feed"),
    [
        ("mrr@10", "page_hinkley", "1 sample"),
        ("ctr", "adwin", "1 sample"),
        ("request_ctr", "kswin", "100 samples"),
        ("recall@20", "kswin", "100 samples"),
        ("log_loss", "adwin", "100 samples"),
        ("gini", "kswin", "1h"),
    ],
)
def test_what_is_fed_by_default_is_as_small_as_it_can_be(metric, detector, feed):
    assert str(default_feed(metric, detector)) == feed
    assert DriftSettings(metric, detector).fed == default_feed(metric, detector)


def test_every_metric_is_a_mean_of_samples_or_read_over_its_window():
    assert {name for name in metric_ranges((20,)) if not is_mean(name)} == {
        *("calibration_ratio", "normalized_entropy", "click_precision", "click_f1", "ece", "auc"),
        *("conversion_calibration_ratio", "conversion_normalized_entropy", "conversion_auc"),
        *("coverage", "gini", "diversity", "novelty", "personalization", "exposure_gap"),
        *("interest_shift", "active_users_day", "active_users_week"),
        *("ips_ctr", "clipped_ips_ctr", "snips_ctr", "dr_ctr", "clipped_dr_ctr"),
        *("switch_dr_ctr", "mean_weight", "effective_samples"),
    }


@pytest.mark.parametrize(
    ("metric", "direction", "sides"),
    [
        ("recall@20", None, {"down"}),
        ("recall@20", "worse", {"down"}),
        ("log_loss", "worse", {"up"}),
        ("recall@20", "up", {"up"}),
        ("interest_shift", "both", {"down", "up"}),
    ],
)
def test_a_drift_to_the_worse_is_meant_unless_told(metric, direction, sides):
    assert DriftSettings(metric, "adwin", direction=direction).sides == sides


def test_where_neither_side_is_the_worse_one_must_be_named():
    with pytest.raises(ValueError, match="neither side of novelty is the worse one; write direct"):
        _ = DriftSettings("novelty", "adwin").sides


def test_samples_are_refused_where_the_metric_is_no_mean_of_them():
    with pytest.raises(ValueError, match="feed 9 samples is refused on auc, which is no mean"):
        _ = DriftSettings("auc", "adwin", feed=Feed(samples=9)).fed
    assert DriftSettings("auc", "adwin", feed=Feed(time_ms=9)).fed == Feed(time_ms=9)


def test_parameters_are_those_written_and_the_defaults_of_the_others():
    settings = DriftSettings("ctr", "adwin", {"clock": 8})
    assert settings.parameters == AdwinParameters(clock=8)
