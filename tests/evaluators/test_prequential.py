from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from evaluators.conversions import CONVERSION_METRICS
from evaluators.prequential import EvaluatorConfig, PrequentialEvaluator
from evaluators.ranking import RankingConfig
from evaluators.user_bootstrap import BootstrapConfig
from evaluators.vocabulary import FAMILIES
from stream.conversions import Conversions, PredictedConversions
from stream.errors import CheckpointError
from stream.values import Matured, Outcomes, Reading, Record
from tests.conformance.evaluator_contract import (
    LEARNERS,
    EvaluatorContract,
    outcomes_of,
    random_outcomes,
    stream_of_outcomes,
)
from tests.conformance.stateful_contract import StatefulContract

KS = (1, 10, 20)
CONFIG = EvaluatorConfig(window_events=150, window_time=120_000, fade=0.99, emit_events=150)
BASE_MS = 1_700_000_000_000
PLAIN = EvaluatorConfig.model_validate(
    CONFIG.model_dump() | {family: {"enabled": False} for family in FAMILIES}
)


def make_evaluator(**changes) -> PrequentialEvaluator:
    config = CONFIG.model_copy(update=changes)
    return PrequentialEvaluator(config, RankingConfig(ks=KS), LEARNERS)


class TestPrequentialEvaluator(EvaluatorContract):
    make = staticmethod(make_evaluator)


class TestPrequentialEvaluatorState(StatefulContract):
    make = staticmethod(make_evaluator)

    @staticmethod
    def drive(evaluator: PrequentialEvaluator, step: int) -> list[Record]:
        return [*evaluator.update(random_outcomes(step)), evaluator.metrics()]


def one_click(item: int, ts_ms: int = BASE_MS, seq: int = 0, is_sample: bool = True) -> Outcomes:
    """The champion lists item 7 second, the shadow lists it nowhere."""
    champion_BK, shadow_BK = np.full((1, 20), -1, np.int32), np.full((1, 20), -1, np.int32)
    champion_BK[0, :2] = 3, 7
    shadow_BK[0, 0] = 3
    return outcomes_of(
        seq,
        dict(zip(LEARNERS, (champion_BK, shadow_BK), strict=True)),
        np.array([item], np.int32),
        np.array([ts_ms]),
        ts_ms,
        np.array([is_sample]),
    )


def test_a_record_has_the_shape_that_sinks_and_alerts_read():
    evaluator = PrequentialEvaluator(PLAIN, RankingConfig(ks=(20,)), LEARNERS)
    evaluator.update(one_click(item=7))
    samples = {"total": 1, "events": 1, "time": 1, "faded": 1.0}
    hit = {"total": 1.0, "events": 1.0, "time": 1.0, "faded": 1.0, "samples": samples}
    half = {"total": 0.5, "events": 0.5, "time": 0.5, "faded": 0.5, "samples": samples}
    miss = {"total": 0.0, "events": 0.0, "time": 0.0, "faded": 0.0, "samples": samples}
    record = evaluator.metrics()
    assert record["metrics"]["recall@20"] == hit
    assert record["metrics"]["mrr@20"] == half
    assert record["shadows"]["popularity"]["recall@20"] == {
        **miss,
        "difference": 1.0,
        "interval": [-1.0, 1.0],
    }
    derived = ["precision@20", "f1@20", "map@20"]
    assert list(record["metrics"]) == ["recall@20", "mrr@20", "ndcg@20", *derived]
    assert list(record["shadows"]["popularity"]) == ["recall@20", "mrr@20", "ndcg@20"]
    assert {key: record[key] for key in ("seq", "name", "events", "watermark_ms", "counts")} == {
        "seq": 0,
        "name": "metrics",
        "events": 1,
        "watermark_ms": BASE_MS,
        "counts": {
            "clicks": 1,
            "samples": 1,
            "repeated_seen": 0,
            "not_admitted": 0,
            "matured": 0,
            "shown_items_matured": 0,
            "invalid_probabilities": 0,
            "steps": 0,
            "skipped_steps": 0,
        },
    }
    assert record["policies"] == {}
    assert "reliability" not in record


