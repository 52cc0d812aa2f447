"""Ranking figures of champion and shadows, each click judged before it is learned.

# B queries of a batch, N samples among them, L learners, F figures, R ranks, S shadows
"""

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from evaluators.confidence import mean_interval
from evaluators.ranking import (
    RankingConfig,
    figure_names,
    figure_weights,
    paired_variance,
    ranks_of,
)
from evaluators.windows import JointRanks, RankWindows
from stream.durations import DurationMs
from stream.errors import CheckpointError
from stream.values import Float64s, Int64s, Outcomes, Record, State

# 95 %: the interval of a difference leaves out the truth in at most one stream of twenty.
INTERVAL_ALPHA = 0.05
# Narrowest where a small stream has told enough to act on; with 100 times as many samples it is
# a sixth wider than one tuned for those.
INTERVAL_TUNED_SAMPLES = 10_000

_SCHEMA_VERSION = 1


class EvaluatorConfig(BaseModel):
    """Over what the figures are taken, and how often they are written.

    Attributes
    ----------
    window_events : int
        Samples in the window `events`; each takes a byte for each learner.
    window_time : duration
        Event time in the window `time`, kept in 60 buckets; at least a second.
    fade : float
        Weight that the window `faded` keeps per sample; 0.9999 halves a sample in 6,931.
    emit_events : int
        Clicks between two records.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    window_events: Annotated[int, Field(ge=1, le=10_000_000)] = 10_000
    window_time: Annotated[DurationMs, Field(ge=1_000)] = 3_600_000
    fade: Annotated[float, Field(gt=0.0, le=1.0)] = 0.9999
    emit_events: PositiveInt = 1000


class PrequentialEvaluator:
    """Recall, MRR and NDCG of each learner, over four windows, and how they differ.

    A record holds, for each figure, its value over each window and the samples behind it; a
    window without a sample is left out. For each shadow it also holds `difference`, the
    champion's figure less the shadow's on the same samples since start, and `interval`, where
    that difference lies with 95 % confidence at all times at once (each interval for itself). A
    record is written by the first batch after which another `emit_events` clicks were judged.

    Memory is fixed when it is made: see `RankWindows` and `JointRanks`. With the default
    settings it is 20 KiB for the champion and 24 KiB for each shadow.

    Parameters
    ----------
    config : EvaluatorConfig
        Windows and rhythm.
    ranking : RankingConfig
        Lengths of list. Every learner must predict lists of at least the longest.
    learners : sequence of str
        Names of the learners judged, the champion's first.

    Raises
    ------
    ValueError
        If there is no learner, or a name comes twice.
    """

    def __init__(
        self, config: EvaluatorConfig, ranking: RankingConfig, learners: Sequence[str]
    ) -> None:
        if not learners or len(set(learners)) != len(learners):
            raise ValueError(f"expected learners with different names, got {list(learners)}")
        self._learners = list(learners)
        self._k = max(ranking.ks)
        self._figures = figure_names(ranking.ks)
        self._weights_FR = figure_weights(ranking.ks)
        self._emit_events = config.emit_events
        # Counts made under other settings mean something else and must not be gone on with.
        self._settings: State = {
            "learners": self._learners,
            "ks": list(ranking.ks),
            "exclude_seen": ranking.exclude_seen,
            "window_events": config.window_events,
            "window_time_ms": config.window_time,
            "fade": config.fade,
        }
        self._windows = RankWindows(
            (len(learners), self._k + 1), config.window_events, config.window_time, config.fade
        )
        self._joint = JointRanks(len(learners) - 1, self._k + 1)
        self._seq = -1
        self._watermark_ms = 0
        self._n_clicks = 0
        self._n_samples = 0
        self._n_not_admitted = 0

    def update(self, outcomes: Outcomes) -> list[Record]:
        is_sample_B = outcomes.is_sample_B
        rank_LN = self._ranks(outcomes)
        self._windows.update(rank_LN, outcomes.queries.ts_B[is_sample_B], outcomes.watermark_ms)
        self._joint.update(rank_LN[0], rank_LN[1:])
        self._seq = outcomes.seq
        self._watermark_ms = outcomes.watermark_ms
        n_clicks_before = self._n_clicks
        self._n_clicks += len(is_sample_B)
        self._n_samples += rank_LN.shape[1]
        self._n_not_admitted += int(np.count_nonzero(outcomes.answer_B[is_sample_B] < 0))
        is_due = self._n_clicks // self._emit_events > n_clicks_before // self._emit_events
        return [self.metrics()] if is_due else []

    def metrics(self) -> Record:
        value_LF_of, samples_of = self._figures_by_window()
        metrics, *shadows = (
            {
                figure: {
                    **{window: float(value_LF[row, f]) for window, value_LF in value_LF_of.items()},
                    "samples": dict(samples_of),
                }
                for f, figure in enumerate(self._figures)
                if samples_of
            }
            for row in range(len(self._learners))
        )
        if samples_of:
            self._add_differences(metrics, shadows)
        return {
            "seq": self._seq,
            "name": "metrics",
            "events": self._n_clicks,
            "watermark_ms": self._watermark_ms,
            "metrics": metrics,
            "shadows": dict(zip(self._learners[1:], shadows, strict=True)),
            "counts": {
                "clicks": self._n_clicks,
                "samples": self._n_samples,
                "repeated_seen": self._n_clicks - self._n_samples,
                "not_admitted": self._n_not_admitted,
            },
        }

    def state_dict(self) -> State:
        return {
            "schema_version": _SCHEMA_VERSION,
            "settings": self._settings,
            "windows": self._windows.state_dict(),
            "joint": self._joint.state_dict(),
            "seq": self._seq,
            "watermark_ms": self._watermark_ms,
            "n_clicks": self._n_clicks,
            "n_samples": self._n_samples,
            "n_not_admitted": self._n_not_admitted,
        }

    def load_state_dict(self, state: State) -> None:
        if state["schema_version"] != _SCHEMA_VERSION:
            raise CheckpointError(
                f"evaluator: the checkpoint's state has version {state['schema_version']}, "
                f"expected {_SCHEMA_VERSION}; resume with the release that wrote it"
            )
        for key, value in self._settings.items():
            if state["settings"][key] != value:
                raise CheckpointError(
                    f"evaluator: the checkpoint was made with {key} {state['settings'][key]}, the "
                    f"configuration has {value}; set it back or start from an empty checkpoint.dir"
                )
        self._windows.load_state_dict(state["windows"])
        self._joint.load_state_dict(state["joint"])
        self._seq = state["seq"]
        self._watermark_ms = state["watermark_ms"]
        self._n_clicks = state["n_clicks"]
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
        for window, count_LR in self._windows.counts().items():
            n_samples = count_LR[0].sum().item()
            if n_samples:
                value_LF_of[window] = (count_LR[:, None] * self._weights_FR).sum(axis=2) / n_samples
                samples_of[window] = n_samples
        return value_LF_of, samples_of

    def _add_differences(self, metrics: Record, shadows: Sequence[Record]) -> None:
        for joint_RR, shadow in zip(self._joint.counts_SRR, shadows, strict=True):
            variance_F = paired_variance(joint_RR, self._weights_FR).tolist()
            for figure, variance in zip(self._figures, variance_F, strict=True):
                difference = metrics[figure]["total"] - shadow[figure]["total"]
                low, high = mean_interval(
                    self._n_samples,
                    difference,
                    variance,
                    alpha=INTERVAL_ALPHA,
                    tuned_samples=INTERVAL_TUNED_SAMPLES,
                )
                shadow[figure]["difference"] = difference
                # No figure leaves [0, 1], so no difference leaves [-1, 1].
                shadow[figure]["interval"] = [max(low, -1.0), min(high, 1.0)]
