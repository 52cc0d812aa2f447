"""The weights that are served: a running mean of the weights that are trained.

A stream has no end for which a learning rate could be lowered: at a constant rate the weights
circle around what they have learned. Their exponential mean lies nearer to it, and costs one
pass over the weights a step [1]_.

Where a step moves some items alone, so does the mean: what it misses of an item that stands still
is a factor, `mean <- w + (mean - w) * decay**k` after k steps, which is made up for when the item
moves again or is read. Reading leaves the table as it is: what is served, and when, or saved never
reaches a later bit.

# V items in use, R some rows, D width

.. [1] Polyak, Juditsky. Acceleration of stochastic approximation by averaging. SIAM Journal on
   Control and Optimization 30, 1992.
"""

import copy
import math
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from learners.item_vectors import TABLES
from learners.scorer import Scorer
from stream.values import Int32s, Int64s, State

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
        # How many updates each item's mean has seen; None while every update reaches them all.
        self._n_seen_V: Tensor | None = None
        # One for both: what is known of items, and what nobody learns.
        shared = {id(one): one for one in (trained.items.content, *trained.frozen())}
        self.scorer = copy.deepcopy(trained, shared).requires_grad_(False).eval()

    def vectors(self, row_R: Int64s | None = None) -> Tensor:
        """The vectors that are served of the items in use, or of these rows; (V, D) or (R, D)."""
        items = self.scorer.items
        if self._n_seen_V is None:
            return items.vectors(row_R)
        n_items = items.n_rows["vector_VD"]
        rows = slice(n_items) if row_R is None else self._rows(row_R)
        return items.with_content(self._made_up_for(rows, self._n_seen_V[rows]), row_R)

    def update(self) -> None:
        """Move the mean towards the trained weights, after a step that moved all of them."""
        assert self._n_seen_V is None, "items that stood still have missed updates"
        means: list[Tensor] = [weight for _, weight in self.scorer.learned()]
        trained: list[Tensor] = [weight for _, weight in self._trained.learned()]
        with torch.no_grad():
            torch._foreach_lerp_(means, trained, 1 - self._kept())
        self._n_updates += 1

    def settle(self, row_R: Int64s) -> None:
        """Make up for what the means of these items have missed, before a step that moves them."""
        table = self.scorer.items.table("vector_VD")
        if self._n_seen_V is None:
            self._n_seen_V = torch.full((len(table),), self._n_updates, device=table.device)
        rows = self._rows(row_R)
        table[rows] = self._made_up_for(rows, self._n_seen_V[rows])
        self._n_seen_V[rows] = self._n_updates

    def update_rows(self, row_R: Int64s) -> None:
        """Move the mean after a step that moved these items alone, which are settled, and all else.

        Of the items only these are read: the time that it takes does not depend on how many there
        are.
        """
        assert self._n_seen_V is not None, "settle comes first"
        mean, trained = (one.items.table("vector_VD") for one in (self.scorer, self._trained))
        means: list[Tensor] = [p for _, p in self.scorer.learned() if p is not mean]
        others: list[Tensor] = [p for _, p in self._trained.learned() if p is not trained]
        rows = self._rows(row_R)
        with torch.no_grad():
            torch._foreach_lerp_(means, others, 1 - self._kept())
            mean[rows] = torch.lerp(mean[rows], trained[rows], 1 - self._kept())
        self._n_updates += 1
        self._n_seen_V[rows] = self._n_updates

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
            if name == "vector_VD" and self._n_seen_V is not None:
                # A fresh row's mean is its weight: whatever it has missed, nothing is made up for.
                self._n_seen_V = self._resized(self._n_seen_V, len(mean))

    def restore(self, state: State, rows_R: NDArray[np.int64]) -> None:
        """Take back an earlier state's means; of the items, these rows' alone.

        The trained weights must have been taken back before.
        """
        for name, mean in self.scorer.learned():
            saved = state["weights"][name]
            taken = rows_R if name == _ITEM_TABLE else slice(len(saved)) if saved.ndim else ...
            mean[taken] = torch.from_numpy(np.array(saved[taken])).to(mean.device)
        rows = self._rows(rows_R)
        if len(state["n_seen"]):
            n_seen_R = torch.from_numpy(np.array(state["n_seen"][rows_R])).to(rows.device)
            made_up = self._made_up_for(rows, n_seen_R, state["n_updates"])
            self.scorer.items.table("vector_VD")[rows] = made_up
        if self._n_seen_V is not None:
            self._n_seen_V[rows] = self._n_updates

    def state_dict(self) -> State:
        weights = {name: weight.cpu().numpy() for name, weight in self.scorer.learned()}
        for name, n_rows in self.scorer.items.n_rows.items():
            weights[f"items.{name}"] = weights[f"items.{name}"][:n_rows]
        n_items = self.scorer.items.n_rows["vector_VD"]
        n_seen_V = np.zeros(0, np.int64)
        if self._n_seen_V is not None:
            n_seen_V = self._n_seen_V[:n_items].cpu().numpy()
        return {
            "schema_version": 1,
            "weights": weights,
            "n_updates": self._n_updates,
            "n_seen": n_seen_V,
        }

    def load_state_dict(self, state: State) -> None:
        """Take over saved means; the trained scorer must have been restored before."""
        self._n_updates = state["n_updates"]
        self._n_seen_V = None
        self.start_fresh(dict.fromkeys(TABLES, np.zeros(0, np.int32)))
        for name, weight in self.scorer.learned():
            saved = torch.from_numpy(np.array(state["weights"][name]))
            weight[slice(len(saved)) if saved.ndim else ...] = saved.to(weight.device)
        if len(state["n_seen"]):
            table = self.scorer.items.table("vector_VD")
            n_seen_V = torch.from_numpy(np.array(state["n_seen"], np.int64)).to(table.device)
            self._n_seen_V = self._resized(n_seen_V, len(table))

    def _kept(self) -> float:
        """The mean's weight in the coming update."""
        return min(self._decay, self._n_updates / (self._n_updates + 1))

    def _made_up_for(
        self, rows: Tensor | slice, n_seen_R: Tensor, n_updates: int | None = None
    ) -> Tensor:
        """The means of items that have stood still since they saw `n_seen_R` updates."""
        n_updates = self._n_updates if n_updates is None else n_updates
        kept_R = share_kept(self._decay, n_seen_R.double(), n_updates).float()
        trained = self._trained.items.table("vector_VD").detach()
        mean = self.scorer.items.table("vector_VD").detach()
        return torch.lerp(trained[rows], mean[rows], kept_R[:, None])

    def _resized(self, n_seen_V: Tensor, n_rows: int) -> Tensor:
        resized = n_seen_V.new_full((n_rows,), self._n_updates)
        n_kept = min(n_rows, len(n_seen_V))
        resized[:n_kept] = n_seen_V[:n_kept]
        return resized

    def _rows(self, row_R: Int64s) -> Tensor:
        return torch.from_numpy(row_R.astype(np.int64)).to(self.scorer.start_D.device)


def share_kept(decay: float, n_seen_R: Tensor, n_updates: int) -> Tensor:
    """The share of a mean that is left after the updates from `n_seen_R` to `n_updates`.

    The product of `min(decay, i / (i + 1))` over them: its first part telescopes.

    Examples
    --------
    >>> share_kept(0.5, torch.tensor([0.0, 1.0, 3.0]), 3)
    tensor([0.0000, 0.2500, 1.0000])
    """
    n_growing = max(math.ceil(decay / (1 - decay)), 1)
    growing_R = n_seen_R.clamp(max=n_growing) / max(min(n_updates, n_growing), 1)
    n_steady_R = max(n_updates, n_growing) - n_seen_R.clamp(min=n_growing)
    share_R = growing_R * decay**n_steady_R
    return torch.where(n_seen_R == n_updates, torch.ones_like(share_R), share_R)
