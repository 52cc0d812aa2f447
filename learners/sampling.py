"""Which items a step is scored against while the catalogue is too large for all of them.

# V items, R rows that the step reads, U distinct rows drawn, P rows in play, H clicks kept,
# M targets

A softmax over a sample, each item's score less the log of how often it was expected in the sample,
has the sum over all items as the expectation of its denominator, and so approaches the full softmax
as the sample grows [1]_ [2]_. Rows that the step reads (its targets and histories) are in play
whatever is drawn: they count once, exactly, their expected count is 1, and a draw that hits one is
dropped. The draws stand for the others alone, and no target is ever drawn as its own negative.

References
----------
.. [1] Bengio, Senécal. Adaptive Importance Sampling to Accelerate Training of a Neural
   Probabilistic Language Model. IEEE Transactions on Neural Networks 19, 2008.
.. [2] Yi et al. Sampling-Bias-Corrected Neural Modeling for Large Corpus Item Recommendations.
   RecSys 2019.
"""

import numpy as np
from numpy.random import Generator
from pydantic import BaseModel, ConfigDict, Field

from learners.in_play import InPlay
from stream.growth import grown
from stream.values import Changes, Int32s, Int64s, State

# Clicks that the frequency of items is counted in: enough that one click more hardly matters.
_CLICKS_KEPT = 65_536
# The other half of the draws is uniform: no item's weight exceeds 2 * V / negatives, however seldom
# it is clicked.
_SHARE_BY_CLICKS = 0.5
_MOST_ROWS = 2**31 - 1


class SamplingConfig(BaseModel):
    """When and how widely the softmax is sampled."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    exact_items: int = Field(default=50_000, ge=0)
    """Up to so many items, each step scores all of them; beyond, those in play alone."""
    negatives: int = Field(default=4_096, ge=2, le=2**20)
    """Rows drawn for a step, with replacement."""


class NegativeSampler:
    """Draws half of the rows evenly and half by how often they were clicked of late.

    Row j is expected `n_evenly / V + n_by_clicks * count_j / H` times among the draws; until a
    click came, all are drawn evenly. Memory: 4 bytes an item, and 256 KiB.

    Parameters
    ----------
    config : SamplingConfig
        How many are drawn.
    """

    def __init__(self, config: SamplingConfig) -> None:
        self._n_draws = config.negatives
        self._click_H: Int32s = np.zeros(0, np.int32)
        self._count_V: Int32s = np.zeros(0, np.int32)

    def add(self, target_M: Int32s) -> None:
        """Count clicks, in order; the oldest drop out."""
        clicks = np.concatenate([self._click_H, target_M])
        dropped, self._click_H = clicks[:-_CLICKS_KEPT], clicks[-_CLICKS_KEPT:]
        self._count_V = grown(self._count_V, int(target_M.max(initial=-1)) + 1, _MOST_ROWS)
        np.add.at(self._count_V, target_M, 1)
        np.subtract.at(self._count_V, dropped, 1)

    def draw(self, read_R: Int64s, n_items: int, rng: Generator) -> InPlay:
        """The rows in play of a step.

        Parameters
        ----------
        read_R : int64 array
            Distinct rows that the step reads, ascending.
        n_items : int
            V, rows in use.
        rng : Generator
            Of this step alone.
        """
        n_by_clicks = int(self._n_draws * _SHARE_BY_CLICKS) if len(self._click_H) else 0
        n_evenly = self._n_draws - n_by_clicks
        evenly = rng.integers(0, n_items, n_evenly)
        by_clicks = self._click_H[rng.integers(0, max(len(self._click_H), 1), n_by_clicks)]
        drawn_U, times_U = np.unique(np.concatenate([evenly, by_clicks]), return_counts=True)
        is_other_U = np.isin(drawn_U, read_R, assume_unique=True, invert=True)
        drawn_U, times_U = drawn_U[is_other_U], times_U[is_other_U]
        self._count_V = grown(self._count_V, n_items, _MOST_ROWS)
        share_U = self._count_V[drawn_U] / max(len(self._click_H), 1)
        expected_U = n_evenly / n_items + n_by_clicks * share_U
        row_P = np.concatenate([read_R, drawn_U])
        log_weight_P = np.zeros(len(row_P))
        log_weight_P[len(read_R) :] = np.log(times_U / expected_U)
        order_P = np.argsort(row_P, kind="stable")
        return InPlay(row_P[order_P], log_weight_P[order_P].astype(np.float32))

    def follow(self, changes: Changes) -> None:
        """Drop the clicks of recycled rows: they were clicks on other items."""
        if len(changes.recycled_R):
            self._click_H = self._click_H[~np.isin(self._click_H, changes.recycled_R)]
            self._recount()

    def state_dict(self) -> State:
        return {"schema_version": 1, "click": self._click_H}

    def load_state_dict(self, state: State) -> None:
        self._click_H = np.array(state["click"], np.int32)
        self._recount()

    def _recount(self) -> None:
        self._count_V = np.bincount(self._click_H, minlength=len(self._count_V)).astype(np.int32)
