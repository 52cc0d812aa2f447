"""Each slice is judged as if its samples were all there are."""

import math
from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss

from evaluators.item_groups import GroupsConfig, ItemGroups
from evaluators.slice_rows import SlicesConfig
from evaluators.slices import SliceJudge
from evaluators.windows import WINDOWS, WindowSizes
from stream.values import Matured, Outcomes
from tests.conformance.evaluator_contract import outcomes_of, random_lists
from tests.conformance.stateful_contract import StatefulContract
from tests.stream_values import make_queries

SIZES = WindowSizes(events=12, time_ms=60_000, fade=0.9)
K = 20
CHAMPION = "champion"
DEVICES = ("tv", "pc", None)
CONFIG = SlicesConfig(history=(1, 3), new_item_clicks=2, context=("device",))


class Judged:
    """A judge and what it rests on, as the evaluator drives them."""

    def __init__(self, config: SlicesConfig = CONFIG) -> None:
        self.groups = ItemGroups(GroupsConfig())
        self.judge = SliceJudge(config, CHAMPION, K, SIZES, self.groups)

    def update(self, outcomes: Outcomes) -> None:
        self.groups.make_room(outcomes.queries.n_items)
        self.judge.update(outcomes)
        self.groups.count(outcomes.answer_B)

    def slices(self) -> dict:
        return self.judge.record()["slices"]

    def state_dict(self) -> dict:
        return {
            "schema_version": 1,
            "groups": self.groups.state_dict(),
            "judge": self.judge.state_dict(),
        }

    def load_state_dict(self, state: dict) -> None:
        self.groups.load_state_dict(state["groups"])
        self.judge.load_state_dict(state["judge"])


def batch(rng: np.random.Generator, seq: int, n_queries: int, n_lists: int) -> Outcomes:
    """Clicks and lists that matured, within the twenty seconds before the watermark."""
    end_ms = 20_000 * (seq + 1)
    lengths = rng.integers(0, 5, n_queries)
    outcomes = outcomes_of(
        seq,
        {CHAMPION: random_lists(rng, n_queries)},
        rng.integers(-1, 8, n_queries).astype(np.int32),
        np.sort(rng.integers(end_ms - 20_000, end_ms, n_queries)),
        end_ms,
        rng.random(n_queries) < 0.8,
    )
    queries = make_queries([[0] * n for n in lengths], n_items=40, k=K)
    queries = replace(queries, ts_B=outcomes.queries.ts_B)
    return replace(
        outcomes,
        queries=queries,
        context_B=contexts(rng, n_queries),
        matured=matured(rng, n_lists, end_ms),
    )


def contexts(rng: np.random.Generator, n: int) -> list[dict | None] | None:
    devices = [DEVICES[i] for i in rng.integers(0, len(DEVICES), n)]
    told = [None if device is None else {"device": device} for device in devices]
    return told if any(told) else None


def matured(rng: np.random.Generator, n_lists: int, end_ms: int) -> Matured:
    length_N = rng.integers(1, 8, n_lists)
    starts = np.concatenate(([0], np.cumsum(length_N))).astype(np.int64)
    probability_S = rng.beta(1, 4, starts[-1])
    probability_S[rng.random(starts[-1]) < 0.1] = np.nan
    positions = [place for n in length_N.tolist() for place in range(1, n + 1)]
    return Matured(
        ts_N=np.sort(rng.integers(end_ms - 20_000, end_ms, n_lists)),
        policy_N=[None] * n_lists,
        starts=starts,
        is_clicked_S=rng.random(starts[-1]) < 0.4,
        probability_of={CHAMPION: probability_S},
        position_S=np.array(positions, np.int32),
        history_N=rng.integers(0, 5, n_lists),
        context_N=contexts(rng, n_lists),
    )


def history_name(length: int) -> str:
    return "history=0" if length < 1 else "history=1-2" if length < 3 else "history=3+"


def place_name(place: int) -> str:
    return f"place={place if place < 4 else '4-5' if place < 6 else '6-10'}"


def names_of(context: dict | None) -> list[str]:
    return [] if context is None else [f"context.device={context['device']}"]