def one_list(
    clicked: Sequence[int], seq: int = 0, policy: str | None = None, ts_ms: int = BASE_MS
) -> Outcomes:
    """One list whose items the champion gave 0.5, the shadow 0.25."""
    empty = replace(random_outcomes(0, n_queries=0), seq=seq, watermark_ms=ts_ms)
    n_items = len(clicked)
    matured = Matured(
        ts_N=np.array([ts_ms]),
        policy_N=[policy],
        starts=np.array([0, n_items]),
        is_clicked_S=np.array(clicked, np.bool_),
        probability_of=dict(
            zip(LEARNERS, (np.full(n_items, 0.5), np.full(n_items, 0.25)), strict=True)
        ),
    )
    return replace(empty, matured=matured, join_counts={"late_clicks": seq})


def test_a_record_of_lists_has_the_shape_that_sinks_and_alerts_read():
    evaluator = make_evaluator()
    evaluator.update(one_list([1, 0, 0, 0], seq=3, policy="ranker"))
    record = evaluator.metrics()
    samples = {"total": 4, "events": 4, "time": 4, "faded": pytest.approx(3.94, abs=0.01)}
    quarter = {"total": 0.25, "events": 0.25, "time": 0.25}
    assert list(record["metrics"]) == [
        "ctr",
        "request_ctr",
        "predicted_ctr",
        "calibration_ratio",
        "log_loss",
        "normalized_entropy",
        "click_precision",
        "click_f1",
        "ece",
        "auc",
    ]
    assert record["metrics"]["ctr"] == {
        **quarter,
        "faded": pytest.approx(0.99**3 / 3.94, abs=1e-4),
        "samples": samples,
        "interval": {window: pytest.approx([0.0456, 0.6994], abs=1e-4) for window in quarter},
    }
    assert record["metrics"]["predicted_ctr"] == {
        **dict.fromkeys(quarter, 0.5),
        "faded": pytest.approx(0.5),
        "samples": samples,
    }
    assert record["policies"] == {"ranker": record["metrics"]}
    shadow = record["shadows"]["popularity"]
    assert list(shadow) == list(record["metrics"])[2:]
    assert shadow["calibration_ratio"]["total"] == 1.0
    assert shadow["calibration_ratio"]["difference"] == 1.0
    assert record["reliability"] == [{"predicted": 0.5, "observed": 0.25, "samples": 4}]
    counts = {"matured": 1, "shown_items_matured": 4, "late_clicks": 3}
    assert {name: record["counts"][name] for name in counts} == counts
    assert record["events"] == 0


def test_conversions_have_a_rate_of_their_own():
    evaluator = make_evaluator()
    conversions = Conversions(
        np.array([BASE_MS] * 4), np.array([1, 0, 0, 0], np.bool_), np.zeros(4)
    )
    evaluator.update(replace(random_outcomes(0, n_queries=0), conversions=conversions))
    assert list(evaluator.metrics()["metrics"]) == ["conversion_rate", "revenue_per_click"]
    assert evaluator.reading("conversion_rate", "total") == Reading(0.25, 4)


def test_how_conversions_were_predicted_is_told_beside_shadows():
    evaluator = make_evaluator()
    told = {"champion": np.array([0.5, 0.25, 0.25]), "popularity": np.array([0.5, 0.5, 0.5])}
    matured = PredictedConversions(np.full(3, BASE_MS), np.array([True, False, False]), told)
    evaluator.update(replace(random_outcomes(0, n_queries=0), predicted_conversions=matured))
    record = evaluator.metrics()
    assert list(record["metrics"]) == list(CONVERSION_METRICS)
    assert record["metrics"]["conversion_auc"]["total"] == 1.0
    shadow = record["shadows"]["popularity"]
    assert shadow["predicted_conversion_rate"]["total"] == 0.5
    assert shadow["conversion_auc"]["difference"] == 0.5
    assert evaluator.reading("conversion_calibration_ratio", "total") == Reading(1.0, 3)
    assert evaluator.reading("conversion_calibration_ratio", "time") == Reading(1.0, 3)


def test_shown_items_and_clicks_together_make_a_record_due():
    evaluator = make_evaluator(emit_events=4)
    stream = [one_list([0, 0, 1]), one_click(item=7, seq=1), one_list([0], seq=2)]
    assert [len(evaluator.update(outcomes)) for outcomes in stream] == [0, 1, 0]


def test_the_counts_of_the_joiner_are_its_latest():
    evaluator = make_evaluator()
    for seq in range(3):
        evaluator.update(one_list([0], seq=seq))
    assert evaluator.metrics()["counts"]["late_clicks"] == 2


