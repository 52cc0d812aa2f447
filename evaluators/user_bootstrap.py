"""How sure a difference is when users, not clicks, are what is drawn: a bootstrap by user.

# N samples of an update, L learners, R ranks, F figures, S shadows, G groups, B replicates

A user's clicks are alike, and an interval that counts each as a witness of its own is too narrow
for what other users would have done. A Poisson bootstrap [1]_ gives each user a weight of its own
in each replicate, drawn from a Poisson distribution of mean 1, and takes the figure anew. Here
users fall into 256 groups by their hash, and a group's users share their weights. So the counts of
each group are all that has to be kept, integers that a click moves by one, and replicates are
worked out when they are asked for.

References
----------
.. [1] Chamandy, Muralidharan, Najmi, Naidu. Estimating uncertainty for massive data streams.
   Google, 2012.
"""

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from stream.values import Float64s, Int64s, Record, State

N_GROUPS = 256
"""Bounds how well a spread can be told: its own relative error is about 1 / sqrt(2 x 256)."""

MIN_GROUPS = 30
"""With samples of fewer there is no interval: so few users tell nothing of others."""

# Weights of ranks in whole units, so that sums are exact in a float64 in whatever order they are
# taken: up to a billion samples, and nearly so beyond.
_UNITS = 1 << 20
_SEED = 7

# Multiplications up to which OpenBLAS, which NumPy comes with, uses no second thread.
_ONE_THREAD = 1 << 18

_SCHEMA_VERSION = 1


class BootstrapConfig(BaseModel):
    """Whether differences from shadows have an interval by user, and from how many replicates.

    Attributes
    ----------
    enabled : bool
        Costs about 0.2 microseconds a click with four shadows.
    replicates : int
        Times that the difference is taken anew with other weights; 100 .. 2,000.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = True
    replicates: Annotated[int, Field(ge=100, le=2_000)] = 200


class UserBootstrap:
    """Counts of ranks by learner and group of users, since start.

    Memory: 2 KiB x L x R (215 KB with five learners at R = 21), and 2 KiB a replicate. Intervals
    are for one look; see `mean_margin` for those that hold at all times.

    Parameters
    ----------
    config : BootstrapConfig
        How many replicates.
    n_learners : int
        The champion and its shadows.
    weights_FR : float array, shape (F, R)
        What each rank adds to each figure; see `figure_weights`.
    """

    def __init__(self, config: BootstrapConfig, n_learners: int, weights_FR: Float64s) -> None:
        n_ranks = weights_FR.shape[1]
        self._count_GLR = np.zeros((N_GROUPS, n_learners, n_ranks), np.int64)
        self._units_RF = np.rint(weights_FR.T * _UNITS)
        rng = np.random.default_rng(_SEED)
        self._weight_BG = rng.poisson(1.0, (config.replicates, N_GROUPS)).astype(np.float64)

    def update(self, rank_LN: Int64s, user_N: Int64s) -> None:
        """Count samples; `user_N` are 64-bit hashes of who clicked."""
        _, n_learners, n_ranks = self._count_GLR.shape
        row_LN = (user_N % N_GROUPS) * n_learners + np.arange(n_learners)[:, None]
        flat = self._count_GLR.reshape(-1)
        np.add.at(flat, (row_LN * n_ranks + rank_LN).reshape(-1), 1)

    def add_intervals(self, shadows: Sequence[Record], alpha: float) -> None:
        """Write `interval_by_user` into the figures of each shadow, if it is known.

        Parameters
        ----------
        shadows : sequence of dict
            By figure, in the order of `weights_FR`.
        alpha : float
            Share of streams whose truth may be left out.
        """
        end_SF2 = self.intervals(alpha)
        if end_SF2 is None:
            return
        for figures, ends in zip(shadows, end_SF2.tolist(), strict=True):
            for figure, pair in zip(figures.values(), ends, strict=True):
                figure["interval_by_user"] = pair

    def intervals(self, alpha: float) -> Float64s | None:
        """Where the champion's lead over each shadow lies, shape (S, F, 2), for one look.

        The ends are replicates that leave a share of `alpha` / 2 of them on either side. None with
        users of fewer than `MIN_GROUPS` groups.
        """
        n_samples_G = self._count_GLR[:, 0].sum(axis=1)
        if np.count_nonzero(n_samples_G) < MIN_GROUPS:
            return None
        figure_GLF = self._count_GLR.astype(np.float64) @ self._units_RF
        lead_GSF = figure_GLF[:, :1] - figure_GLF[:, 1:]
        sum_BX = self._weighed(lead_GSF.reshape(N_GROUPS, -1))
        n_samples_B = self._weight_BG @ n_samples_G.astype(np.float64)
        lead_BX = sum_BX / (n_samples_B[:, None] * _UNITS)
        n_left_out = max(round(alpha / 2 * (len(lead_BX) + 1)), 1)
        ends = [n_left_out - 1, len(lead_BX) - n_left_out]
        end_2X = np.partition(lead_BX, ends, axis=0)[ends]
        return end_2X.T.reshape(*lead_GSF.shape[1:], 2)

    def _weighed(self, sum_GX: Float64s) -> Float64s:
        """The sums of all groups in each replicate.

        In parts that are too small for a second thread: on a busy machine the first would wait for
        it longer than for the work. All numbers are whole, so that parts change no bit.
        """
        sum_BX = np.empty((len(self._weight_BG), sum_GX.shape[1]))
        n_rows = max(_ONE_THREAD // sum_GX.size, 1)
        for first in range(0, len(sum_BX), n_rows):
            rows = slice(first, first + n_rows)
            np.matmul(self._weight_BG[rows], sum_GX, out=sum_BX[rows])
        return sum_BX

    def state_dict(self) -> State:
        return {"schema_version": _SCHEMA_VERSION, "count_GLR": self._count_GLR}

    def load_state_dict(self, state: State) -> None:
        self._count_GLR[:] = state["count_GLR"]
