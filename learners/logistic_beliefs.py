"""A logistic regression that knows how sure it is.

# S samples, W dense weights, V items, U distinct items of a step

    logit = design . weight + item[row]

Each weight is a belief, a mean and a precision. A step takes the most likely weights, given the
answers and what was believed before them, and adds the curvature of the answers to the precisions
[1]_. There is no learning rate: a weight that has seen little moves far, one that has seen much
hardly, so that the base rate is found within some hundred answers and an item asked for twice is
not judged by two answers. The dense weights share a full precision matrix, because their effects
are mistaken for each other; the items, of which there are many, have a precision each. An item
that is not admitted has no term.

.. [1] Chapelle, Li. An empirical evaluation of Thompson sampling. NIPS 2011. Algorithm 3.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stream.values import Changes, Float64s, Int32s, State

# One over the squared spread that is expected of an item's term before the first answer.
_ITEM_PRECISION = 5.0
# Within one unit of the logit the curvature changes by less than a factor e, so that a Newton step
# held to it never climbs.
_LARGEST_MOVE = 1.0
_SMALLEST_MOVE = 0.01
_MAX_MOVES = 12
# Keeps probabilities off 0 and 1, in float64 as in their logarithms.
_LARGEST_LOGIT = 30.0


@dataclass(frozen=True, slots=True)
class Answers:
    """How much each sample weighs as a yes, and in all: as a yes and as a no."""

    yes_S: Tensor
    all_S: Tensor

    def against(self, logit_S: Tensor) -> tuple[Tensor, Tensor]:
        """How far the answers are from what was expected, and how much they tell."""
        p_S = probability(logit_S)
        return self.yes_S - self.all_S * p_S, self.all_S * p_S * (1 - p_S)


class LogisticBeliefs:
    """Estimates probabilities, and learns them. On the CPU, in float64: few numbers, in one order.

    Memory: 16 bytes an item.

    Parameters
    ----------
    precision_W : sequence of float
        Precisions before the first answer: one over the squared spread that is expected of each
        weight. The first weight is the bias.
    prior_ratio : float
        What is answered before the first answer.
    """

    def __init__(self, precision_W: Sequence[float], prior_ratio: float) -> None:
        self._prior_WW = torch.diag(torch.tensor(list(precision_W), dtype=torch.float64))
        self._precision_WW = self._prior_WW.clone()
        self.weight_W = torch.zeros(len(self._prior_WW), dtype=torch.float64)
        self.weight_W[0] = math.log(prior_ratio / (1 - prior_ratio))
        self._item_V = torch.zeros(0, dtype=torch.float64)
        self._item_precision_V = torch.zeros(0, dtype=torch.float64)
        self._n_items = 0

    def logits(self, design_SW: Tensor, item_S: Int32s) -> Tensor:
        """Log odds of each sample; a gradient reaches the design, never the weights."""
        items = _Items(item_S)
        return design_SW @ self.weight_W + items.spread(self._item_V[items.row_U])

    def probabilities(self, design_SW: Tensor, item_S: Int32s) -> Float64s:
        """Probability of a yes for each sample, in (0, 1)."""
        probability_S: Float64s = probability(self.logits(design_SW, item_S)).numpy()
        return probability_S

    def learn(
        self, design_SW: Tensor, item_S: Int32s, answers: Answers, memory_answers: float
    ) -> None:
        """Move to the most likely weights, then become surer by what the answers told.

        After `memory_answers` an answer is all but forgotten: the precision of a weight grows by
        p * (1 - p) with each answer, about one a yes.
        """
        items = _Items(item_S)
        before_U, precision_U = self._item_V[items.row_U], self._item_precision_V[items.row_U]
        weight_W, item_U = self.weight_W, before_U
        logit_S = design_SW @ weight_W + items.spread(item_U)
        for _ in range(_MAX_MOVES):
            surprise_S, information_S = answers.against(logit_S)
            gradient_W = design_SW.T @ surprise_S
            gradient_W -= self._precision_WW @ (weight_W - self.weight_W)
            curvature_WW = self._precision_WW + _curvature(design_SW, information_S)
            move_W = torch.linalg.solve(curvature_WW, gradient_W)
            largest = float((design_SW @ move_W).abs().max())
            weight_W = weight_W + move_W / max(largest / _LARGEST_MOVE, 1.0)
            # The items answer what the other weights have left unexplained.
            logit_S = design_SW @ weight_W + items.spread(item_U)
            surprise_S, information_S = answers.against(logit_S)
            gradient_U = items.gathered(surprise_S) - precision_U * (item_U - before_U)
            move_U = gradient_U / (precision_U + items.gathered(information_S))
            item_U = item_U + move_U.clamp(-_LARGEST_MOVE, _LARGEST_MOVE)
            logit_S = design_SW @ weight_W + items.spread(item_U)
            if max([largest, *move_U.abs().tolist()]) < _SMALLEST_MOVE:
                break
        _, information_S = answers.against(logit_S)
        kept = math.exp(-float(information_S.sum()) / memory_answers)
        self.weight_W = weight_W
        self._precision_WW = torch.lerp(self._prior_WW, self._precision_WW, kept)
        self._precision_WW += _curvature(design_SW, information_S)
        self._item_V[items.row_U] = item_U
        self._item_precision_V[items.row_U] = (precision_U + items.gathered(information_S)).clamp(
            max=max(memory_answers, _ITEM_PRECISION)
        )

    def follow(self, changes: Changes) -> None:
        """New and recycled rows begin with what is expected of any item."""
        if changes.n_items > len(self._item_V):
            n_rows = max(changes.n_items, 2 * len(self._item_V))
            self._item_V = _lengthened(self._item_V, n_rows, 0.0)
            self._item_precision_V = _lengthened(self._item_precision_V, n_rows, _ITEM_PRECISION)
        self._n_items = changes.n_items
        rows_R = torch.from_numpy(changes.recycled_R.astype(np.int64))
        self._item_V[rows_R] = 0.0
        self._item_precision_V[rows_R] = _ITEM_PRECISION

    def restore(self, state: State, rows_R: NDArray[np.int64]) -> None:
        """Take back an earlier state's beliefs; of the items, these rows' alone."""
        self.weight_W = _tensor(state["weight"])
        self._precision_WW = _tensor(state["precision"])
        self._item_V[rows_R] = _tensor(state["item"])[rows_R]
        self._item_precision_V[rows_R] = _tensor(state["item_precision"])[rows_R]

    def state_dict(self) -> State:
        return {
            "schema_version": 1,
            "weight": self.weight_W.numpy(),
            "precision": self._precision_WW.numpy(),
            "item": self._item_V[: self._n_items].numpy(),
            "item_precision": self._item_precision_V[: self._n_items].numpy(),
        }

    def load_state_dict(self, state: State) -> None:
        self._n_items = len(state["item"])
        self._item_V = torch.zeros(self._n_items, dtype=torch.float64)
        self._item_precision_V = torch.zeros(self._n_items, dtype=torch.float64)
        self.restore(state, np.arange(self._n_items))


class _Items:
    """The distinct items of a step, those that are not admitted left out."""

    def __init__(self, item_S: Int32s) -> None:
        self._known = torch.from_numpy(np.flatnonzero(item_S >= 0))
        row_U, item_of = np.unique(item_S[item_S >= 0], return_inverse=True)
        self.row_U = torch.from_numpy(row_U.astype(np.int64))
        self._item_of = torch.from_numpy(item_of.astype(np.int64))
        self._n_samples = len(item_S)

    def spread(self, value_U: Tensor) -> Tensor:
        """Each sample's value, 0 where its item is not admitted."""
        value_S = value_U.new_zeros(self._n_samples)
        value_S[self._known] = value_U[self._item_of]
        return value_S

    def gathered(self, value_S: Tensor) -> Tensor:
        """The sum over each item's samples."""
        sum_U = value_S.new_zeros(len(self.row_U))
        return sum_U.index_add_(0, self._item_of, value_S[self._known])


def probability(logit_S: Tensor) -> Tensor:
    """The probability that goes with log odds, kept off 0 and 1."""
    return torch.sigmoid(logit_S.clamp(-_LARGEST_LOGIT, _LARGEST_LOGIT))


def _curvature(design_SW: Tensor, information_S: Tensor) -> Tensor:
    return design_SW.T @ (design_SW * information_S[:, None])


def _lengthened(table_V: Tensor, n_rows: int, value: float) -> Tensor:
    return torch.cat([table_V, table_V.new_full((n_rows - len(table_V),), value)])


def _tensor(array: Float64s) -> Tensor:
    # A copy: what was read from a file may not be written to.
    return torch.from_numpy(np.array(array, np.float64))