def test_time_moves_in_batches_without_lists():
    evaluator = make_evaluator()
    evaluator.update(one_list([1]))
    evaluator.update(one_click(item=7, ts_ms=BASE_MS + 120_000, seq=1))
    assert evaluator.reading("ctr", "time") is None
    assert evaluator.reading("log_loss", "time") is None
    assert evaluator.reading("auc", "time") is None
    assert evaluator.reading("ctr", "events") == Reading(1.0, 1)


def test_a_metric_that_does_not_exist_is_refused_with_the_nearest_name():
    with pytest.raises(ValueError, match=r"called normalised_entropy.*mean normalized_entropy"):
        make_evaluator().reading("normalised_entropy", "total")


@pytest.mark.parametrize("metric", ["recall@20", "conversion_rate", "conversion_auc"])
def test_a_metric_that_is_not_kept_by_policy_is_refused(metric):
    with pytest.raises(ValueError, match=f"{metric} is not kept by policy"):
        make_evaluator().reading(metric, "total", "ranker")


def test_without_a_sample_no_figure_exists():
    evaluator = PrequentialEvaluator(PLAIN, RankingConfig(ks=KS), LEARNERS)
    evaluator.update(one_click(item=7, is_sample=False))
    record = evaluator.metrics()
    assert record["metrics"] == {}
    assert record["shadows"] == {"popularity": {}}
    assert (record["counts"]["clicks"], record["counts"]["samples"]) == (1, 0)
    assert record["counts"]["repeated_seen"] == 1


def test_a_window_that_ran_empty_is_left_out():
    evaluator = make_evaluator()
    evaluator.update(one_click(item=7))
    evaluator.update(one_click(item=7, ts_ms=BASE_MS + 120_000, seq=1, is_sample=False))
    recall = evaluator.metrics()["metrics"]["recall@10"]
    assert list(recall) == ["total", "events", "faded", "samples"]
    assert list(recall["samples"]) == ["total", "events", "faded"]


def test_an_answer_that_was_not_admitted_is_a_counted_miss():
    evaluator = make_evaluator()
    evaluator.update(one_click(item=-1))
    record = evaluator.metrics()
    assert record["counts"]["not_admitted"] == 1
    assert record["metrics"]["recall@20"]["total"] == 0.0


def test_a_record_is_due_when_the_clicks_cross_a_multiple():
    evaluator = make_evaluator(emit_events=3)
    events = [
        [record["events"] for record in evaluator.update(one_click(item=7, seq=seq))]
        for seq in range(7)
    ]
    assert events == [[], [], [3], [], [], [6], []]


def test_a_batch_that_crosses_several_multiples_brings_one_record():
    evaluator = make_evaluator(emit_events=30)
    (record,) = evaluator.update(random_outcomes(0))
    assert record["events"] == 100


def test_the_effective_samples_of_faded_are_the_sum_of_the_weights():
    evaluator = make_evaluator(fade=0.5)
    for seq in range(3):
        evaluator.update(one_click(item=7, seq=seq))
    assert evaluator.metrics()["metrics"]["mrr@10"]["samples"]["faded"] == 1.75


def test_a_single_learner_has_no_shadows():
    evaluator = PrequentialEvaluator(CONFIG, RankingConfig(), ["champion"])
    for outcomes in stream_of_outcomes():
        evaluator.update(outcomes)
    assert evaluator.metrics()["shadows"] == {}
    assert evaluator.metrics()["metrics"] == metrics_of_stream()["metrics"]


def metrics_of_stream() -> Record:
    evaluator = make_evaluator()
    for outcomes in stream_of_outcomes():
        evaluator.update(outcomes)
    return evaluator.metrics()


def test_lists_too_short_for_the_figures_are_refused():
    evaluator = PrequentialEvaluator(CONFIG, RankingConfig(ks=(21,)), LEARNERS)
    with pytest.raises(ValueError, match="champion predicted lists of 20 items"):
        evaluator.update(random_outcomes(0))


@pytest.mark.parametrize("learners", [[], ["champion", "champion"]])
def test_learners_without_names_of_their_own_are_refused(learners):
    with pytest.raises(ValueError, match="learners with different names"):
        PrequentialEvaluator(CONFIG, RankingConfig(), learners)


