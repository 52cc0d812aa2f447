"""The figures of lists, against their plain definitions over everything that happened."""

import math
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluators.experience import (
    EXPERIENCE_METRICS,
    MAX_PAIR_DISTANCE,
    PAIR_EVERY,
    ExperienceJudge,
    coverage,
    gini,
    pair_distance,
    share_gap,
)
from evaluators.group_clicks import GroupClicks
from evaluators.item_groups import GroupsConfig, ItemGroups
from evaluators.windows import WINDOWS, WindowSizes
from stream.values import Outcomes
from tests.conformance.evaluator_contract import outcomes_of
from tests.conformance.stateful_contract import StatefulContract
from tests.stream_values import make_changes

SIZES = WindowSizes(events=30, time_ms=60_000, fade=0.9)
K = 4
N_ITEMS = 12
CATEGORIES = ("tea", "cups", "pots", None)
CHAMPION = "champion"
SEEDS = st.integers(0, 2**32 - 1)
FEW = settings(max_examples=25, deadline=None)


@dataclass
class Judged:
    """A judge and what it rests on, as the evaluator drives them; and all that it was told."""

    groups: ItemGroups = field(default_factory=lambda: ItemGroups(GroupsConfig(at_most=2)))
    sizes: WindowSizes = SIZES

    def __post_init__(self) -> None:
        self.clicks = GroupClicks(self.groups.max_groups, self.sizes)
        self.judge = ExperienceJudge(CHAMPION, K, self.sizes, self.groups, self.clicks)

    def update(self, outcomes: Outcomes) -> None:
        self.groups.make_room(outcomes.queries.n_items)
        self.clicks.update(outcomes, self.groups.of(outcomes.answer_B))
        self.judge.update(outcomes)
        self.groups.count(outcomes.answer_B)

    def follow(self, changes) -> None:
        self.groups.follow(changes)
        self.judge.follow(changes)

    def state_dict(self) -> dict:
        return {
            "schema_version": 1,
            "groups": self.groups.state_dict(),
            "clicks": self.clicks.state_dict(),
            "judge": self.judge.state_dict(),
        }

    def load_state_dict(self, state: dict) -> None:
        self.groups.load_state_dict(state["groups"])
        self.clicks.load_state_dict(state["clicks"])
        self.judge.load_state_dict(state["judge"])


def batch_outcomes(rng: np.random.Generator, seq: int, n_queries: int) -> Outcomes:
    """Some lists, a few of them short or empty, within the twenty seconds before the watermark."""
    top_BK = rng.permuted(np.tile(np.arange(N_ITEMS), (n_queries, 1)), axis=1)[:, : K + 1]
    length_B = rng.integers(0, K + 2, n_queries)
    top_BK[np.arange(K + 1) >= length_B[:, None]] = -1
    end_ms = (seq + 1) * 20_000
    outcomes = outcomes_of(
        seq,
        {CHAMPION: top_BK.astype(np.int32)},
        rng.integers(-1, N_ITEMS, n_queries).astype(np.int32),
        np.sort(rng.integers(max(end_ms - 20_000, 0), end_ms + 1, n_queries)),
        end_ms,
        rng.random(n_queries) < 0.9,
    )
    queries = replace(outcomes.queries, n_items=N_ITEMS)
    return replace(outcomes, queries=queries, user_B=rng.integers(0, 4, n_queries))


def batch_changes(rng: np.random.Generator, share_recycled: float):
    recycled = np.flatnonzero(rng.random(N_ITEMS) < share_recycled)
    described = {
        row: {"category": CATEGORIES[rng.integers(0, len(CATEGORIES))]}
        for row in sorted({*recycled.tolist(), *rng.integers(0, N_ITEMS, 2).tolist()})
    }
    return make_changes(N_ITEMS, recycled.tolist(), described=described)


@dataclass
class Listed:
    """One list, as it was when it was judged; items are (row, generation)."""

    number: int
    watermark_ms: int
    user: int
    items: list[tuple[int, int]]
    groups: list[int]
    bits: list[float]


