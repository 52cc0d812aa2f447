"""What every evaluator promises.

# B queries of a batch, K list length, N lists that matured, S shown items of those lists

An implementation joins in a line:

    class TestThing(EvaluatorContract):
        make = staticmethod(make_thing)

`make` returns a fresh evaluator of `LEARNERS` that writes at least one record within the
outcomes of `stream_of_outcomes()`.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from stream.conversions import Conversions, PredictedConversions
from stream.protocols import Evaluator
from stream.targets import Choice, Targets
from stream.values import (
    Bools,
    Contexts,
    Int32s,
    Int64s,
    Lessons,
    Matured,
    Outcomes,
    Predictions,
    Queries,
    Reading,
    Record,
)

LEARNERS = ("champion", "popularity")
K = 20
N_ITEMS = 40
N_BATCHES = 8
BATCH_EVENTS = 100
BATCH_LISTS = 12
POLICIES = ("ranker", "random", None)
WINDOWS = ("total", "events", "time", "faded")

JSON_TYPES = {dict, list, str, int, float, bool, type(None)}


class EvaluatorContract:
    @staticmethod
    def make() -> Evaluator:
        raise NotImplementedError

    def records(self, evaluator: Evaluator) -> list[Record]:
        return [
            record for outcomes in stream_of_outcomes() for record in evaluator.update(outcomes)
        ]

    def test_records_are_plain_json(self) -> None:
        records = self.records(self.make())
        assert records
        assert types_in(records) <= JSON_TYPES
        assert json.loads(json.dumps(records, allow_nan=False)) == records

    def test_a_record_carries_the_number_and_time_of_its_batch(self) -> None:
        evaluator = self.make()
        for outcomes in stream_of_outcomes():
            for record in evaluator.update(outcomes):
                assert record["seq"] == outcomes.seq
                assert record["watermark_ms"] == outcomes.watermark_ms

    def test_no_two_records_have_the_same_key(self) -> None:
        keys = [(record["seq"], record["name"]) for record in self.records(self.make())]
        assert len(set(keys)) == len(keys)

    def test_same_outcomes_give_the_same_records(self) -> None:
        first, second = self.records(self.make()), self.records(self.make())
        assert json.dumps(first) == json.dumps(second)

    def test_metrics_is_the_present_state_without_side_effect(self) -> None:
        watched, left_alone = self.make(), self.make()
        for outcomes in stream_of_outcomes():
            records = watched.update(outcomes)
            assert json.dumps(watched.metrics()) == json.dumps(watched.metrics())
            assert json.dumps(records) == json.dumps(left_alone.update(outcomes))
        assert json.dumps(watched.metrics()) == json.dumps(left_alone.metrics())

    def test_metrics_can_be_asked_for_before_the_first_batch(self) -> None:
        metrics = self.make().metrics()
        assert json.loads(json.dumps(metrics, allow_nan=False)) == metrics

    def test_metrics_handed_out_do_not_move_later(self) -> None:
        evaluator = self.make()
        first, *rest = stream_of_outcomes()
        evaluator.update(first)
        metrics = evaluator.metrics()
        written = json.dumps(metrics)
        for outcomes in rest:
            evaluator.update(outcomes)
        assert json.dumps(metrics) == written

    def test_a_batch_without_queries_only_lets_time_pass(self) -> None:
        evaluator = self.make()
        *_, last = stream_of_outcomes()
        self.records(evaluator)
        events_before = evaluator.metrics()["events"]
        empty = random_outcomes(last.seq + 1, n_queries=0, watermark_ms=last.watermark_ms + 1000)
        assert evaluator.update(empty) == []
        assert evaluator.metrics()["watermark_ms"] == last.watermark_ms + 1000
        assert evaluator.metrics()["events"] == events_before

    def test_a_reading_is_what_metrics_says(self) -> None:
        evaluator = self.make()
        self.records(evaluator)
        record = evaluator.metrics()
        assert record["metrics"]
        for name, figure in record["metrics"].items():
            for window in WINDOWS:
                assert evaluator.reading(name, window) == reading_of(figure, window), name
        for policy, figures in record["policies"].items():
            for name, figure in figures.items():
                for window in WINDOWS:
                    reading = evaluator.reading(name, window, policy)
                    assert reading == reading_of(figure, window), name

    def test_a_reading_without_a_sample_is_none(self) -> None:
        evaluator = self.make()
        self.records(evaluator)
        names, fresh = list(evaluator.metrics()["metrics"]), self.make()
        assert {fresh.reading(name, window) for name in names for window in WINDOWS} == {None}
        assert evaluator.reading("ctr", "total", "a policy that shows nothing") is None

    def test_taking_readings_changes_nothing(self) -> None:
        watched, left_alone = self.make(), self.make()
        for outcomes in stream_of_outcomes():
            records = watched.update(outcomes)
            for name in watched.metrics()["metrics"]:
                for window in WINDOWS:
                    watched.reading(name, window)
            assert json.dumps(records) == json.dumps(left_alone.update(outcomes))
        assert json.dumps(watched.metrics()) == json.dumps(left_alone.metrics())

    def test_a_lead_is_what_metrics_says(self) -> None:
        evaluator = self.make()
        self.records(evaluator)
        record = evaluator.metrics()
        champion, shadow = record["metrics"]["recall@20"], record["shadows"][LEARNERS[1]]
        for window in WINDOWS:
            lead = evaluator.lead(LEARNERS[1], "recall@20", window)
            assert lead is not None
            ahead = champion[window] - shadow["recall@20"][window]
            assert lead.value == pytest.approx(ahead, abs=1e-12)
            assert lead.samples == champion["samples"][window]

    def test_leads_are_told_once_sample_by_sample(self) -> None:
        evaluator = self.make()
        leads = []
        for outcomes in stream_of_outcomes():
            evaluator.update(outcomes)
            leads += evaluator.leads(LEARNERS[1], "recall@20").tolist()
        lead = evaluator.lead(LEARNERS[1], "recall@20", "total")
        assert lead is not None
        assert len(leads) == lead.samples
        assert lead.value == pytest.approx(float(np.mean(leads)), abs=1e-12)

    def test_without_a_sample_nobody_is_ahead(self) -> None:
        fresh = self.make()
        assert fresh.lead(LEARNERS[1], "recall@20", "total") is None
        assert len(fresh.leads(LEARNERS[1], "recall@20")) == 0

    def test_a_lead_on_someone_who_is_no_shadow_is_refused(self) -> None:
        with pytest.raises(ValueError, match="nobody"):
            self.make().lead("nobody", "recall@20", "total")

    @pytest.mark.parametrize(
        ("metric", "over", "policy"),
        [("recall@7777", "total", None), ("ctr", "day", None), ("recall@10", "total", "ranker")],
    )
    def test_a_reading_that_nobody_can_give_is_refused(
        self, metric: str, over: str, policy: str | None
    ) -> None:
        evaluator = self.make()
        with pytest.raises(ValueError, match=metric if over == "total" else over):
            evaluator.reading(metric, over, policy)


def reading_of(figure: Record, window: str) -> Reading | None:
    return Reading(figure[window], figure["samples"][window]) if window in figure else None


def types_in(value: Any) -> set[type]:
    if type(value) is dict:
        return {dict}.union(*map(types_in, value), *map(types_in, value.values()))
    if type(value) is list:
        return {list}.union(*map(types_in, value))
    return {type(value)}


def stream_of_outcomes() -> list[Outcomes]:
    """Outcomes of some batches; their arrays cannot be written to."""
    return [random_outcomes(seq) for seq in range(N_BATCHES)]


def random_outcomes(
    seq: int, n_queries: int = BATCH_EVENTS, watermark_ms: int | None = None
) -> Outcomes:
    """A minute of clicks and of lists that matured, drawn from `seq` alone."""
    rng = np.random.default_rng(seq)
    end_ms = 1_700_000_000_000 + (seq + 1) * 60_000
    top_items = {name: random_lists(rng, n_queries) for name in LEARNERS}
    outcomes = outcomes_of(
        seq,
        top_items,
        answer_B=rng.integers(-1, N_ITEMS, n_queries).astype(np.int32),
        ts_B=np.sort(rng.integers(end_ms - 60_000, end_ms, n_queries, endpoint=True)),
        watermark_ms=end_ms if watermark_ms is None else watermark_ms,
        is_sample_B=rng.random(n_queries) < 0.9,
    )
    if not n_queries:
        return outcomes
    return replace(
        outcomes,
        matured=random_matured(rng, BATCH_LISTS, end_ms),
        conversions=random_conversions(rng, 10, end_ms),
        predicted_conversions=random_predicted_conversions(rng, 6, end_ms),
        join_counts={"clicks_joined": 3 * (seq + 1), "clicks_without_list": seq},
    )


def random_matured(rng: np.random.Generator, n_lists: int, end_ms: int) -> Matured:
    """Lists of 1 to 9 items that matured in the minute up to `end_ms`."""
    starts = np.concatenate(([0], rng.integers(1, 10, n_lists).cumsum()))
    n_items = int(starts[-1])
    probability_of = {name: rng.beta(1, 9, n_items) for name in LEARNERS}
    matured = Matured(
        ts_N=np.sort(rng.integers(end_ms - 60_000, end_ms, n_lists, endpoint=True)),
        policy_N=[POLICIES[i] for i in rng.integers(0, len(POLICIES), n_lists)],
        starts=starts,
        is_clicked_S=rng.random(n_items) < probability_of[LEARNERS[0]],
        probability_of=probability_of,
        targets=random_targets(n_items, end_ms),
    )
    targets = matured.targets
    assert targets is not None
    for array in (targets.propensity_S, *targets.given_of.values()):
        array.flags.writeable = False
    for array in (matured.ts_N, starts, matured.is_clicked_S, *probability_of.values()):
        array.flags.writeable = False
    return matured


def random_targets(n_items: int, end_ms: int) -> Targets:
    """What the champion, and a policy whose probabilities came along, would have shown."""
    rng = np.random.default_rng(end_ms)
    propensity_S, given_S = rng.uniform(0.05, 1, n_items), rng.random(n_items)
    propensity_S[rng.random(n_items) < 0.1] = np.nan
    given_S[rng.random(n_items) < 0.3] = np.nan
    return Targets(propensity_S, Choice(rng.random(n_items), rng.random(n_items)), {"new": given_S})


def random_conversions(rng: np.random.Generator, n_clicks: int, end_ms: int) -> Conversions:
    """Clicks that matured in the minute up to `end_ms`."""
    is_converted_N = rng.random(n_clicks) < 0.3
    return Conversions(
        ts_N=np.sort(rng.integers(end_ms - 60_000, end_ms, n_clicks, endpoint=True)),
        is_converted_N=is_converted_N,
        value_N=is_converted_N * 9.5,
    )


def random_predicted_conversions(
    rng: np.random.Generator, n_clicks: int, end_ms: int
) -> PredictedConversions:
    """Clicked items that matured in the minute up to `end_ms`; of one nothing was told."""
    probability_of = {name: rng.beta(2, 6, n_clicks) for name in LEARNERS}
    for told_N in probability_of.values():
        told_N[rng.integers(n_clicks)] = np.nan
    return PredictedConversions(
        ts_N=np.sort(rng.integers(end_ms - 60_000, end_ms, n_clicks, endpoint=True)),
        is_converted_N=rng.random(n_clicks) < 0.25,
        probability_of=probability_of,
    )


def random_lists(rng: np.random.Generator, n_queries: int, k: int = K) -> Int32s:
    """Lists of k different rows out of 40, the last of them sometimes -1."""
    top_items_BK = rng.permuted(np.tile(np.arange(N_ITEMS), (n_queries, 1)), axis=1)[:, :k]
    length_B = rng.integers(k // 2, k, n_queries, endpoint=True)
    top_items_BK[np.arange(k) >= length_B[:, None]] = -1
    return top_items_BK.astype(np.int32)


def outcomes_of(
    seq: int,
    top_items: Mapping[str, Int32s],
    answer_B: Int32s,
    ts_B: Int64s,
    watermark_ms: int,
    is_sample_B: Bools,
) -> Outcomes:
    """Outcomes without lists; contexts and lessons are empty."""
    n_queries = len(answer_B)
    no_rows, no_longs = np.zeros(0, np.int32), np.zeros(0, np.int64)
    contexts = Contexts(np.full((1, 1), -1, np.int32), np.zeros(1, np.int32))
    lists = next(iter(top_items.values()))
    queries = Queries(
        contexts=contexts,
        context_of_B=np.zeros(n_queries, np.int32),
        ts_B=ts_B,
        session_B=np.zeros(n_queries, np.int64),
        session_length_B=np.zeros(n_queries, np.int32),
        n_items=N_ITEMS,
        tie_hash_V=np.arange(N_ITEMS, dtype=np.uint32),
        k=lists.shape[1],
    )
    for array in (answer_B, ts_B, is_sample_B, *top_items.values()):
        array.flags.writeable = False
    return Outcomes(
        seq=seq,
        watermark_ms=watermark_ms,
        queries=queries,
        predictions={name: Predictions(lists) for name, lists in top_items.items()},
        answer_B=answer_B,
        is_sample_B=is_sample_B,
        lessons=Lessons(contexts, no_rows, no_rows, no_longs, no_longs, no_longs, no_rows),
        user_B=np.arange(n_queries, dtype=np.int64) % 7,
    )
