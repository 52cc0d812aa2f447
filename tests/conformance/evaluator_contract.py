"""What every evaluator promises.

# B queries of a batch, K list length

An implementation joins in a line:

    class TestThing(EvaluatorContract):
        make = staticmethod(make_thing)

`make` returns a fresh evaluator of `LEARNERS` that writes at least one record within the
outcomes of `stream_of_outcomes()`.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from stream.protocols import Evaluator
from stream.values import (
    Bools,
    Contexts,
    Int32s,
    Int64s,
    Lessons,
    Outcomes,
    Predictions,
    Queries,
    Record,
)

LEARNERS = ("champion", "popularity")
K = 20
N_ITEMS = 40
N_BATCHES = 8
BATCH_EVENTS = 100

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
    """A minute of clicks of batch `seq`, drawn from `seq` alone."""
    rng = np.random.default_rng(seq)
    end_ms = 1_700_000_000_000 + (seq + 1) * 60_000
    top_items = {name: random_lists(rng, n_queries) for name in LEARNERS}
    return outcomes_of(
        seq,
        top_items,
        answer_B=rng.integers(-1, N_ITEMS, n_queries).astype(np.int32),
        ts_B=np.sort(rng.integers(end_ms - 60_000, end_ms, n_queries, endpoint=True)),
        watermark_ms=end_ms if watermark_ms is None else watermark_ms,
        is_sample_B=rng.random(n_queries) < 0.9,
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
    """Outcomes for a ranking evaluator; contexts and lessons are empty."""
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
    )
