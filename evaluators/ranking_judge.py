"""Judges the ranking of champion and shadows, each click before it is learned.

# B queries of a batch, N samples among them, L learners, F figures, R ranks, S shadows
"""

from collections.abc import Sequence

import numpy as np

from evaluators.confidence_sequence import INTERVAL_ALPHA, mean_margin
from evaluators.ranking import (
    RankingConfig,
    compared_names,
    figure_names,
    figure_weights,
    paired_squares,
    ranks_of,
)
from evaluators.windows import WINDOWS, JointRanks, RankWindows, WindowSizes
from stream.values import Float64s, Int64s, Outcomes, Reading, Record, State

_SCHEMA_VERSION = 1


class RankingJudge:
    """Recall, MRR and NDCG of each learner, over four windows, and how they differ.

    Of the champion also precision, F1 and MAP: see `DERIVED_FIGURES`. Memory is fixed when it is
    made: see `RankWindows` and `JointRanks`.

    Parameters
    ----------
    ranking : RankingConfig
        Lengths of list. Every learner must predict lists of at least the longest.
    learners : sequence of str
        Names of the learners judged, the champion's first.
    sizes : WindowSizes
        Of the windows.
    """

    def __init__(self, ranking: RankingConfig, learners: Sequence[str], sizes: WindowSizes) -> None:
        self._learners = list(learners)
        self._k = max(ranking.ks)
        self._weights_FR = figure_weights(ranking.ks)
        self.figures = figure_names(ranking.ks)
        self._compared = compared_names(ranking.ks)
        self.compared_FR = self._weights_FR[: len(self._compared)]
        self._windows = RankWindows((len(learners), self._k + 1), sizes)
        self._joint = JointRanks(len(learners) - 1, self._k + 1)
        self.n_clicks = 0
        self._n_samples = 0
        self._n_not_admitted = 0
        self.last_rank_LN = np.zeros((len(learners), 0), np.int64)

    def update(self, outcomes: Outcomes) -> None:
        """Judge the clicks of a batch, and move the time."""
        is_sample_B = outcomes.is_sample_B
        rank_LN = self.last_rank_LN = self._ranks(outcomes)
        # A click whose clock is ahead of the stream's time counts as of that time.
        ts_N = np.minimum(outcomes.queries.ts_B[is_sample_B], outcomes.watermark_ms)
        self._windows.update(rank_LN, ts_N, outcomes.watermark_ms)
        self._joint.update(rank_LN[0], rank_LN[1:])
        self.n_clicks += len(is_sample_B)
        self._n_samples += rank_LN.shape[1]
        self._n_not_admitted += int(np.count_nonzero(outcomes.answer_B[is_sample_B] < 0))

    def metrics(self) -> tuple[Record, list[Record]]:
        """The champion's figures, and each shadow's with its difference; empty without a sample."""
        value_LF_of, samples_of = self._figures_by_window()
        metrics, *shadows = (
            {
                figure: {
                    **{window: float(value_LF[row, f]) for window, value_LF in value_LF_of.items()},
                    "samples": dict(samples_of),
                }
                for f, figure in enumerate(self._compared if row else self.figures)
                if samples_of
            }
            for row in range(len(self._learners))
        )
        if samples_of and shadows:
            self._add_differences(metrics, shadows)
        return metrics, shadows

    def reading(self, figure: str, over: str) -> Reading | None:
        """One figure of the champion over one window; None without a sample."""
        count_R = self._windows.over(over)[0]
        n_samples = count_R.sum().item()
        if not n_samples:
            return None
        weight_R = self._weights_FR[self.figures.index(figure)]
        return Reading(float((count_R * weight_R).sum() / n_samples), n_samples)

    def lead(self, row: int, figure: str, over: str) -> Reading | None:
        """How far the champion is ahead of the learner in a row, over a window."""
        count_LR = self._windows.over(over)
        n_samples = count_LR[0].sum().item()
        if not n_samples:
            return None
        weight_R = self._weights_FR[self.figures.index(figure)]
        ours, theirs = ((count_LR[learner] * weight_R).sum() for learner in (0, row))
        return Reading(float((ours - theirs) / n_samples), n_samples)

    def leads(self, row: int, figure: str) -> Float64s:
        """The same by sample, of those of the last batch."""
        weight_R = self._weights_FR[self.figures.index(figure)]
        lead_N: Float64s = weight_R[self.last_rank_LN[0]] - weight_R[self.last_rank_LN[row]]
        return lead_N

    def counts(self) -> dict[str, int]:
        """Clicks since start, and what became of them."""
        return {
            "clicks": self.n_clicks,
            "samples": self._n_samples,
            "repeated_seen": self.n_clicks - self._n_samples,
            "not_admitted": self._n_not_admitted,
        }

    def state_dict(self) -> State:
        return {
            "schema_version": _SCHEMA_VERSION,
            "windows": self._windows.state_dict(),
            "joint": self._joint.state_dict(),
            "n_clicks": self.n_clicks,
            "n_samples": self._n_samples,
            "n_not_admitted": self._n_not_admitted,
        }

    def load_state_dict(self, state: State) -> None:
        self._windows.load_state_dict(state["windows"])
        self._joint.load_state_dict(state["joint"])
        self.n_clicks = state["n_clicks"]
        self._n_samples = state["n_samples"]
        self._n_not_admitted = state["n_not_admitted"]

    def _ranks(self, outcomes: Outcomes) -> Int64s:
        """Rank of each sample's answer in each learner's list, shape (L, N)."""
        is_sample_B = outcomes.is_sample_B
        answer_N = outcomes.answer_B[is_sample_B]
        rank_LN = np.zeros((len(self._learners), len(answer_N)), np.int64)
        if not len(answer_N):
            return rank_LN
        for row, learner in enumerate(self._learners):
            top_items_BK = outcomes.predictions[learner].top_items_BK
            if top_items_BK.shape[1] < self._k:
                raise ValueError(
                    f"{learner} predicted lists of {top_items_BK.shape[1]} items, but ranking.ks "
                    f"asks for {self._k}; Queries.k must be at least that"
                )
            rank_LN[row] = ranks_of(top_items_BK[is_sample_B, : self._k], answer_N)
        return rank_LN

    def _figures_by_window(self) -> tuple[dict[str, Float64s], dict[str, int | float]]:
        """Figures, shape (L, F), and number of samples, of each window that has any."""
        value_LF_of: dict[str, Float64s] = {}
        samples_of: dict[str, int | float] = {}
        for window in WINDOWS:
            count_LR = self._windows.over(window)
            n_samples = count_LR[0].sum().item()
            if n_samples:
                value_LF_of[window] = (count_LR[:, None] * self._weights_FR).sum(axis=2) / n_samples
                samples_of[window] = n_samples
        return value_LF_of, samples_of

    def _add_differences(self, metrics: Record, shadows: Sequence[Record]) -> None:
        squares_X = [
            paired_squares(joint_RR, self.compared_FR) for joint_RR in self._joint.counts_SRR
        ]
        margin_X = mean_margin(self._n_samples, np.concatenate(squares_X), INTERVAL_ALPHA)
        margin_SF = margin_X.reshape(len(shadows), len(self._compared)).tolist()
        for shadow, margin_F in zip(shadows, margin_SF, strict=True):
            for figure, margin in zip(self._compared, margin_F, strict=True):
                difference = metrics[figure]["total"] - shadow[figure]["total"]
                shadow[figure]["difference"] = difference
                # No figure leaves [0, 1], so no difference leaves [-1, 1].
                low, high = max(difference - margin, -1.0), min(difference + margin, 1.0)
                shadow[figure]["interval"] = [low, high]
