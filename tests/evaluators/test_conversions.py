import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss, roc_auc_score

from evaluators.click_figures import probability_bins
from evaluators.conversions import CONVERSION_METRICS, ConversionJudge
from evaluators.windows import TIME_BUCKETS, WINDOWS, WindowSizes
from stream.conversions import PredictedConversions, none_predicted
from stream.values import Reading
from tests.conformance.evaluator_contract import LEARNERS, random_predicted_conversions
from tests.conformance.stateful_contract import StatefulContract

CHAMPION, SHADOW = LEARNERS
SIZES = WindowSizes(events=40, time_ms=120_000, fade=0.97)
BASE_MS = 1_700_000_000_000
SEEDS = st.integers(0, 2**32 - 1)
CUTS = st.lists(st.integers(0, 30), min_size=1, max_size=6)


class Clicked:
    """Clicked items in order of maturity, as columns; of some nothing was told."""

    def __init__(self, seed: int, n: int) -> None:
        rng = np.random.default_rng(seed)
        self.ts_N = BASE_MS + np.arange(n) * 3_001
        self.is_converted_N = rng.random(n) < 0.3
        self.told_N = rng.beta(2, 5, n).round(3)
        self.told_N[rng.random(n) < 0.1] = np.nan

    def matured(self, start: int, end: int) -> PredictedConversions:
        return PredictedConversions(
            self.ts_N[start:end],
            self.is_converted_N[start:end],
            {CHAMPION: self.told_N[start:end]},
        )


def expected(clicked: Clicked) -> dict[str, dict[str, float]]:
    """Every figure by scikit-learn."""
    told = ~np.isnan(clicked.told_N)
    p_S, yes_S, ts_S = clicked.told_N[told], clicked.is_converted_N[told], clicked.ts_N[told]
    age_S = np.arange(len(p_S))[::-1]
    bucket_ms = SIZES.time_ms // TIME_BUCKETS
    watermark_ms = int(clicked.ts_N[-1]) if len(clicked.ts_N) else 0
    oldest_ms = (watermark_ms // bucket_ms - TIME_BUCKETS + 1) * bucket_ms
    weights = {
        "total": np.ones(len(p_S)),
        "events": (age_S < SIZES.events).astype(float),
        "time": (ts_S >= oldest_ms).astype(float),
        "faded": SIZES.fade**age_S,
    }
    figures: dict[str, dict[str, float]] = {}
    for over, weight_S in weights.items():
        if not weight_S.sum():
            continue
        rate, mean = (float(np.average(one, weights=weight_S)) for one in (yes_S, p_S))
        loss = log_loss(yes_S, p_S, sample_weight=weight_S, labels=[False, True])
        found = {"predicted_conversion_rate": mean, "conversion_log_loss": loss}
        if rate:
            found["conversion_calibration_ratio"] = mean / rate
        if 0 < rate < 1:
            entropy = -rate * np.log(rate) - (1 - rate) * np.log(1 - rate)
            found["conversion_normalized_entropy"] = loss / entropy
            in_S = weight_S > 0
            score_S = p_S if over == "events" else probability_bins(p_S)
            found["conversion_auc"] = roc_auc_score(
                yes_S[in_S], score_S[in_S], sample_weight=weight_S[in_S]
            )
        for name, value in found.items():
            figures.setdefault(name, {})[over] = float(value)
    return figures


def judged(clicked: Clicked, cuts: Sequence[int]) -> ConversionJudge:
    judge = ConversionJudge(LEARNERS, SIZES)
    for start, end in itertools.pairwise(np.cumsum([0, *cuts]).tolist()):
        watermark_ms = int(clicked.ts_N[end - 1]) if end else 0
        judge.update(clicked.matured(start, end), watermark_ms)
    return judge


@given(seed=SEEDS, cuts=CUTS)
@settings(deadline=None, max_examples=40)
def test_what_probabilities_of_conversions_are_worth_equals_scikit_learn(seed, cuts):
    clicked = Clicked(seed, sum(cuts))
    judge = judged(clicked, cuts)
    metrics, figures = judge.metrics(), expected(clicked)
    assert set(metrics) == set(figures)
    n_told = int(np.count_nonzero(~np.isnan(clicked.told_N)))
    for name, value_of in figures.items():
        found = {over: metrics[name][over] for over in WINDOWS if over in metrics[name]}
        assert found == pytest.approx(value_of, abs=1e-9), name
        assert metrics[name]["samples"]["total"] == n_told
        for over in WINDOWS:
            reading = judge.reading(name, over)
            assert (reading is not None) == (over in value_of)


def told(*probabilities: float, learner: str = CHAMPION) -> PredictedConversions:
    n = len(probabilities)
    is_converted_N = np.arange(n) == 0
    return PredictedConversions(
        np.full(n, BASE_MS), is_converted_N, {learner: np.array(probabilities)}
    )


def judge_of(*matured: PredictedConversions) -> ConversionJudge:
    judge = ConversionJudge(LEARNERS, SIZES)
    for one in matured:
        judge.update(one, BASE_MS)
    return judge


def test_without_a_sample_no_figure_exists_and_nothing_is_held():
    for judge in (judge_of(none_predicted()), judge_of(told(np.nan, np.nan))):
        assert (judge.metrics(), judge.shadows({}), judge.counts()) == ({}, [{}], {})
        assert judge.reading("conversion_auc", "total") is None


@pytest.mark.parametrize("bad", [float("inf"), -float("inf"), 0.0, 1.0, -0.1, 1.7])
def test_a_probability_that_is_none_is_left_out_and_counted(bad):
    judge = judge_of(told(0.5, bad, 0.25))
    assert judge.counts() == {"invalid_conversion_probabilities": 1}
    assert judge.reading("predicted_conversion_rate", "total") == Reading(0.375, 2)


def test_a_difference_exists_only_on_the_same_samples():
    both = PredictedConversions(
        np.full(2, BASE_MS),
        np.array([True, False]),
        {CHAMPION: np.array([0.5, 0.5]), SHADOW: np.array([0.5, 0.25])},
    )
    judge = judge_of(both)
    (shadow,) = judge.shadows(judge.metrics())
    assert shadow["predicted_conversion_rate"]["difference"] == 0.125
    judge = judge_of(both, told(0.9))
    (shadow,) = judge.shadows(judge.metrics())
    assert "difference" not in shadow["predicted_conversion_rate"]


def test_the_window_of_time_goes_by_when_the_answer_was_known():
    judge = judge_of(told(0.5, 0.25))
    judge.update(none_predicted(), BASE_MS + SIZES.time_ms // 2)
    assert judge.reading("conversion_log_loss", "time") is not None
    judge.update(none_predicted(), BASE_MS + SIZES.time_ms)
    assert judge.reading("conversion_log_loss", "time") is None
    assert judge.reading("conversion_log_loss", "total") is not None


def test_every_figure_has_its_name():
    assert set(judge_of(told(0.5, 0.25)).metrics()) == set(CONVERSION_METRICS)


class TestConversionJudgeState(StatefulContract):
    make = staticmethod(lambda: ConversionJudge(LEARNERS, SIZES))

    @staticmethod
    def drive(obj: ConversionJudge, step: int) -> object:
        end_ms = BASE_MS + 60_000 * step
        obj.update(random_predicted_conversions(np.random.default_rng(step), 9, end_ms), end_ms)
        metrics = obj.metrics()
        return metrics, obj.shadows(metrics), obj.counts()
