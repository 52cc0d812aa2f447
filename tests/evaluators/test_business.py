from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from evaluators.business import BusinessConfig, BusinessJudge
from evaluators.windows import WindowSizes
from stream.values import Conversions, Matured, Outcomes, Reading
from tests.conformance.evaluator_contract import random_outcomes
from tests.conformance.stateful_contract import StatefulContract
from tests.stream_values import make_changes

SIZES = WindowSizes(events=2, time_ms=60_000, fade=0.5)
HOUR_MS = 3_600_000


def matured(*lengths: int, ts_ms: int = 0) -> Matured:
    starts = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    n = len(lengths)
    return Matured(np.full(n, ts_ms), [None] * n, starts, np.zeros(starts[-1], np.bool_), {})


def earned(*values: float, ts_ms: int = 0) -> Conversions:
    value_N = np.array(values, float)
    return Conversions(np.full(len(values), ts_ms), value_N > 0, value_N)


def batch(ts_ms: int = 0, users=(), looking=(), **changes) -> Outcomes:
    outcomes = random_outcomes(0, n_queries=len(users), watermark_ms=ts_ms)
    queries = replace(outcomes.queries, ts_B=np.full(len(users), ts_ms))
    return replace(
        outcomes,
        queries=queries,
        **{"matured": matured(), "conversions": earned()} | changes,
        user_B=np.array(users, np.int64),
        looking_N=np.array(looking, np.int64),
    )


def judge_of(*batches: Outcomes, **settings) -> BusinessJudge:
    judge = BusinessJudge(BusinessConfig(**settings), SIZES)
    for outcomes in batches:
        judge.update(outcomes)
    return judge


def test_revenue_is_related_to_what_was_shown_and_to_clicks():
    judge = judge_of(batch(matured=matured(10, 10), conversions=earned(30.0, 0.0, 6.0)))
    assert judge.reading("revenue_per_mille", "total") == Reading(1800.0, 20)
    assert judge.reading("revenue_per_click", "total") == Reading(12.0, 3)


def test_revenue_that_is_known_between_lists_counts_with_the_next():
    judge = judge_of(
        batch(conversions=earned(5.0)),
        batch(conversions=earned(1.0)),
        batch(matured=matured(4)),
        batch(matured=matured(4, 4)),
    )
    assert judge.reading("revenue_per_mille", "total") == Reading(500.0, 12)
    assert judge.reading("revenue_per_mille", "events") == Reading(0.0, 8)


def test_where_no_conversion_is_recorded_nothing_is_known_of_revenue():
    assert judge_of(batch(matured=matured(10))).metrics() == {}


def test_money_given_back_counts():
    judge = judge_of(batch(matured=matured(10), conversions=earned(-3.0)))
    for over in ("total", "events", "time", "faded"):
        assert judge.reading("revenue_per_mille", over).value == pytest.approx(-300.0)


def test_values_that_are_not_finite_are_left_out_and_counted():
    judge = judge_of(batch(matured=matured(10), conversions=earned(np.inf, np.nan, 1.0)))
    assert judge.reading("revenue_per_click", "total") == Reading(1.0, 1)
    assert judge.reading("revenue_per_mille", "total") == Reading(100.0, 10)
    assert judge.counts()["invalid_values"] == 2


def test_active_are_those_who_click_and_those_who_look():
    judge = judge_of(
        batch(0, users=[1, 1, 2], looking=[3]), batch(30 * HOUR_MS, users=[2], looking=[4])
    )
    assert judge.reading("active_users_day", "time") == Reading(2.0, 2)
    assert judge.reading("active_users_week", "time") == Reading(4.0, 6)
    assert judge.reading("active_users_week", "total") is None


def test_a_forgotten_user_is_no_longer_counted():
    judge = judge_of(batch(0, users=[1, 2]))
    judge.follow(make_changes(0, forgotten=[1]))
    assert judge.reading("active_users_day", "time").value == 1.0


def test_counts_say_when_users_are_estimated():
    assert judge_of(batch(users=[1]), exact_users=1).counts()["active_users_estimated"] == 0
    assert judge_of(batch(users=[1, 2]), exact_users=1).counts()["active_users_estimated"] == 1


@pytest.mark.parametrize("bad", [{"exact_users": -1}, {"exact_users": 2_000_000}, {"users": 1}])
def test_settings_that_make_no_sense_are_refused(bad):
    with pytest.raises(ValidationError):
        BusinessConfig.model_validate(bad)


class TestBusinessState(StatefulContract):
    make = staticmethod(lambda: BusinessJudge(BusinessConfig(exact_users=10), SIZES))

    @staticmethod
    def drive(judge: BusinessJudge, step: int) -> object:
        rng = np.random.default_rng(step)
        ts_ms = 20_000 * step
        lists = matured(*rng.integers(1, 5, step % 3).tolist(), ts_ms=ts_ms)
        judge.update(
            batch(
                ts_ms,
                users=rng.integers(0, 9, 4),
                looking=rng.integers(0, 20, 2),
                matured=lists,
                conversions=earned(*rng.normal(size=2), ts_ms=ts_ms),
            )
        )
        return judge.metrics() | judge.counts()
