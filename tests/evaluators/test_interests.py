from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon

from evaluators.group_clicks import GroupClicks
from evaluators.interests import MAX_MOVERS, InterestsConfig, InterestsJudge, jensen_shannon
from evaluators.item_groups import GroupsConfig, ItemGroups
from evaluators.windows import WindowSizes
from stream.values import Outcomes
from tests.conformance.evaluator_contract import random_outcomes
from tests.conformance.stateful_contract import StatefulContract
from tests.stream_values import make_changes, make_queries

SIZES = WindowSizes(events=10, time_ms=60_000, fade=0.9)
COUNTS = st.lists(st.integers(0, 40), min_size=5, max_size=5).map(np.array)
# Row 3 is of no group.
CATEGORIES = ["tea", "cups", "pots"]


class Judged:
    """A judge and what it rests on, as the evaluator drives them."""

    def __init__(self, n_groups: int = 3, cohorts=(1, 3), sizes: WindowSizes = SIZES) -> None:
        self.groups = ItemGroups(GroupsConfig())
        names = CATEGORIES if n_groups == 3 else [f"g{row}" for row in range(n_groups)]
        described = {row: {"category": name} for row, name in enumerate(names)}
        self.groups.follow(make_changes(n_groups + 1, described=described))
        self.clicks = GroupClicks(self.groups.max_groups, sizes)
        config = InterestsConfig(cohorts=cohorts)
        self.judge = InterestsJudge(config, sizes, self.groups, self.clicks)

    def click(self, *rows: int, ts_ms: int = 0, history: int = 0) -> None:
        self.update(clicks_on(rows, ts_ms, [history] * len(rows)))

    def update(self, outcomes: Outcomes) -> None:
        self.clicks.update(outcomes, self.groups.of(outcomes.answer_B))
        self.judge.update(outcomes)

    def state_dict(self) -> dict:
        return {
            "schema_version": 1,
            "clicks": self.clicks.state_dict(),
            "judge": self.judge.state_dict(),
        }

    def load_state_dict(self, state: dict) -> None:
        self.clicks.load_state_dict(state["clicks"])
        self.judge.load_state_dict(state["judge"])


def clicks_on(rows, ts_ms: int, histories: list[int]) -> Outcomes:
    outcomes = random_outcomes(0, n_queries=len(rows), watermark_ms=ts_ms)
    queries = make_queries([[0] * length for length in histories], n_items=4)
    queries = replace(queries, ts_B=np.full(len(rows), ts_ms, np.int64))
    return replace(outcomes, queries=queries, answer_B=np.array(rows, np.int32))


@given(COUNTS, COUNTS)
@settings(deadline=None)
def test_the_distance_is_scipys(left, right):
    distance = jensen_shannon(left, right)
    assert (distance is None) == (not left.any() or not right.any())
    if distance is not None:
        assert distance == pytest.approx(jensenshannon(left, right, base=2), abs=1e-7)


@given(
    rows=st.lists(st.tuples(st.integers(-1, 3), st.integers(0, 40)), max_size=60),
    cuts=st.integers(1, 9),
)
@settings(max_examples=40, deadline=None)
def test_a_window_is_held_against_what_was_before_it(rows, cuts):
    judged, log, now_ms = Judged(cohorts=()), [], 0
    for start in range(0, len(rows), cuts):
        part = rows[start : start + cuts]
        now_ms += 1000 * sum(seconds for _, seconds in part)
        judged.click(*(row for row, _ in part), ts_ms=now_ms)
        log += [(row, now_ms) for row, _ in part]
    is_recent = {
        "events": [place >= len(log) - 10 for place in range(len(log))],
        "time": [ts // 1000 > now_ms // 1000 - 60 for _, ts in log],
    }
    for over, is_in in is_recent.items():
        mixes = np.zeros((2, 3))
        for (row, _), recent in zip(log, is_in, strict=True):
            if 0 <= row < 3:
                mixes[int(recent), row] += 1
        reading = judged.judge.reading("interest_shift", over)
        assert (reading is None) == (not mixes.any(axis=1).all())
        if reading is not None:
            assert reading.value == pytest.approx(jensenshannon(*mixes, base=2), abs=1e-7)
            assert reading.samples == mixes[1].sum()


def test_what_fades_is_held_against_everything():
    judged = Judged()
    judged.click(0, 1)
    faded, total = [0.9, 1.0, 0.0], [1, 1, 0]
    reading = judged.judge.reading("interest_shift", "faded")
    assert reading.value == pytest.approx(jensenshannon(faded, total, base=2))
    assert reading.samples == pytest.approx(1.9)
    assert judged.judge.reading("interest_shift", "total") is None


def test_a_shift_within_one_cohort_is_seen_there_alone():
    judged = Judged(sizes=replace(SIZES, events=100))
    for _ in range(100):
        judged.click(0, 1, history=0)
        judged.click(0, 1, history=2)
    for _ in range(100):
        judged.click(2, history=0)
        judged.click(0, 1, history=2)
    cohorts = judged.judge.record()["interests"]["cohorts"]
    assert list(cohorts) == ["0", "1-2"]
    assert cohorts["0"]["interest_shift"]["events"] > 0.5
    assert cohorts["1-2"]["interest_shift"]["events"] == 0.0


def test_a_cohort_of_few_clicks_is_not_told_of():
    judged = Judged()
    judged.click(*[0] * 50, history=0)
    judged.click(*[1] * 50, history=0)
    assert judged.judge.reading("interest_shift", "events") is not None
    assert judged.judge.record()["interests"]["cohorts"] == {}


def test_groups_that_rise_and_fall_are_named():
    judged = Judged()
    judged.click(*[0] * 5, *[1] * 5)
    judged.click(*[2] * 6, *[0] * 4)
    interests = judged.judge.record()["interests"]
    assert interests["rising"] == [{"group": "pots", "recent": 0.6, "past": 0.0}]
    assert interests["falling"] == [
        {"group": "cups", "recent": 0.0, "past": 0.5},
        {"group": "tea", "recent": 0.4, "past": 0.5},
    ]


def test_of_many_groups_those_that_moved_most_are_named():
    judged = Judged(n_groups=40)
    judged.click(*range(20))
    judged.click(*range(20, 24), *range(20, 26))
    interests = judged.judge.record()["interests"]
    assert len(interests["rising"]) == 6
    assert len(interests["falling"]) == MAX_MOVERS
    assert interests["rising"][0]["recent"] == 0.2


def test_without_a_past_nothing_moves():
    judged = Judged()
    judged.click(0, 1, 2)
    record = judged.judge.record()
    assert "events" not in record["metrics"]["interest_shift"]
    assert record["interests"]["rising"] == []


def test_clicks_on_items_of_no_group_are_left_out():
    judged = Judged()
    judged.click(3, -1)
    assert judged.judge.record()["metrics"] == {}


def test_an_unknown_figure_is_refused():
    with pytest.raises(ValueError, match="taste"):
        Judged().judge.reading("taste", "events")


class TestInterestsState(StatefulContract):
    make = staticmethod(Judged)

    @staticmethod
    def drive(judged: Judged, step: int) -> object:
        rng = np.random.default_rng(step)
        rows, histories = rng.integers(-1, 4, 8), rng.integers(0, 5, 8).tolist()
        judged.update(clicks_on(rows.tolist(), 20_000 * step, histories))
        return judged.judge.record()
