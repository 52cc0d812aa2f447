"""# N lists, S shown items of those lists end to end"""

import itertools
import json
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, log_loss, precision_score, roc_auc_score

from evaluators.click_figures import log_losses, probability_bins
from evaluators.click_windows import THRESHOLD
from evaluators.clicks import MAX_POLICIES, ClickJudge
from evaluators.confidence import share_interval
from evaluators.windows import TIME_BUCKETS, WINDOWS, WindowSizes
from stream.conversions import Conversions, no_conversions
from stream.values import Matured, Reading, Record, none_matured
from tests.conformance.evaluator_contract import LEARNERS, random_conversions, random_matured
from tests.conformance.stateful_contract import StatefulContract

CHAMPION, SHADOW = LEARNERS
SIZES = WindowSizes(events=60, time_ms=120_000, fade=0.97)
BASE_MS = 1_700_000_000_000
SEEDS = st.integers(0, 2**32 - 1)
CUTS = st.lists(st.integers(0, 25), min_size=1, max_size=6)
FEW = settings(deadline=None, max_examples=40)


class Lists:
    """Lists in order of maturity, as columns; some probabilities cannot be judged."""

    def __init__(self, seed: int, n_lists: int, policies: Sequence[str | None] = ("a", None)):
        rng = np.random.default_rng(seed)
        self.ts_N = BASE_MS + np.arange(n_lists) * 4001
        self.watermark_N = self.ts_N + rng.integers(0, 4001, n_lists)
        self.ts_N -= rng.integers(0, 300_000, n_lists) * (rng.random(n_lists) < 0.1)
        self.policy_N = [policies[i] for i in rng.integers(0, len(policies), n_lists)]
        self.length_N = rng.integers(1, 6, n_lists)
        self.list_of_S = np.repeat(np.arange(n_lists), self.length_N)
        n_items = len(self.list_of_S)
        self.probability_of = {name: rng.beta(1, 4, n_items).round(2) for name in LEARNERS}
        for probability_S in self.probability_of.values():
            probability_S[rng.random(n_items) < 0.05] = np.nan
        # Rounding has made some of them 0.
        self.is_clicked_S = rng.random(n_items) < 0.2

    def matured(self, start: int, end: int) -> Matured:
        is_in_S = (self.list_of_S >= start) & (self.list_of_S < end)
        return Matured(
            self.ts_N[start:end],
            self.policy_N[start:end],
            np.concatenate(([0], self.length_N[start:end].cumsum())),
            self.is_clicked_S[is_in_S],
            {name: array_S[is_in_S] for name, array_S in self.probability_of.items()},
        )


def judged(lists: Lists, cuts: Sequence[int]) -> ClickJudge:
    judge = ClickJudge(LEARNERS, SIZES)
    for start, end in itertools.pairwise(np.cumsum([0, *cuts]).tolist()):
        watermark_ms = int(lists.watermark_N[end - 1]) if end else 0
        judge.update(lists.matured(start, end), no_conversions(), watermark_ms)
    return judge


