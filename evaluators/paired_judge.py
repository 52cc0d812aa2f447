"""Judges two configurations on the same clicks and shown items, side by side.

# B queries of a batch, N of them judged, M shown items judged, F figures, S seeds, T stretches
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from evaluators.click_figures import log_losses
from evaluators.confidence_sequence import INTERVAL_ALPHA
from evaluators.paired_metrics import largest_lead
from evaluators.paired_queries import common_rows
from evaluators.ranking import compared_names, figure_weights, ranks_of
from evaluators.stretches import PairedSums, Stretches
from evaluators.user_bootstrap import BootstrapConfig, UserBootstrap
from evaluators.verdicts import difference_margin, samples_for_verdict
from stream.values import Float64s, Outcomes

LOG_LOSS = "log_loss"
LOWER_IS_BETTER = frozenset({LOG_LOSS})


class Answered(NamedTuple):
    """The outcomes of one pipeline, and whose predictions in them are judged."""

    outcomes: Outcomes
    learner: str


@dataclass(frozen=True, slots=True)
class PairedFigure:
    """One figure of both since start; `difference` is the other's less the one's.

    `mean_square` is that of the differences of the samples, none of which exceeds `largest`.
    `interval` is where the difference lies at 95 %, at all times at once. `by_seed` holds the
    same difference and interval for each seed.
    """

    samples: int
    one: float
    other: float
    difference: float
    mean_square: float
    largest: float
    interval: tuple[float, float]
    by_seed: list[tuple[float, tuple[float, float]]]

    @property
    def is_sure(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.interval[0] > 0 or self.interval[1] < 0

    @property
    def needed(self) -> int | None:
        """After how many samples the interval would leave out 0; None where none would do."""
        return samples_for_verdict(self.difference, self.mean_square, self.largest)


class PairedJudge:
    """Ranking figures and log loss of two configurations, paired by click and by shown item.

    With several seeds a configuration's figure on a sample is the mean over its seeds, so that
    the interval speaks of the setting and not of one draw; each seed's own difference is kept,
    too. Samples that one side alone judges are counted and left out. Memory does not grow.

    Parameters
    ----------
    ks : tuple of int
        Lengths of list of both.
    n_seeds : int
        Pipelines on each side, at least 1.
    """

    def __init__(self, ks: tuple[int, ...], n_seeds: int) -> None:
        self._k = max(ks)
        self.ranking_names = compared_names(ks)
        self._weights_FR = figure_weights(ks)[: len(self.ranking_names)]
        self._ranking = _Pair(len(self.ranking_names), n_seeds)
        self._clicks = _Pair(1, n_seeds, largest_lead(LOG_LOSS))
        self._users = UserBootstrap(BootstrapConfig(), 2, self._weights_FR)
        self.n_unpaired = 0

    def update(
        self, ones: Sequence[Answered], others: Sequence[Answered], at: tuple[int, int]
    ) -> None:
        """Judge a batch that all pipelines have taken; `at` as in `Stretches.add`."""
        everyone = [*ones, *others]
        self._judge_ranking(everyone, at)
        self._judge_clicks(everyone, at)

    def figures(self) -> dict[str, PairedFigure]:
        """Every figure that has a sample."""
        return {**self._ranking.figures(self.ranking_names), **self._clicks.figures([LOG_LOSS])}

    def by_user(self) -> dict[str, tuple[float, float]]:
        """Where each ranking figure's difference lies for other users of the same kind.

        At 95 % and at one look; see `UserBootstrap`. Empty with too few users.
        """
        end_SF2 = self._users.intervals(INTERVAL_ALPHA)
        if end_SF2 is None:
            return {}
        ends = zip(self.ranking_names, end_SF2[0].tolist(), strict=True)
        return {name: (low, high) for name, (low, high) in ends}

    def stretches(self) -> dict[str, tuple[PairedSums, int]]:
        """By figure: the sums of its kind, and its column in them."""
        ranking, clicks = self._ranking.stretches.sums(), self._clicks.stretches.sums()
        found = {name: (ranking, column) for column, name in enumerate(self.ranking_names)}
        found[LOG_LOSS] = (clicks, 0)
        return {name: pair for name, pair in found.items() if len(pair[0].samples_T)}

    def _judge_ranking(self, everyone: Sequence[Answered], at: tuple[int, int]) -> None:
        outcomes = [answered.outcomes for answered in everyone]
        rows, n_unpaired = common_rows(outcomes)
        is_sample_N = np.all(
            [one.is_sample_B[row_N] for one, row_N in zip(outcomes, rows, strict=True)], axis=0
        )
        is_any_N = np.any(
            [one.is_sample_B[row_N] for one, row_N in zip(outcomes, rows, strict=True)], axis=0
        )
        self.n_unpaired += n_unpaired + int(np.count_nonzero(is_any_N & ~is_sample_N))
        ranks = []
        for (one, learner), row_N in zip(everyone, rows, strict=True):
            kept_N = row_N[is_sample_N]
            top_items_NK = one.predictions[learner].top_items_BK[kept_N, : self._k]
            ranks.append(ranks_of(top_items_NK, one.answer_B[kept_N]))
        self._ranking.add([self._weights_FR[:, rank_N] for rank_N in ranks], at)
        user_N = outcomes[0].user_B[rows[0][is_sample_N]]
        half = len(ranks) // 2
        for rank_N, other_rank_N in zip(ranks[:half], ranks[half:], strict=True):
            self._users.update(np.stack((other_rank_N, rank_N)), user_N)

    def _judge_clicks(self, everyone: Sequence[Answered], at: tuple[int, int]) -> None:
        lists = [answered.outcomes.matured for answered in everyone]
        told = [one.outcomes.matured.probability_of.get(one.learner) for one in everyone]
        first = lists[0]
        if not len(first) or any(probability_S is None for probability_S in told):
            return
        if any(not np.array_equal(one.starts, first.starts) for one in lists[1:]):
            self.n_unpaired += len(first.is_clicked_S)
            return
        probability_XS = np.array(told)
        is_valid_S = ((probability_XS > 0) & (probability_XS < 1)).all(axis=0)
        self.n_unpaired += int(np.count_nonzero(~is_valid_S))
        is_clicked_M = first.is_clicked_S[is_valid_S]
        losses = [log_losses(row_S[is_valid_S], is_clicked_M)[None] for row_S in probability_XS]
        self._clicks.add(losses, at)


class _Pair:
    """The sums of figures of one kind, of both configurations."""

    def __init__(self, n_figures: int, n_seeds: int, largest: float = 1.0) -> None:
        self.stretches = Stretches(n_figures, largest)
        self._largest = largest
        self._n_seeds = n_seeds
        self._difference_SF = np.zeros((n_seeds, n_figures))
        self._square_SF = np.zeros((n_seeds, n_figures))

    def add(self, values: Sequence[Float64s], at: tuple[int, int]) -> None:
        """Values of every pipeline on the same samples, shape (F, N), the one's before the other's.

        Both in order of their seeds.
        """
        one_SFN, other_SFN = np.array(values).reshape(2, self._n_seeds, *values[0].shape)
        difference_SFN = np.clip(other_SFN - one_SFN, -self._largest, self._largest)
        self._difference_SF += difference_SFN.sum(axis=2)
        self._square_SF += (difference_SFN**2).sum(axis=2)
        self.stretches.add(one_SFN.mean(axis=0), other_SFN.mean(axis=0), at)

    def figures(self, names: Sequence[str]) -> dict[str, PairedFigure]:
        """Each figure since start; none without a sample."""
        sums = self.stretches.sums()
        n_samples = int(sums.samples_T.sum())
        if not n_samples:
            return {}
        whole = sums.joined(np.zeros(1, np.int64))
        square_XF = np.concatenate((whole.square_TF, self._square_SF))
        difference_XF = np.concatenate((whole.difference_TF, self._difference_SF)) / n_samples
        margin_X = difference_margin(n_samples, square_XF.reshape(-1), self._largest)
        margin_XF = margin_X.reshape(square_XF.shape)
        told = np.stack((difference_XF, difference_XF - margin_XF, difference_XF + margin_XF))
        return {
            name: PairedFigure(
                samples=n_samples,
                one=float(whole.one_TF[0, column]) / n_samples,
                other=float(whole.other_TF[0, column]) / n_samples,
                difference=float(difference_XF[0, column]),
                mean_square=float(whole.square_TF[0, column]) / n_samples,
                largest=self._largest,
                interval=(float(told[1, 0, column]), float(told[2, 0, column])),
                by_seed=[
                    (difference, (low, high))
                    for difference, low, high in told[:, 1:, column].T.tolist()
                ],
            )
            for column, name in enumerate(names)
        }