@pytest.mark.parametrize(
    ("config", "ranking", "learners", "key"),
    [
        ({"window_events": 151}, {}, LEARNERS, "window_events"),
        ({"window_time": 60_000}, {}, LEARNERS, "window_time_ms"),
        ({"fade": 0.5}, {}, LEARNERS, "fade"),
        ({"bootstrap": BootstrapConfig(enabled=False)}, {}, LEARNERS, "bootstrap"),
        ({}, {"ks": (1, 20)}, LEARNERS, "ks"),
        ({}, {"exclude_seen": True}, LEARNERS, "exclude_seen"),
        ({}, {}, ("champion",), "learners"),
    ],
)
def test_a_state_made_under_other_settings_is_refused(config, ranking, learners, key):
    state = make_evaluator().state_dict()
    other = PrequentialEvaluator(
        CONFIG.model_copy(update=config), RankingConfig(**{"ks": KS, **ranking}), learners
    )
    with pytest.raises(CheckpointError, match=f"was made with {key} "):
        other.load_state_dict(state)


def test_a_state_of_another_version_is_refused():
    state = make_evaluator().state_dict() | {"schema_version": 99}
    with pytest.raises(CheckpointError, match="version 99, expected 4"):
        make_evaluator().load_state_dict(state)


def many_users(seq: int) -> Outcomes:
    outcomes = random_outcomes(seq)
    return replace(outcomes, user_B=np.arange(len(outcomes.user_B), dtype=np.int64) % 77)


def test_differences_have_an_interval_by_user_unless_told_otherwise():
    evaluator = make_evaluator()
    without = make_evaluator(bootstrap=BootstrapConfig(enabled=False))
    for one in (evaluator, without):
        for seq in range(3):
            one.update(many_users(seq))
    told = evaluator.metrics()["shadows"]["popularity"]
    for figure in ("recall@1", "mrr@20", "ndcg@20"):
        low, high = told[figure].pop("interval_by_user")
        assert low < told[figure]["difference"] < high
    untold = without.metrics()["shadows"]["popularity"]
    assert untold["recall@1"] == told["recall@1"]


def test_only_means_over_shared_samples_have_an_interval():
    evaluator = make_evaluator()
    for outcomes in stream_of_outcomes():
        evaluator.update(outcomes)
    shadow = evaluator.metrics()["shadows"]["popularity"]
    with_interval = {name for name, figure in shadow.items() if "interval" in figure}
    figures = {f"{name}@{k}" for name in ("recall", "mrr", "ndcg") for k in KS}
    assert with_interval == figures | {"log_loss"}
    low, high = shadow["log_loss"]["interval"]
    assert low < shadow["log_loss"]["difference"] < high


def test_the_configuration_speaks_in_durations():
    assert EvaluatorConfig.model_validate({"window_time": "2h"}).window_time == 7_200_000


@pytest.mark.parametrize(
    "bad",
    [
        {"window_events": 0},
        {"window_time": "999ms"},
        {"fade": 0.0},
        {"fade": 1.5},
        {"emit_events": 0},
        {"window": 5},
    ],
)
def test_settings_that_make_no_sense_are_refused(bad):
    with pytest.raises(ValidationError, match=next(iter(bad))):
        EvaluatorConfig.model_validate(bad)


@pytest.mark.parametrize("family", list(FAMILIES))
def test_a_family_that_is_left_out_is_in_no_record_and_has_no_reading(family):
    config = EvaluatorConfig.model_validate(CONFIG.model_dump() | {family: {"enabled": False}})
    evaluator, whole = PrequentialEvaluator(config, RankingConfig(), LEARNERS), make_evaluator()
    for outcomes in stream_of_outcomes():
        for one in (evaluator, whole):
            one.update(outcomes)
    left, all_of_it = evaluator.metrics(), whole.metrics()
    gone = {*all_of_it["metrics"], *all_of_it} - {*left["metrics"], *left}
    own = {"slices"} if family == "slices" else {*FAMILIES[family], "interests", "exposure"}
    assert gone <= own
    for metric in FAMILIES[family]:
        assert evaluator.reading(metric, "total") is None
        with pytest.raises(ValueError, match="not kept by policy"):
            evaluator.reading(metric, "total", "ranker")


def test_a_checkpoint_made_with_other_families_is_refused():
    state = make_evaluator().state_dict()
    config = EvaluatorConfig.model_validate(CONFIG.model_dump() | {"slices": {"enabled": False}})
    other = PrequentialEvaluator(config, RankingConfig(ks=KS), LEARNERS)
    with pytest.raises(CheckpointError, match="families"):
        other.load_state_dict(state)