class PlainLog:
    """By slice: clicks as (time, rank), shown items as (time, clicked, probability)."""

    def __init__(self) -> None:
        self.ranks: dict[str, list] = defaultdict(list)
        self.shown: dict[str, list] = defaultdict(list)
        self.predicted: dict[str, list] = defaultdict(list)
        self.popularity = [0] * 40
        self.watermark_ms = 0

    def update(self, outcomes: Outcomes) -> None:
        self.watermark_ms = outcomes.watermark_ms
        told = outcomes.context_B or [None] * len(outcomes.answer_B)
        for b in np.flatnonzero(outcomes.is_sample_B).tolist():
            answer = int(outcomes.answer_B[b])
            top = outcomes.predictions[CHAMPION].top_items_BK[b].tolist()
            rank = 1 + top.index(answer) if answer >= 0 and answer in top else 0
            is_new = answer < 0 or self.popularity[answer] < 2
            length = int(outcomes.queries.contexts.length_C[outcomes.queries.context_of_B[b]])
            names = [history_name(length), "item=new" if is_new else "item=known"]
            for name in names + names_of(told[b]):
                self.ranks[name].append((int(outcomes.queries.ts_B[b]), rank))
        for answer in outcomes.answer_B.tolist():
            if answer >= 0:
                self.popularity[answer] += 1
        lists = outcomes.matured
        told = lists.context_N or [None] * len(lists)
        for n, (start, end) in enumerate(zip(lists.starts, lists.starts[1:], strict=False)):
            for s in range(int(start), int(end)):
                names = [history_name(int(lists.history_N[n])), place_name(s - int(start) + 1)]
                one = (int(lists.ts_N[n]), bool(lists.is_clicked_S[s]))
                probability = float(lists.probability_of[CHAMPION][s])
                for name in names + names_of(told[n]):
                    self.shown[name].append(one)
                    if not math.isnan(probability):
                        self.predicted[name].append((*one, probability))

    def weighed(self, over: str, samples: list) -> list[tuple[float, tuple]]:
        n = len(samples)
        if over == "faded":
            return [(0.9 ** (n - 1 - i), one) for i, one in enumerate(samples)]
        kept = samples[-12:] if over == "events" else samples
        recent = self.watermark_ms // 1000 - 60
        return [(1.0, one) for one in kept if over != "time" or one[0] // 1000 > recent]


def mean(weighed: list[tuple[float, float]]) -> float:
    return sum(weight * value for weight, value in weighed) / sum(weight for weight, _ in weighed)


@given(
    seed=st.integers(0, 2**32 - 1),
    sizes=st.lists(st.tuples(st.integers(0, 20), st.integers(0, 4)), max_size=7),
)
@settings(max_examples=20, deadline=None)
def test_a_slice_is_judged_as_if_its_samples_were_all(seed, sizes):
    rng, judged, log = np.random.default_rng(seed), Judged(), PlainLog()
    for seq, (n_queries, n_lists) in enumerate(sizes):
        outcomes = batch(rng, seq, n_queries, n_lists)
        judged.update(outcomes)
        log.update(outcomes)
    slices = judged.slices()
    assert set(slices) == {*log.ranks, *log.shown}
    for name, figures in slices.items():
        for over in WINDOWS:
            assert_ranking(figures, over, log.weighed(over, log.ranks[name]))
            shown = log.weighed(over, log.shown[name])
            assert (over in figures.get("ctr", {})) == bool(shown)
            if shown:
                assert figures["ctr"][over] == pytest.approx(mean([(w, s[1]) for w, s in shown]))
            predicted = log.weighed(over, log.predicted[name])
            assert (over in figures.get("log_loss", {})) == bool(predicted)
            if predicted:
                loss = log_loss(
                    [one[1] for _, one in predicted],
                    [one[2] for _, one in predicted],
                    sample_weight=[weight for weight, _ in predicted],
                    labels=[False, True],
                )
                assert figures["log_loss"][over] == pytest.approx(loss)
                assert figures["predicted_ctr"][over] == pytest.approx(
                    mean([(weight, one[2]) for weight, one in predicted])
                )


def assert_ranking(figures: dict, over: str, weighed: list) -> None:
    assert (over in figures.get("recall@20", {})) == bool(weighed)
    if weighed:
        for metric, gain in (
            ("recall@20", lambda rank: rank / rank),
            ("mrr@20", lambda rank: 1 / rank),
            ("ndcg@20", lambda rank: 1 / math.log2(rank + 1)),
        ):
            gains = [(weight, gain(rank) if rank else 0.0) for weight, (_, rank) in weighed]
            assert figures[metric][over] == pytest.approx(mean(gains))
        assert figures["recall@20"]["samples"][over] == pytest.approx(sum(w for w, _ in weighed))


def test_lists_of_which_nothing_is_known_are_in_no_slice():
    judged, outcomes = Judged(), batch(np.random.default_rng(0), 0, 0, 3)
    unknown = replace(outcomes.matured, position_S=None, history_N=None, context_N=None)
    judged.update(replace(outcomes, matured=unknown))
    assert judged.slices() == {}


def test_a_champion_that_gives_no_probability_has_the_ctr_alone():
    judged, outcomes = Judged(), batch(np.random.default_rng(0), 0, 0, 3)
    judged.update(replace(outcomes, matured=replace(outcomes.matured, probability_of={})))
    assert {name for figures in judged.slices().values() for name in figures} == {"ctr"}


def test_there_are_no_more_slices_than_stated():
    judged = Judged(SlicesConfig(context=("device",), at_most=3))
    for seq in range(40):
        outcomes = batch(np.random.default_rng(seq), seq, 5, 2)
        told = [{"device": f"d{seq}-{b}"} for b in range(5)]
        judged.update(replace(outcomes, context_B=told))
    named = [name for name in judged.slices() if name.startswith("context.")]
    assert len(named) <= 4
    assert "context.device=other" in named


def test_slices_have_no_figure_of_their_own():
    with pytest.raises(ValueError, match="ctr over time"):
        Judged().judge.reading("ctr", "time")


class TestSlicesState(StatefulContract):
    make = staticmethod(Judged)

    @staticmethod
    def drive(judged: Judged, step: int) -> object:
        judged.update(batch(np.random.default_rng(step), step, 12, 3))
        return judged.slices()
