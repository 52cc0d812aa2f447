from dataclasses import replace

import numpy as np
import pytest

from evaluators.click_figures import log_losses
from evaluators.paired_judge import LOG_LOSS, Answered, PairedJudge
from evaluators.ranking import RankingConfig, figure_weights, ranks_of
from evaluators.ranking_judge import RankingJudge
from evaluators.user_bootstrap import BootstrapConfig, UserBootstrap
from evaluators.windows import WindowSizes
from stream.values import Matured
from tests.conformance.evaluator_contract import LEARNERS, random_outcomes

KS = (1, 10, 20)
CHAMPION, SHADOW = LEARNERS


def judged(pairs, n_seeds=1):
    judge = PairedJudge(KS, n_seeds)
    for n, (ones, others) in enumerate(pairs):
        judge.update(ones, others, at=(100 * (n + 1), 1000 * n))
    return judge


def lists(probability_S, is_clicked_S, learner=CHAMPION):
    n = len(is_clicked_S)
    return Matured(
        np.zeros(1, np.int64),
        [None],
        np.array([0, n]),
        np.array(is_clicked_S),
        {} if probability_S is None else {learner: np.array(probability_S)},
    )


def with_lists(probability_S, is_clicked_S):
    return Answered(
        replace(random_outcomes(0), matured=lists(probability_S, is_clicked_S)), CHAMPION
    )


def test_differences_and_intervals_are_those_that_a_shadow_is_told_with():
    stream = [random_outcomes(step) for step in range(12)]
    judge = judged([([Answered(one, SHADOW)], [Answered(one, CHAMPION)]) for one in stream])
    reference = RankingJudge(RankingConfig(ks=KS), LEARNERS, WindowSizes(100, 60_000, 0.99))
    for outcomes in stream:
        reference.update(outcomes)
    champion, (shadow,) = reference.metrics()
    figures = judge.figures()
    for name in judge.ranking_names:
        assert figures[name].samples == shadow[name]["samples"]["total"]
        assert figures[name].other == pytest.approx(champion[name]["total"])
        assert figures[name].one == pytest.approx(shadow[name]["total"])
        assert figures[name].difference == pytest.approx(shadow[name]["difference"])
        assert list(figures[name].interval) == pytest.approx(shadow[name]["interval"])


def test_a_configuration_differs_from_itself_by_exactly_nothing():
    stream = [[Answered(random_outcomes(step), CHAMPION)] * 3 for step in range(12)]
    judge = judged([(ones, ones) for ones in stream], n_seeds=3)
    for figure in judge.figures().values():
        assert (figure.difference, figure.needed, figure.is_sure) == (0.0, None, False)
        assert figure.one == figure.other
        assert [difference for difference, _ in figure.by_seed] == [0.0] * 3


def test_with_seeds_a_sample_counts_by_its_mean_over_them():
    stream = [random_outcomes(step) for step in range(8)]
    judge = judged(
        [
            (
                [Answered(o, SHADOW), Answered(o, SHADOW)],
                [Answered(o, CHAMPION), Answered(o, SHADOW)],
            )
            for o in stream
        ],
        n_seeds=2,
    )
    figure = judge.figures()["recall@20"]
    first, second = figure.by_seed
    assert second[0] == 0.0
    assert figure.difference == pytest.approx(first[0] / 2)
    narrow, wide = (high - low for low, high in (figure.interval, first[1]))
    assert narrow < wide


def test_only_samples_of_both_are_judged_and_the_others_counted():
    outcomes = random_outcomes(3)
    n_samples = int(np.count_nonzero(outcomes.is_sample_B))
    fewer_B = outcomes.is_sample_B.copy()
    fewer_B[np.flatnonzero(fewer_B)[:2]] = False
    fewer = replace(outcomes, is_sample_B=fewer_B)
    judge = judged([([Answered(outcomes, CHAMPION)], [Answered(fewer, CHAMPION)])])
    assert judge.figures()["recall@20"].samples == n_samples - 2
    assert judge.n_unpaired == 2


def test_the_log_loss_is_paired_by_shown_item():
    clicked = [True, False, False]
    judge = judged(
        [([with_lists([0.5, 0.5, 0.1], clicked)], [with_lists([0.9, 0.2, 0.1], clicked)])]
    )
    figure = judge.figures()[LOG_LOSS]
    a = log_losses(np.array([0.5, 0.5, 0.1]), np.array(clicked))
    b = log_losses(np.array([0.9, 0.2, 0.1]), np.array(clicked))
    assert figure.samples == 3
    assert (figure.one, figure.other) == pytest.approx((a.mean(), b.mean()))
    assert figure.difference == pytest.approx((b - a).mean())


@pytest.mark.parametrize("bad", [0.0, 1.0, float("nan"), float("inf")])
def test_a_probability_that_is_none_is_left_out_of_both(bad):
    clicked = [True, False]
    judge = judged([([with_lists([0.5, bad], clicked)], [with_lists([0.4, 0.3], clicked)])])
    assert judge.figures()[LOG_LOSS].samples == 1
    assert judge.n_unpaired == 1


def test_without_probabilities_of_both_there_is_no_log_loss():
    judge = judged([([with_lists([0.5], [True])], [with_lists(None, [True])])])
    assert LOG_LOSS not in judge.figures()
    assert LOG_LOSS not in judge.stretches()


def test_lists_that_are_not_the_same_are_counted_and_not_paired():
    judge = judged([([with_lists([0.5], [True])], [with_lists([0.5, 0.5], [True, False])])])
    assert LOG_LOSS not in judge.figures()
    assert judge.n_unpaired == 1


def test_other_users_have_an_interval_of_their_own_where_there_are_enough():
    stream = [
        replace(one, user_B=np.arange(len(one.user_B), dtype=np.int64) * 2_654_435_761 % 997)
        for one in map(random_outcomes, range(12))
    ]
    judge = judged([([Answered(one, SHADOW)], [Answered(one, CHAMPION)]) for one in stream])
    bootstrap = UserBootstrap(BootstrapConfig(), 2, figure_weights(KS)[:9])
    for one in stream:
        kept_B = one.is_sample_B
        ranks = [
            ranks_of(one.predictions[name].top_items_BK[kept_B, :20], one.answer_B[kept_B])
            for name in LEARNERS
        ]
        bootstrap.update(np.stack(ranks), one.user_B[kept_B])
    expected = bootstrap.intervals(0.05)[0].tolist()
    assert [list(ends) for ends in judge.by_user().values()] == expected
    few = [([Answered(one, SHADOW)], [Answered(one, CHAMPION)]) for one in [random_outcomes(1)]]
    assert judged(few).by_user() == {}


def test_nothing_judged_is_no_figure():
    assert judged([]).figures() == {}