class PlainLog:
    """Everything that happened, and the figures by their definitions."""

    def __init__(self) -> None:
        self.lists: list[Listed] = []
        self.clicks: list[tuple[int, int]] = []  # (time, group)
        self.popularity = [0] * N_ITEMS
        self.generation = [0] * N_ITEMS
        self.category: list[str | None] = [None] * N_ITEMS
        self.names: list[str] = []
        self.watermark_ms = 0

    def group(self, row: int) -> int:
        name = self.category[row] if row >= 0 else None
        return 0 if name is None else 1 + self.names.index(name)

    def update(self, outcomes: Outcomes) -> None:
        self.watermark_ms = outcomes.watermark_ms
        n_clicks = sum(self.popularity)
        tops = outcomes.predictions[CHAMPION].top_items_BK[:, :K].tolist()
        for top, user in zip(tops, outcomes.user_B.tolist(), strict=True):
            rows = [row for row in top if row >= 0]
            if rows:
                bits = [
                    -math.log2((self.popularity[row] + 1) / (n_clicks + N_ITEMS)) for row in rows
                ]
                self.lists.append(
                    Listed(
                        len(self.lists),
                        self.watermark_ms,
                        user,
                        [(row, self.generation[row]) for row in rows],
                        [self.group(row) for row in rows],
                        bits,
                    )
                )
        for row, ts in zip(outcomes.answer_B.tolist(), outcomes.queries.ts_B.tolist(), strict=True):
            self.clicks.append((ts, self.group(row)))
        for row in outcomes.answer_B.tolist():
            if row >= 0:
                self.popularity[row] += 1

    def follow(self, changes) -> None:
        for row in changes.recycled_R.tolist():
            self.popularity[row] = 0
            self.generation[row] += 1
            self.category[row] = None
        for row, told in changes.described.items():
            name = told["category"]
            if name is not None and name not in self.names:
                if len([one for one in self.names if one != "other"]) >= 2:
                    name = "other"
                if name not in self.names:
                    self.names.append(name)
            self.category[row] = name

    def _in_time(self, ts_ms: int) -> bool:
        return ts_ms // 1000 > self.watermark_ms // 1000 - 60

    def weighed(self, over: str) -> list[tuple[float, Listed]]:
        n = len(self.lists)
        if over == "faded":
            return [(SIZES.fade ** (n - 1 - one.number), one) for one in self.lists]
        kept = self.lists if over == "total" else self.lists[-SIZES.events :]
        if over == "time":
            kept = [one for one in kept if self._in_time(one.watermark_ms)]
        return [(1.0, one) for one in kept]

    def weighed_clicks(self, over: str) -> list[tuple[float, int]]:
        n = len(self.clicks)
        if over == "faded":
            return [(SIZES.fade ** (n - 1 - i), group) for i, (_, group) in enumerate(self.clicks)]
        kept = self.clicks[-SIZES.events :] if over == "events" else self.clicks
        return [(1.0, group) for ts, group in kept if over != "time" or self._in_time(ts)]

    def figures(self, over: str) -> dict[str, tuple[float, float]]:
        lists = self.weighed(over)
        samples = sum(weight for weight, _ in lists)
        if not lists:
            return {}
        counts = [0.0] * N_ITEMS
        for weight, one in lists:
            for row, generation in one.items:
                counts[row] += weight * (generation == self.generation[row])
        found = {"coverage": (sum(min(count, 1.0) for count in counts) / N_ITEMS, samples)}
        if any(counts):
            spread = sum(abs(left - right) for left in counts for right in counts)
            found["gini"] = (spread / (2 * N_ITEMS * sum(counts)), samples)
        pairs = [
            (weight, number, left != right)
            for number, (weight, one) in enumerate(lists)
            for place, left in enumerate(one.groups)
            for right in one.groups[:place]
            if left and right
        ]
        if pairs:
            with_pairs = sum(lists[number][0] for number in {number for _, number, _ in pairs})
            differ = sum(weight for weight, _, differs in pairs if differs)
            found["diversity"] = (differ / sum(weight for weight, *_ in pairs), with_pairs)
        surprise = sum(weight * sum(one.bits) for weight, one in lists)
        found["novelty"] = (
            surprise / sum(weight * len(one.bits) for weight, one in lists),
            samples,
        )
        found |= self._personalization(lists) | self._gap(over, lists)
        return found

    def _personalization(self, lists: list[tuple[float, Listed]]) -> dict:
        places = shared = paired = 0.0
        for weight, one in lists:
            distances = min(SIZES.events // 2, MAX_PAIR_DISTANCE)
            other = one.number - int(pair_distance(np.array([one.number]), distances)[0])
            if one.number % PAIR_EVERY or other < 0 or self.lists[other].user == one.user:
                continue
            paired += weight
            places += weight * min(len(one.items), len(self.lists[other].items))
            shared += weight * len({*one.items} & {*self.lists[other].items})
        return {"personalization": (1 - shared / places, paired)} if places else {}

    def _gap(self, over: str, lists: list[tuple[float, Listed]]) -> dict:
        shown, clicked = dict.fromkeys(range(4), 0.0), dict.fromkeys(range(4), 0.0)
        for weight, one in lists:
            for place, group in enumerate(one.groups):
                shown[group] += weight / math.log2(place + 2)
        for weight, group in self.weighed_clicks(over):
            clicked[group] += weight
        all_shown, all_clicked = sum(shown.values()) - shown[0], sum(clicked.values()) - clicked[0]
        if not all_shown or not all_clicked:
            return {}
        gap = sum(
            abs(shown[group] / all_shown - clicked[group] / all_clicked) for group in range(1, 4)
        )
        return {"exposure_gap": (gap / 2, all_clicked)}


@given(seed=SEEDS, sizes=st.lists(st.integers(0, 25), max_size=9), recycled=st.floats(0, 0.3))
@FEW
def test_every_figure_is_what_its_definition_says_of_everything_that_happened(
    seed, sizes, recycled
):
    rng, judged, log = np.random.default_rng(seed), Judged(), PlainLog()
    for seq, n_queries in enumerate(sizes):
        outcomes, changes = batch_outcomes(rng, seq, n_queries), batch_changes(rng, recycled)
        for one in (judged, log):
            one.update(outcomes)
            one.follow(changes)
        for over in WINDOWS:
            expected = log.figures(over)
            for name in EXPERIENCE_METRICS:
                reading = judged.judge.reading(name, over)
                assert (reading is None) == (name not in expected), (name, over)
                if reading is not None:
                    value, samples = expected[name]
                    # Places weigh and bits count in whole 1024ths.
                    assert reading.value == pytest.approx(value, abs=1e-3), (name, over)
                    assert reading.samples == pytest.approx(samples), (name, over)


def test_figures_do_not_depend_on_how_lists_are_cut_into_batches():
    whole = batch_outcomes(np.random.default_rng(5), seq=2, n_queries=80)
    at_once, one_by_one = Judged(), Judged()
    told = {row: {"category": CATEGORIES[row % 3]} for row in range(N_ITEMS)}
    for judged in (at_once, one_by_one):
        judged.follow(make_changes(N_ITEMS, described=told))
    at_once.update(whole)
    for b in range(80):
        one = replace(
            whole,
            queries=replace(whole.queries, ts_B=whole.queries.ts_B[[b]], context_of_B=np.zeros(1)),
            predictions={
                CHAMPION: replace(
                    whole.predictions[CHAMPION],
                    top_items_BK=whole.predictions[CHAMPION].top_items_BK[[b]],
                )
            },
            # How popular an item is moves between batches: without a click nothing moves.
            answer_B=np.array([-1], np.int32),
            user_B=whole.user_B[[b]],
        )
        one_by_one.update(one)
    for name in set(EXPERIENCE_METRICS) - {"exposure_gap"}:
        for over in ("total", "events", "time"):
            assert one_by_one.judge.reading(name, over) == at_once.judge.reading(name, over), name


def test_time_empties_its_window_and_no_other():
    judged = Judged()
    judged.update(batch_outcomes(np.random.default_rng(0), seq=0, n_queries=20))
    judged.update(batch_outcomes(np.random.default_rng(0), seq=99, n_queries=0))
    assert judged.judge.reading("novelty", "time") is None
    assert judged.judge.reading("novelty", "events") is not None


def test_lists_without_an_item_are_no_samples():
    judged = Judged()
    outcomes = batch_outcomes(np.random.default_rng(0), seq=0, n_queries=5)
    empty_BK = np.full((5, K), -1, np.int32)
    predictions = {CHAMPION: replace(outcomes.predictions[CHAMPION], top_items_BK=empty_BK)}
    judged.update(replace(outcomes, predictions=predictions))
    assert judged.judge.metrics() == {}


def test_items_of_no_known_group_are_in_no_figure_about_groups():
    judged = Judged()
    judged.update(batch_outcomes(np.random.default_rng(0), seq=0, n_queries=20))
    assert set(judged.judge.metrics()) == {"coverage", "gini", "novelty", "personalization"}


def test_equal_lists_are_not_personal_and_the_same_user_is_not_compared():
    same_BK = np.tile(np.arange(K, dtype=np.int32), (20, 1))
    outcomes = batch_outcomes(np.random.default_rng(0), seq=0, n_queries=20)
    predictions = {CHAMPION: replace(outcomes.predictions[CHAMPION], top_items_BK=same_BK)}
    others, alone = Judged(), Judged()
    others.update(replace(outcomes, predictions=predictions, user_B=np.arange(20)))
    alone.update(replace(outcomes, predictions=predictions, user_B=np.zeros(20, np.int64)))
    assert others.judge.reading("personalization", "total").value == 0.0
    assert alone.judge.reading("personalization", "total") is None


def test_a_forgotten_user_is_no_longer_in_the_state():
    judged = Judged()
    judged.update(batch_outcomes(np.random.default_rng(0), seq=0, n_queries=20))
    assert 3 in judged.state_dict()["judge"]["user_W"]
    judged.follow(make_changes(N_ITEMS, forgotten=[3]))
    assert 3 not in judged.state_dict()["judge"]["user_W"]


@given(st.lists(st.integers(0, 50), min_size=1, max_size=30).filter(any))
def test_gini_is_the_mean_difference_over_twice_the_mean(counts):
    mean_difference = np.mean([[abs(left - right) for left in counts] for right in counts])
    assert gini(np.array(counts)) == pytest.approx(mean_difference / (2 * np.mean(counts)))


def test_figures_of_nothing_are_absent():
    nothing = np.zeros(0, np.int64)
    assert (coverage(nothing), gini(nothing), share_gap(nothing, nothing)) == (None, None, None)


def test_an_unknown_figure_is_refused():
    judged = Judged()
    judged.update(batch_outcomes(np.random.default_rng(0), seq=0, n_queries=20))
    with pytest.raises(ValueError, match="surprise"):
        judged.judge.reading("surprise", "total")


class TestExperienceState(StatefulContract):
    make = staticmethod(Judged)

    @staticmethod
    def drive(judged: Judged, step: int) -> object:
        rng = np.random.default_rng(step)
        judged.update(batch_outcomes(rng, step, n_queries=20))
        judged.follow(batch_changes(rng, 0.2))
        return judged.judge.metrics()
