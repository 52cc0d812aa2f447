import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluators.confidence_sequence import INTERVAL_ALPHA, mean_margin
from evaluators.ranking import RankingConfig, compared_names, figure_names
from evaluators.ranking_judge import RankingJudge
from evaluators.windows import WINDOWS, WindowSizes
from stream.values import Outcomes, Reading, Record
from tests.conformance.evaluator_contract import LEARNERS, outcomes_of, random_lists
from tests.conformance.stateful_contract import StatefulContract
from tests.evaluators.test_ranking import brute_force

KS = (1, 10, 20)
SIZES = WindowSizes(events=150, time_ms=120_000, fade=0.99)
BASE_MS = 1_700_000_000_000


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


def judged(stream: Stream, cuts: list[int]) -> RankingJudge:
    judge = RankingJudge(RankingConfig(ks=KS), LEARNERS, SIZES)
    ends = np.cumsum([0, *cuts]).tolist()
    for seq, (start, end) in enumerate(itertools.pairwise(ends)):
        judge.update(stream.part(seq, start, end))
    return judge


@given(seed=st.integers(0, 2**32 - 1), cuts=st.lists(st.integers(0, 90), min_size=1, max_size=6))
@settings(deadline=None, max_examples=50)
def test_figures_do_not_depend_on_how_the_samples_are_cut_into_batches(seed, cuts):
    stream = Stream(seed, sum(cuts))
    cut, whole = judged(stream, cuts), judged(stream, [sum(cuts)])
    assert without_faded(cut) == without_faded(whole)
    for figure, values in whole.metrics()[0].items():
        assert cut.metrics()[0][figure]["faded"] == pytest.approx(values["faded"], abs=1e-9)


def without_faded(judge: RankingJudge) -> list[Record]:
    """The figures less what may round differently."""
    champion, shadows = judge.metrics()
    for figures in (champion, *shadows):
        for values in figures.values():
            del values["faded"], values["samples"]["faded"]
    return [champion, *shadows]


@given(seed=st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=20)
def test_total_and_events_equal_a_loop_over_the_samples(seed):
    stream = Stream(seed, n_queries=300)
    champion, (shadow,) = judged(stream, [120, 120, 60]).metrics()
    answers = stream.answer_B[stream.is_sample_B].tolist()
    for learner, figures in zip(LEARNERS, (champion, shadow), strict=True):
        lists = stream.top_items[learner][stream.is_sample_B].tolist()
        total = brute_force(lists, answers, KS)
        events = brute_force(lists[-150:], answers[-150:], KS)
        names = figure_names(KS) if learner == LEARNERS[0] else compared_names(KS)
        assert list(figures) == names
        for name in names:
            assert figures[name]["total"] == pytest.approx(total[name])
            assert figures[name]["events"] == pytest.approx(events[name])


@given(seed=st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=20)
def test_a_difference_and_its_interval_equal_those_of_the_raw_differences(seed):
    stream = Stream(seed, n_queries=200)
    _, (shadow,) = judged(stream, [100, 100]).metrics()
    answers = stream.answer_B[stream.is_sample_B].tolist()
    ours_N, theirs_N = (stream.top_items[name][stream.is_sample_B].tolist() for name in LEARNERS)
    for figure, values in shadow.items():
        differences = [
            brute_force([ours], [answer], KS)[figure] - brute_force([theirs], [answer], KS)[figure]
            for ours, theirs, answer in zip(ours_N, theirs_N, answers, strict=True)
        ]
        square_sum = np.square(differences).sum()
        margin = mean_margin(len(differences), np.array([square_sum]), INTERVAL_ALPHA).item()
        interval = np.mean(differences) - margin, np.mean(differences) + margin
        assert values["difference"] == pytest.approx(np.mean(differences), abs=1e-12)
        assert values["interval"] == pytest.approx(np.clip(interval, -1, 1).tolist(), abs=1e-9)


def test_a_reading_is_one_figure_of_the_champion():
    judge = judged(Stream(seed=5, n_queries=300), [200, 100])
    champion, _ = judge.metrics()
    for figure, values in champion.items():
        for window in WINDOWS:
            reading = judge.reading(figure, window)
            assert reading == Reading(values[window], values["samples"][window])


@given(seed=st.integers(0, 2**32 - 1), cut=st.integers(1, 99))
@settings(deadline=None, max_examples=20)
def test_leads_are_those_of_the_last_batch_sample_by_sample(seed, cut):
    stream = Stream(seed, n_queries=100)
    judge = judged(stream, [cut, 100 - cut])
    is_sample_B = stream.is_sample_B[cut:]
    answers = stream.answer_B[cut:][is_sample_B].tolist()
    ours_N, theirs_N = (stream.top_items[name][cut:][is_sample_B].tolist() for name in LEARNERS)
    for figure in compared_names(KS):
        expected = [
            brute_force([ours], [answer], KS)[figure] - brute_force([theirs], [answer], KS)[figure]
            for ours, theirs, answer in zip(ours_N, theirs_N, answers, strict=True)
        ]
        assert judge.leads(1, figure) == pytest.approx(expected)


def test_a_lead_is_the_champions_figure_less_the_shadows_over_the_same_window():
    judge = judged(Stream(seed=5, n_queries=300), [200, 100])
    champion, (shadow,) = judge.metrics()
    for figure, values in shadow.items():
        for window in WINDOWS:
            lead = judge.lead(1, figure, window)
            assert lead is not None
            ahead = champion[figure][window] - values[window]
            assert lead.value == pytest.approx(ahead, abs=1e-12)
            assert lead.samples == values["samples"][window]


def test_without_a_sample_nobody_is_ahead():
    judge = RankingJudge(RankingConfig(ks=KS), LEARNERS, SIZES)
    assert judge.lead(1, "recall@20", "total") is None
    assert len(judge.leads(1, "recall@20")) == 0


class TestRankingJudgeState(StatefulContract):
    @staticmethod
    def make() -> RankingJudge:
        return RankingJudge(RankingConfig(ks=KS), LEARNERS, SIZES)

    @staticmethod
    def drive(judge: RankingJudge, step: int) -> list[object]:
        judge.update(Stream(seed=step, n_queries=60).part(step, 0, 60))
        return [judge.metrics(), judge.counts()]
