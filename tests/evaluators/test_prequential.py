import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from evaluators.confidence import mean_interval
from evaluators.prequential import (
    INTERVAL_ALPHA,
    INTERVAL_TUNED_SAMPLES,
    EvaluatorConfig,
    PrequentialEvaluator,
)
from evaluators.ranking import RankingConfig
from stream.errors import CheckpointError
from stream.values import Outcomes, Record
from tests.conformance.evaluator_contract import (
    LEARNERS,
    EvaluatorContract,
    outcomes_of,
    random_lists,
    random_outcomes,
    stream_of_outcomes,
)
from tests.conformance.stateful_contract import StatefulContract
from tests.evaluators.test_ranking import brute_force

KS = (1, 10, 20)
CONFIG = EvaluatorConfig(window_events=150, window_time=120_000, fade=0.99, emit_events=150)
BASE_MS = 1_700_000_000_000


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


class Stream:
    """Outcomes of n queries in columns, to be cut anywhere."""

    def __init__(self, seed: int, n_queries: int) -> None:
        rng = np.random.default_rng(seed)
        self.top_items = {name: random_lists(rng, n_queries) for name in LEARNERS}
        self.answer_B = rng.integers(-1, 25, n_queries).astype(np.int32)
        self.is_sample_B = rng.random(n_queries) < 0.8
        late_ms = rng.integers(0, 400_000, n_queries) * (rng.random(n_queries) < 0.2)
        self.ts_B = BASE_MS + np.arange(n_queries) * 997 - late_ms

    def part(self, seq: int, start: int, end: int) -> Outcomes:
        return outcomes_of(
            seq,
            {name: lists[start:end] for name, lists in self.top_items.items()},
            self.answer_B[start:end],
            self.ts_B[start:end],
            int(self.ts_B[:end].max(initial=BASE_MS)),
            self.is_sample_B[start:end],
        )


def metrics_after(stream: Stream, cuts: list[int]) -> Record:
    evaluator = make_evaluator()
    ends = np.cumsum([0, *cuts]).tolist()
    for seq, (start, end) in enumerate(itertools.pairwise(ends)):
        evaluator.update(stream.part(seq, start, end))
    return evaluator.metrics()


@given(seed=st.integers(0, 2**32 - 1), cuts=st.lists(st.integers(0, 90), min_size=1, max_size=6))
@settings(deadline=None, max_examples=50)
def test_metrics_do_not_depend_on_how_the_samples_are_cut_into_batches(seed, cuts):
    stream = Stream(seed, sum(cuts))
    cut, whole = metrics_after(stream, cuts), metrics_after(stream, [sum(cuts)])
    assert without_faded(cut) == without_faded(whole)
    for figure, values in whole["metrics"].items():
        assert cut["metrics"][figure]["faded"] == pytest.approx(values["faded"], abs=1e-9)


def without_faded(record: Record) -> Record:
    """A copy of a record less what may round differently, and the number of its last batch."""
    record = json.loads(json.dumps(record))
    del record["seq"]
    for figures in (record["metrics"], *record["shadows"].values()):
        for values in figures.values():
            del values["faded"], values["samples"]["faded"]
    return record


@given(seed=st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=20)
def test_total_and_events_equal_a_loop_over_the_samples(seed):
    stream = Stream(seed, n_queries=300)
    record = metrics_after(stream, [120, 120, 60])
    answers = stream.answer_B[stream.is_sample_B].tolist()
    for learner, figures in (
        (LEARNERS[0], record["metrics"]),
        (LEARNERS[1], record["shadows"][LEARNERS[1]]),
    ):
        lists = stream.top_items[learner][stream.is_sample_B].tolist()
        total = brute_force(lists, answers, KS)
        events = brute_force(lists[-150:], answers[-150:], KS)
        assert {name: v["total"] for name, v in figures.items()} == pytest.approx(total)
        assert {name: v["events"] for name, v in figures.items()} == pytest.approx(events)


@given(seed=st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=20)
def test_a_difference_and_its_interval_equal_those_of_the_raw_differences(seed):
    stream = Stream(seed, n_queries=200)
    record = metrics_after(stream, [100, 100])
    answers = stream.answer_B[stream.is_sample_B].tolist()
    champion, shadow = (stream.top_items[name][stream.is_sample_B].tolist() for name in LEARNERS)
    for figure, values in record["shadows"][LEARNERS[1]].items():
        differences = [
            brute_force([ours], [answer], KS)[figure] - brute_force([theirs], [answer], KS)[figure]
            for ours, theirs, answer in zip(champion, shadow, answers, strict=True)
        ]
        interval = mean_interval(
            len(differences),
            float(np.mean(differences)),
            float(np.var(differences)),
            INTERVAL_ALPHA,
            INTERVAL_TUNED_SAMPLES,
        )
        assert values["difference"] == pytest.approx(np.mean(differences), abs=1e-12)
        assert values["interval"] == pytest.approx(np.clip(interval, -1, 1).tolist(), abs=1e-9)


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
    evaluator = PrequentialEvaluator(CONFIG, RankingConfig(ks=(20,)), LEARNERS)
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
    assert list(record["metrics"]) == ["recall@20", "mrr@20", "ndcg@20"]
    assert {key: record[key] for key in ("seq", "name", "events", "watermark_ms", "counts")} == {
        "seq": 0,
        "name": "metrics",
        "events": 1,
        "watermark_ms": BASE_MS,
        "counts": {"clicks": 1, "samples": 1, "repeated_seen": 0, "not_admitted": 0},
    }


def test_without_a_sample_no_figure_exists():
    evaluator = make_evaluator()
    evaluator.update(one_click(item=7, is_sample=False))
    record = evaluator.metrics()
    assert record["metrics"] == {}
    assert record["shadows"] == {"popularity": {}}
    assert record["counts"] == {"clicks": 1, "samples": 0, "repeated_seen": 1, "not_admitted": 0}


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
    with pytest.raises(CheckpointError, match="version 99, expected 1"):
        make_evaluator().load_state_dict(state)


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
