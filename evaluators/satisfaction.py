"""What users say of what they got, and how long they stayed: likes, ratings, dwelling.

# N opinions of a batch
"""

import numpy as np
from pydantic import BaseModel, ConfigDict

from evaluators.figures import as_record
from evaluators.mean_windows import MeanWindows
from evaluators.windows import WINDOWS, RankWindows, WindowSizes
from stream.conversions import Opinions
from stream.events import FEEDBACK_KINDS
from stream.values import Bools, Changes, Int64s, Outcomes, Reading, Record, State

_VERDICTS = ("like", "dislike", "hide")
_SHARES = {f"{verdict}_share": place for place, verdict in enumerate(_VERDICTS)}
_MEANS = {"mean_rating": "rating", "mean_dwell": "dwell"}

SATISFACTION_METRICS = (*_SHARES, *_MEANS)

_SCHEMA_VERSION = 1


class SatisfactionConfig(BaseModel):
    """Whether feedback is judged.

    Attributes
    ----------
    enabled : bool
        Costs nothing where no feedback comes.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = True


class SatisfactionJudge:
    """Shares of likes, dislikes and hides among these three; mean rating; mean dwelling.

    Judged is feedback on what was clicked or shown: orphans are left out. It counts when it
    comes; one that is delivered twice counts twice. Ratings are in the log's own scale, dwelling
    in its own unit: the sums only mean something if there is one of each. Ratings and dwelling
    without a finite value, and negative dwelling, are left out and counted.

    Memory: `sizes.events` x 33 bytes and 4 KiB.

    Parameters
    ----------
    sizes : WindowSizes
        Of the windows; each figure has windows of its own samples.
    """

    def __init__(self, sizes: WindowSizes) -> None:
        self._verdicts = RankWindows((1, len(_VERDICTS)), sizes)
        self._means = {name: MeanWindows(sizes) for name in _MEANS}
        self._n_invalid = 0

    def update(self, outcomes: Outcomes) -> None:
        """Judge the feedback of a batch, and move the time."""
        opinions, watermark_ms = outcomes.opinions, outcomes.watermark_ms
        is_verdict_N = np.isin(opinions.kind_N, _KINDS_OF_VERDICTS)
        verdict_N = _VERDICT_OF_KIND[opinions.kind_N[is_verdict_N]]
        ts_N = np.minimum(opinions.ts_N[is_verdict_N], watermark_ms)
        self._verdicts.update(verdict_N[None, :], ts_N, watermark_ms)
        for name, means in self._means.items():
            means.advance(watermark_ms)
            if len(opinions):
                chosen_N = self._usable(opinions, _MEANS[name])
                value_S = opinions.value_N[chosen_N]
                means.update(value_S, np.ones(len(value_S)), opinions.ts_N[chosen_N])

    def follow(self, changes: Changes) -> None:
        """Nothing is held by row or by user."""

    def record(self) -> Record:
        """Every figure that has a sample, and what was counted."""
        return {"metrics": self.metrics(), "counts": self.counts()}

    def metrics(self) -> Record:
        """Every figure that has a sample, over each window."""
        figures = {
            name: as_record({over: self.reading(name, over) for over in WINDOWS})
            for name in SATISFACTION_METRICS
        }
        return {name: figure for name, figure in figures.items() if figure}

    def reading(self, metric: str, over: str) -> Reading | None:
        """One figure over one window; None without a sample."""
        if metric in _MEANS:
            return self._means[metric].reading(over)
        counts = self._verdicts.over(over)[0].tolist()
        n_verdicts = sum(counts)
        return Reading(counts[_SHARES[metric]] / n_verdicts, n_verdicts) if n_verdicts else None

    def counts(self) -> dict[str, int]:
        """Feedback that was left out since start."""
        return {"invalid_feedback": self._n_invalid}

    def state_dict(self) -> State:
        return {
            "schema_version": _SCHEMA_VERSION,
            "verdicts": self._verdicts.state_dict(),
            "means": {name: means.state_dict() for name, means in self._means.items()},
            "n_invalid": self._n_invalid,
        }

    def load_state_dict(self, state: State) -> None:
        self._verdicts.load_state_dict(state["verdicts"])
        for name, means in self._means.items():
            means.load_state_dict(state["means"][name])
        self._n_invalid = state["n_invalid"]

    def _usable(self, opinions: Opinions, kind: str) -> Bools:
        """Which opinions are of this kind and have a value that can be averaged."""
        is_kind_N = opinions.kind_N == FEEDBACK_KINDS.index(kind)
        is_usable_N = is_kind_N & np.isfinite(opinions.value_N)
        if kind == "dwell":
            is_usable_N &= ~(opinions.value_N < 0)
        self._n_invalid += int(is_kind_N.sum() - is_usable_N.sum())
        chosen_N: Bools = is_usable_N
        return chosen_N


_KINDS_OF_VERDICTS = np.array([FEEDBACK_KINDS.index(verdict) for verdict in _VERDICTS])
_VERDICT_OF_KIND: Int64s = np.zeros(len(FEEDBACK_KINDS), np.int64)
_VERDICT_OF_KIND[_KINDS_OF_VERDICTS] = np.arange(len(_VERDICTS))
