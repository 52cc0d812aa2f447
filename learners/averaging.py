"""The weights that are served: a running mean of the weights that are trained.

A stream has no end for which a learning rate could be lowered: at a constant rate the weights
circle around what they have learned. Their exponential mean lies nearer to it, and costs one
pass over the weights a step [1]_.

.. [1] Polyak, Juditsky. Acceleration of stochastic approximation by averaging. SIAM Journal on
   Control and Optimization 30, 1992.
"""

import copy
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from learners.item_vectors import TABLES
from learners.scorer import Scorer
from stream.values import Int32s, State

_ITEM_TABLE = "items.vector_VD"


class AveragedScorer:
    """A scorer whose weights follow another's.

    Parameters
    ----------
    trained : Scorer
        Whose weights are averaged.
    decay : float
        Weight of the mean against the newest weights, in [0, 1); 0.97 looks back about 33 steps,
        0 serves what was trained last. The first steps look back less: step n keeps at most
        n / (n + 1) of the mean.
    """

    def __init__(self, trained: Scorer, decay: float) -> None:
        self._trained = trained
        self._decay = decay
        self._n_updates = 0
        self.scorer = copy.deepcopy(trained).requires_grad_(False).eval()
        self.scorer.items.content = trained.items.content  # one for both

    def update(self) -> None:
        """Move the mean towards the trained weights, after a step."""
        decay = min(self._decay, self._n_updates / (self._n_updates + 1))
        means: list[Tensor] = list(self.scorer.parameters())
        trained: list[Tensor] = list(self._trained.parameters())
        with torch.no_grad():
            torch._foreach_lerp_(means, trained, 1 - decay)
        self._n_updates += 1

    def start_fresh(self, fresh: Mapping[str, Int32s]) -> None:
        """Take over the tables' sizes, and the trained vectors of rows that were just made."""
        trained = self._trained.items
        self.scorer.items.n_rows = dict(trained.n_rows)
        for name, rows_R in fresh.items():
            mean, table = self.scorer.items.table(name), trained.table(name).detach()
            if len(mean) != len(table):
                resized = table.clone()
                n_kept = min(len(mean), len(resized))
                resized[:n_kept] = mean[:n_kept]
                mean = nn.Parameter(resized, requires_grad=False)
                setattr(self.scorer.items, name, mean)
            rows = torch.from_numpy(rows_R.astype(np.int64)).to(mean.device)
            mean[rows] = table[rows]

    def restore(self, state: State, rows_R: NDArray[np.int64]) -> None:
        """Take back an earlier state's means; of the items, these rows' alone."""
        for name, mean in self.scorer.named_parameters():
            saved = state["weights"][name]
            taken = rows_R if name == _ITEM_TABLE else slice(len(saved) if saved.ndim else None)
            mean[taken] = torch.from_numpy(np.array(saved[taken])).to(mean.device)

    def state_dict(self) -> State:
        weights = {name: weight.cpu().numpy() for name, weight in self.scorer.named_parameters()}
        for name, n_rows in self.scorer.items.n_rows.items():
            weights[f"items.{name}"] = weights[f"items.{name}"][:n_rows]
        return {"schema_version": 1, "weights": weights, "n_updates": self._n_updates}

    def load_state_dict(self, state: State) -> None:
        """Take over saved means; the trained scorer must have been restored before."""
        self.start_fresh(dict.fromkeys(TABLES, np.zeros(0, np.int32)))
        for name, weight in self.scorer.named_parameters():
            saved = torch.from_numpy(np.array(state["weights"][name]))
            weight[: len(saved)] = saved.to(weight.device)
        self._n_updates = state["n_updates"]
