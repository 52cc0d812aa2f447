from dataclasses import replace

import numpy as np

from evaluators.group_clicks import GroupClicks
from evaluators.windows import WindowSizes
from stream.values import Outcomes
from tests.conformance.evaluator_contract import random_outcomes
from tests.conformance.stateful_contract import StatefulContract

SIZES = WindowSizes(events=10, time_ms=60_000, fade=0.5)


def clicks_at(*ts_ms: int, watermark_ms: int) -> Outcomes:
    outcomes = random_outcomes(0, n_queries=len(ts_ms), watermark_ms=watermark_ms)
    return replace(outcomes, queries=replace(outcomes.queries, ts_B=np.array(ts_ms, np.int64)))


def test_each_click_counts_for_the_group_of_its_item():
    clicks = GroupClicks(4, SIZES)
    clicks.update(clicks_at(1, 2, 3, watermark_ms=3), np.array([1, 3, 1], np.uint8))
    assert clicks.over("total").tolist() == [0, 2, 0, 1]
    clicks.update(clicks_at(90_000, watermark_ms=90_000), np.array([0], np.uint8))
    assert clicks.over("time").tolist() == [1, 0, 0, 0]


def test_only_chosen_clicks_are_counted():
    clicks = GroupClicks(4, SIZES)
    chosen = np.array([True, False, True])
    clicks.update(clicks_at(1, 2, 3, watermark_ms=3), np.array([1, 3, 2], np.uint8), chosen)
    assert clicks.over("total").tolist() == [0, 1, 1, 0]


def test_a_click_whose_clock_is_ahead_counts_as_of_now():
    clicks = GroupClicks(2, SIZES)
    clicks.update(clicks_at(10**9, watermark_ms=5), np.array([1], np.uint8))
    assert clicks.over("time").tolist() == [0, 1]


class TestGroupClicksState(StatefulContract):
    make = staticmethod(lambda: GroupClicks(4, SIZES))

    @staticmethod
    def drive(clicks: GroupClicks, step: int) -> object:
        outcomes = random_outcomes(step, n_queries=8)
        clicks.update(outcomes, (outcomes.answer_B % 4).astype(np.uint8))
        return [clicks.over(window) for window in ("total", "events", "time", "faded")]
