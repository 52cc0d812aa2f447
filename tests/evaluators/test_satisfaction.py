import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from evaluators.satisfaction import SATISFACTION_METRICS, SatisfactionJudge
from evaluators.windows import WindowSizes
from stream.conversions import Opinions
from stream.events import FEEDBACK_KINDS
from stream.values import Outcomes, Reading
from tests.conformance.evaluator_contract import random_outcomes
from tests.conformance.stateful_contract import StatefulContract

SIZES = WindowSizes(events=4, time_ms=60_000, fade=0.5)


def told(*opinions: tuple[str, float], ts_ms: int = 0) -> Outcomes:
    kinds = [FEEDBACK_KINDS.index(kind) for kind, _ in opinions]
    values = np.array([value for _, value in opinions], float)
    ts_N = np.full(len(kinds), ts_ms)
    outcomes = random_outcomes(0, n_queries=0, watermark_ms=ts_ms)
    return replace(outcomes, opinions=Opinions(ts_N, np.array(kinds, np.int64), values))


def judge_of(*batches: Outcomes) -> SatisfactionJudge:
    judge = SatisfactionJudge(SIZES)
    for outcomes in batches:
        judge.update(outcomes)
    return judge


def values_over(judge: SatisfactionJudge, over: str, metrics: Sequence[str]) -> list[float | None]:
    readings = [judge.reading(metric, over) for metric in metrics]
    return [None if reading is None else reading.value for reading in readings]


def test_shares_are_of_likes_dislikes_and_hides_alone():
    nan = math.nan
    likes = [("like", nan)] * 3 + [("dislike", nan), ("rating", 4.0), ("hide", nan), ("dwell", 9.0)]
    judge = judge_of(told(*likes))
    shares = ("like_share", "dislike_share", "hide_share")
    assert values_over(judge, "total", shares) == [0.6, 0.2, 0.2]
    assert values_over(judge, "events", shares) == [0.5, 0.25, 0.25]
    assert judge.reading("like_share", "total").samples == 5


def test_ratings_and_dwelling_are_averaged_each_over_its_own_samples():
    judge = judge_of(told(("rating", 4.0), ("dwell", 30.0), ("rating", 1.0)))
    assert judge.reading("mean_rating", "total") == Reading(2.5, 2)
    assert judge.reading("mean_dwell", "total") == Reading(30.0, 1)


@pytest.mark.parametrize(
    ("kind", "value"), [("rating", math.nan), ("rating", math.inf), ("dwell", -1.0)]
)
def test_what_cannot_be_averaged_is_left_out_and_counted(kind, value):
    judge = judge_of(told((kind, value)))
    assert judge.metrics() == {}
    assert judge.counts() == {"invalid_feedback": 1}


def test_scales_may_go_below_0():
    judge = judge_of(told(("rating", -10.0)), told(("rating", -4.0)))
    assert values_over(judge, "total", ["mean_rating"]) == [-7.0]
    assert values_over(judge, "faded", ["mean_rating"]) == [-6.0]


def test_time_passes_without_feedback():
    judge = judge_of(told(("like", math.nan), ("rating", 5.0)), told(ts_ms=100_000))
    assert values_over(judge, "time", SATISFACTION_METRICS) == [None] * 5
    assert values_over(judge, "events", ["mean_rating", "like_share"]) == [5.0, 1.0]


class TestSatisfactionState(StatefulContract):
    make = staticmethod(lambda: SatisfactionJudge(SIZES))

    @staticmethod
    def drive(judge: SatisfactionJudge, step: int) -> object:
        rng = np.random.default_rng(step)
        kinds = [FEEDBACK_KINDS[i] for i in rng.integers(0, 5, 8)]
        judge.update(
            told(*[(kind, float(rng.integers(-1, 6))) for kind in kinds], ts_ms=20_000 * step)
        )
        return judge.metrics() | judge.counts()