def weights_of(ts_S: np.ndarray, watermark_ms: int) -> dict[str, np.ndarray]:
    """What each sample, in order of arrival, weighs in each window."""
    age_S = np.arange(len(ts_S))[::-1]
    bucket_ms = SIZES.time_ms // TIME_BUCKETS
    oldest_ms = (watermark_ms // bucket_ms - TIME_BUCKETS + 1) * bucket_ms
    return {
        "total": np.ones(len(ts_S)),
        "events": (age_S < SIZES.events).astype(float),
        "time": (ts_S >= oldest_ms).astype(float),
        "faded": SIZES.fade**age_S,
    }


def shares(is_hit_S: np.ndarray, ts_S: np.ndarray, watermark_ms: int) -> dict[str, float]:
    weights = weights_of(ts_S, watermark_ms)
    return {
        over: float((is_hit_S * weight_S).sum() / weight_S.sum())
        for over, weight_S in weights.items()
        if weight_S.sum()
    }


def model_figures(
    probability_S: np.ndarray, is_clicked_S: np.ndarray, ts_S: np.ndarray, watermark_ms: int
) -> dict[str, dict[str, float]]:
    """Every figure by scikit-learn, of the items whose probability can be judged."""
    valid = (probability_S > 0) & (probability_S < 1)
    probability_S, is_clicked_S, ts_S = probability_S[valid], is_clicked_S[valid], ts_S[valid]
    figures: dict[str, dict[str, float]] = {}
    for over, weight_S in weights_of(ts_S, watermark_ms).items():
        if not weight_S.sum():
            continue
        ctr = np.average(is_clicked_S, weights=weight_S)
        predicted = np.average(probability_S, weights=weight_S)
        loss = log_loss(is_clicked_S, probability_S, sample_weight=weight_S, labels=[False, True])
        found = {"predicted_ctr": predicted, "log_loss": loss}
        if ctr > 0:
            found["calibration_ratio"] = predicted / ctr
        if 0 < ctr < 1:
            score_S = probability_S if over == "events" else probability_bins(probability_S)
            entropy = -ctr * np.log(ctr) - (1 - ctr) * np.log(1 - ctr)
            found["normalized_entropy"] = loss / entropy
            is_in_S = weight_S > 0
            found["auc"] = roc_auc_score(
                is_clicked_S[is_in_S], score_S[is_in_S], sample_weight=weight_S[is_in_S]
            )
        found |= threshold_figures(probability_S, is_clicked_S, weight_S)
        found["ece"] = expected_calibration_error(probability_S, is_clicked_S, weight_S)
        for name, value in found.items():
            figures.setdefault(name, {})[over] = float(value)
    return figures


def threshold_figures(
    probability_S: np.ndarray, is_clicked_S: np.ndarray, weight_S: np.ndarray
) -> dict[str, float]:
    is_positive_S = probability_S >= THRESHOLD
    if not weight_S[is_positive_S].sum():
        return {}
    weighed = {"sample_weight": weight_S, "zero_division": 0.0}
    return {
        "click_precision": precision_score(is_clicked_S, is_positive_S, **weighed),
        "click_f1": f1_score(is_clicked_S, is_positive_S, **weighed),
    }


def expected_calibration_error(
    probability_S: np.ndarray, is_clicked_S: np.ndarray, weight_S: np.ndarray
) -> float:
    """By its definition, in bins of half a unit of log-odds."""
    bin_S = np.floor(2 * np.log(probability_S / (1 - probability_S))).clip(-32, 31)
    error = 0.0
    for one in set(bin_S.tolist()):
        is_in_S = bin_S == one
        weight = weight_S[is_in_S].sum()
        if weight:
            predicted = np.average(probability_S[is_in_S], weights=weight_S[is_in_S])
            observed = np.average(is_clicked_S[is_in_S], weights=weight_S[is_in_S])
            error += weight * abs(predicted - observed)
    return float(error / weight_S.sum())


def values_of(figure: Record) -> dict[str, float]:
    return {over: figure[over] for over in WINDOWS if over in figure}


@given(seed=SEEDS, cuts=CUTS)
@FEW
def test_shares_equal_those_of_a_loop_over_all_that_matured(seed, cuts):
    lists = Lists(seed, sum(cuts))
    metrics = judged(lists, cuts).metrics()
    if not sum(cuts):
        assert metrics == {}
        return
    watermark_ms = int(lists.watermark_N[-1])
    ts_S = lists.ts_N[lists.list_of_S]
    has_click_N = np.bincount(lists.list_of_S, lists.is_clicked_S, sum(cuts)) > 0
    expected = shares(lists.is_clicked_S, ts_S, watermark_ms)
    assert values_of(metrics["ctr"]) == pytest.approx(expected, abs=1e-9)
    expected = shares(has_click_N, lists.ts_N, watermark_ms)
    assert values_of(metrics["request_ctr"]) == pytest.approx(expected, abs=1e-9)


@given(seed=SEEDS, cuts=CUTS)
@FEW
def test_what_probabilities_are_worth_equals_scikit_learn(seed, cuts):
    lists = Lists(seed, sum(cuts))
    judge = judged(lists, cuts)
    metrics = judge.metrics()
    ts_S = lists.ts_N[lists.list_of_S]
    watermark_ms = int(lists.watermark_N[-1]) if sum(cuts) else 0
    for figures, learner in ((metrics, CHAMPION), (judge.shadows(metrics)[0], SHADOW)):
        probability_S = lists.probability_of[learner]
        expected = model_figures(probability_S, lists.is_clicked_S, ts_S, watermark_ms)
        assert set(figures) - {"ctr", "request_ctr"} == set(expected)
        for name, value_of in expected.items():
            assert values_of(figures[name]) == pytest.approx(value_of, abs=1e-9), name


@given(seed=SEEDS, cuts=CUTS)
@FEW
def test_a_policy_is_judged_as_if_its_lists_were_all(seed, cuts):
    lists = Lists(seed, sum(cuts), policies=("a", "b", None))
    policies = judged(lists, cuts).policies()
    seen = [policy for policy in dict.fromkeys(lists.policy_N) if policy is not None]
    assert list(policies) == seen
    for policy, figures in policies.items():
        alone = ClickJudge(LEARNERS, SIZES)
        for start, end in itertools.pairwise(np.cumsum([0, *cuts]).tolist()):
            kept = [n for n in range(start, end) if lists.policy_N[n] == policy]
            for n in kept:
                alone.update(lists.matured(n, n + 1), no_conversions(), int(lists.watermark_N[n]))
            if end:
                alone.update(none_matured(), no_conversions(), int(lists.watermark_N[end - 1]))
        for name, figure in alone.metrics().items():
            # Lists told one by one fade alike, but round differently.
            assert values_of(figures[name]) == pytest.approx(values_of(figure), abs=1e-9), name
            assert figures[name]["samples"] == pytest.approx(figure["samples"], abs=1e-9)
            assert figures[name].get("interval") == figure.get("interval")


@given(seed=SEEDS, cuts=CUTS)
@FEW
def test_figures_do_not_depend_on_how_the_lists_are_cut_into_batches(seed, cuts):
    lists = Lists(seed, sum(cuts))
    # Without lists too late for the window: whether one is may depend on the watermark it met.
    lists.ts_N = np.maximum.accumulate(lists.ts_N)
    lists.watermark_N = lists.ts_N
    cut, whole = judged(lists, cuts), judged(lists, [sum(cuts)])
    assert without_faded(cut) == without_faded(whole)
    assert cut.counts() == whole.counts()


def without_faded(judge: ClickJudge) -> str:
    figures = [judge.metrics(), judge.policies(), judge.shadows({}), judge.reliability()]
    return json.dumps(dropped(json.loads(json.dumps(figures))))


def dropped(value: object) -> object:
    if isinstance(value, dict):
        return {key: dropped(entry) for key, entry in value.items() if key != "faded"}
    return [dropped(entry) for entry in value] if isinstance(value, list) else value


def one_list(
    clicked: Sequence[int],
    probabilities: Sequence[float] | None = None,
    policy: str | None = None,
    ts_ms: int = BASE_MS,
    learner: str = CHAMPION,
) -> Matured:
    n_items = len(clicked)
    probability_of = {} if probabilities is None else {learner: np.array(probabilities, float)}
    return Matured(
        np.array([ts_ms]),
        [policy],
        np.array([0, n_items]),
        np.array(clicked, np.bool_),
        probability_of,
    )


def judge_of(*lists: Matured) -> ClickJudge:
    judge = ClickJudge(LEARNERS, SIZES)
    for matured in lists:
        judge.update(matured, no_conversions(), BASE_MS)
    return judge


def test_without_lists_no_figure_exists_and_nothing_is_held():
    judge = judge_of(none_matured())
    assert (judge.metrics(), judge.policies(), judge.shadows({})) == ({}, {}, [{}])
    assert bytes_in(judge.state_dict()) == 0


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf"), 0.0, 1.0, -0.1, 1.7])
def test_a_probability_that_is_none_is_counted_and_poisons_no_window(bad):
    judge = judge_of(one_list([1, 0, 0], [0.5, bad, 0.25]))
    assert judge.counts()["invalid_probabilities"] == 1
    assert judge.reading("ctr", "total") == Reading(pytest.approx(1 / 3), 3)
    for over in ("total", "events", "time"):
        assert judge.reading("predicted_ctr", over) == Reading(0.375, 2)
        assert judge.reading("auc", over) == Reading(1.0, 2)
    assert judge.reading("predicted_ctr", "faded").value == pytest.approx(0.375, abs=0.01)


def test_a_list_without_a_probability_that_can_be_judged_still_has_a_ctr():
    judge = judge_of(one_list([1, 0], [float("nan"), 2.0]))
    assert list(judge.metrics()) == ["ctr", "request_ctr"]
    assert judge.reliability() == []


def test_a_champion_that_estimates_no_clicks_has_only_shares():
    judge = judge_of(one_list([1, 0], [0.5, 0.25], learner=SHADOW))
    assert list(judge.metrics()) == ["ctr", "request_ctr"]
    (shadow,) = judge.shadows(judge.metrics())
    assert shadow["predicted_ctr"]["total"] == 0.375
    assert "difference" not in shadow["predicted_ctr"]


def test_a_difference_exists_only_on_the_same_samples():
    both = Matured(
        np.array([BASE_MS]),
        [None],
        np.array([0, 2]),
        np.array([True, False]),
        {CHAMPION: np.array([0.5, 0.5]), SHADOW: np.array([0.5, 0.25])},
    )
    (shadow,) = judge_of(both).shadows(judge_of(both).metrics())
    assert shadow["predicted_ctr"]["difference"] == 0.125
    judge = judge_of(both, one_list([1], [0.9]))
    (shadow,) = judge.shadows(judge.metrics())
    assert "difference" not in shadow["predicted_ctr"]


def test_figures_that_need_both_answers_do_not_exist_with_one():
    judge = judge_of(one_list([0, 0], [0.5, 0.25]))
    known = ["predicted_ctr", "log_loss", "click_precision", "click_f1", "ece"]
    assert list(judge.metrics()) == ["ctr", "request_ctr", *known]
    for metric in ("calibration_ratio", "normalized_entropy", "auc"):
        assert judge.reading(metric, "total") is None


def test_a_share_carries_the_interval_of_each_window_that_is_counted():
    clicks = [1] * 3 + [0] * 97
    figure = judge_of(one_list(clicks)).metrics()["ctr"]
    assert figure["interval"] == {
        "total": list(share_interval(3, 100)),
        "events": list(share_interval(0, 60)),
        "time": list(share_interval(3, 100)),
    }


def test_what_matured_before_its_time_counts_as_of_now():
    judge = judge_of(one_list([1], ts_ms=BASE_MS + SIZES.time_ms // 2))
    judge.update(none_matured(), no_conversions(), BASE_MS + SIZES.time_ms * 3 // 4)
    assert judge.reading("ctr", "time") == Reading(1.0, 1)
    judge.update(none_matured(), no_conversions(), BASE_MS + SIZES.time_ms)
    assert judge.reading("ctr", "time") is None


def test_policies_past_the_cap_are_counted_together():
    lists = [one_list([n % 2], [0.5], policy=f"p{n}") for n in range(MAX_POLICIES + 4)]
    judge = judge_of(*lists)
    assert list(judge.policies()) == [f"p{n}" for n in range(MAX_POLICIES)] + ["other"]
    assert judge.reading("ctr", "total", "other") == Reading(0.5, 4)
    assert judge.reading("ctr", "total", f"p{MAX_POLICIES}") is None


def test_a_policy_named_other_shares_the_place_of_the_rest():
    names = ["other", *(f"p{n}" for n in range(MAX_POLICIES + 1))]
    judge = judge_of(*(one_list([1], policy=name) for name in names))
    assert list(judge.policies()) == names[:-1]
    assert judge.reading("ctr", "total", "other") == Reading(1.0, 2)


def test_memory_is_bounded_and_as_documented():
    judge = ClickJudge(LEARNERS, SIZES)
    rng = np.random.default_rng(0)
    for n in range(60):
        matured = random_matured(rng, 10, BASE_MS + n * 60_000)
        policies = [f"p{n}-{i}" for i in range(len(matured))]
        judge.update(
            Matured(
                matured.ts_N, policies, matured.starts, matured.is_clicked_S, matured.probability_of
            ),
            random_conversions(rng, 5, BASE_MS + n * 60_000),
            BASE_MS + n * 60_000,
        )
        if n == 5:
            before = bytes_in(judge.state_dict())
    assert bytes_in(judge.state_dict()) == before
    policy_bytes, shadow_bytes = 10 * SIZES.events + 548 * 1024, 8 * SIZES.events + 546 * 1024
    assert before <= 10 * policy_bytes + shadow_bytes + SIZES.events + 1024 + 4096


def bytes_in(state: object) -> int:
    if isinstance(state, dict):
        return sum(map(bytes_in, state.values()))
    return sum(map(bytes_in, state)) if isinstance(state, list) else getattr(state, "nbytes", 0)


def test_conversions_have_windows_of_their_own():
    judge = ClickJudge(LEARNERS, SIZES)
    rng = np.random.default_rng(2)
    is_converted_N = rng.random(200) < 0.3
    ts_N = BASE_MS + np.arange(200) * 1000
    for start in range(0, 200, 40):
        part = slice(start, start + 40)
        conversions = Conversions(ts_N[part], is_converted_N[part], np.zeros(40))
        judge.update(none_matured(), conversions, int(ts_N[part][-1]))
    expected = shares(is_converted_N, ts_N, int(ts_N[-1]))
    figure = judge.metrics()["conversion_rate"]
    assert values_of(figure) == pytest.approx(expected, abs=1e-9)
    assert {over: figure["samples"][over] for over in ("total", "events")} == {
        "total": 200,
        "events": 60,
    }
    assert "interval" not in figure


def test_the_sum_of_losses_is_that_of_the_losses():
    lists = Lists(seed=4, n_lists=80)
    probability_S = lists.probability_of[CHAMPION]
    valid = (probability_S > 0) & (probability_S < 1)
    reading = judged(lists, [50, 30]).reading("log_loss", "total")
    expected = log_losses(probability_S[valid], lists.is_clicked_S[valid]).mean()
    assert reading == Reading(pytest.approx(expected, rel=1e-12), int(valid.sum()))


class TestClickJudgeState(StatefulContract):
    make = staticmethod(lambda: ClickJudge(LEARNERS, SIZES))

    @staticmethod
    def drive(judge: ClickJudge, step: int) -> list[object]:
        rng = np.random.default_rng(step)
        end_ms = BASE_MS + step * 60_000
        judge.update(random_matured(rng, 8, end_ms), random_conversions(rng, 5, end_ms), end_ms)
        metrics = judge.metrics()
        return [metrics, judge.policies(), judge.shadows(metrics), judge.reliability()]
