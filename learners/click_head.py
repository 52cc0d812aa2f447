"""How likely an item is clicked where it is shown: a logistic regression that knows how sure it is.

# S items shown, F features of the match, W dense weights, V items, U distinct items of a step

    logit = bias + position[place] + item[row] + match . features

The position is a term of its own: what a place adds is learned apart from what an item is worth,
and whoever serves asks for place 1. An item that is not admitted has no term.

Each weight is a belief, a mean and a precision. A step takes the most likely weights, given the
answers and what was believed before them, and adds the curvature of the answers to the precisions
[1]_. There is no learning rate: a weight that has seen little moves far, one that has seen much
hardly, so that the base rate is found within some hundred items and an item shown twice is not
judged by two answers. Bias, positions and match share a full precision matrix, because their
effects are mistaken for each other; the items, of which there are many, have a precision each.

The gradient of a click loss is not sent on into the transformer: on simulated lists it left the
log loss as it was or worse at every weight that was tried, and cost recall at large ones.

.. [1] Chapelle, Li. An empirical evaluation of Thompson sampling. NIPS 2011. Algorithm 3.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stream.values import Changes, Float64s, Int32s, ShownLessons, State

PRIOR_CLICK_RATIO = 0.05
"""What an untrained head answers for every item."""
MAX_POSITION = 64
"""Places behind it share its weight."""

# Precisions before the first answer: one over the squared spread that is expected of the weight.
_BIAS_PRECISION = 0.25
_POSITION_PRECISION = 1.0
_MATCH_PRECISION = 1.0
_ITEM_PRECISION = 5.0
# Within one unit of the logit the curvature changes by less than a factor e, so that a Newton step
# held to it never climbs.
_LARGEST_MOVE = 1.0
_SMALLEST_MOVE = 0.01
_MAX_MOVES = 12
# Keeps probabilities off 0 and 1, in float64 as in their logarithms.
_LARGEST_LOGIT = 30.0


class ClickHead:
    """Estimates clicks, and learns them. On the CPU, in float64: few numbers, always in one order.

    Memory: 16 bytes an item.

    Parameters
    ----------
    n_features : int
        F, how many figures tell how well an item matches the context.
    memory_clicks : float
        Clicks after which an answer is all but forgotten, so that the head follows a stream that
        changes. A weight's precision grows by p * (1 - p) with each answer: about one a click.
    """

    def __init__(self, n_features: int, memory_clicks: float) -> None:
        self._memory_clicks = memory_clicks
        self._prior_WW = torch.diag(
            torch.tensor(
                [_BIAS_PRECISION]
                + [_POSITION_PRECISION] * MAX_POSITION
                + [_MATCH_PRECISION] * n_features,
                dtype=torch.float64,
            )
        )
        self._precision_WW = self._prior_WW.clone()
        self._weight_W = torch.zeros(len(self._prior_WW), dtype=torch.float64)
        self._weight_W[0] = math.log(PRIOR_CLICK_RATIO / (1 - PRIOR_CLICK_RATIO))
        self._item_V = torch.zeros(0, dtype=torch.float64)
        self._item_precision_V = torch.zeros(0, dtype=torch.float64)
        self._n_items = 0

    def probabilities(self, features_SF: Tensor, item_S: Int32s, position_S: Int32s) -> Float64s:
        """Probability of a click on each item at its place, in (0, 1).

        Parameters
        ----------
        features_SF : float64 tensor, on the CPU
        item_S : int array
            Rows; -1 for an item that is not admitted.
        position_S : int array
            Places from 1 on.
        """
        logit_S = _design(features_SF, position_S) @ self._weight_W + self._item_terms(item_S)
        probability_S: Float64s = _probability(logit_S).numpy()
        return probability_S

    def by_place(self, features_SF: Tensor, item_S: Int32s, n_places: int) -> Float64s:
        """Probability of a click on each item at each place up to `MAX_POSITION`, shape (S, K)."""
        place_K, match_F = self._weight_W[1 : n_places + 1], self._weight_W[MAX_POSITION + 1 :]
        logit_S = self._weight_W[0] + features_SF @ match_F + self._item_terms(item_S)
        probability_SK: Float64s = _probability(logit_S[:, None] + place_K).numpy()
        return probability_SK

    def learn(
        self, features_SF: Tensor, taught: Sequence[ShownLessons], forgetting: float = 1.0
    ) -> None:
        """Learn lists in one step.

        An item presumed not to be clicked may come again, clicked. Weighed by the probability
        that it will not, its first lesson and its second together teach the true rate [1]_. Their
        common factor 1 + p is left out: it weighs items against each other, not answers.

        Parameters
        ----------
        features_SF : float64 tensor, on the CPU
            Of the items of all lessons, end to end.
        taught : sequence of ShownLessons
            What presumed lessons and clicks come together should be learned together: a step of
            clicks alone would go further than one of presumptions can go back.
        forgetting : float
            Divides the memory.

        References
        ----------
        .. [1] Ktena et al. Addressing delayed feedback for continuous training with neural
           networks in CTR prediction. RecSys 2019. Fake negative weighted loss.
        """
        if not len(features_SF):
            return
        item_S = np.concatenate([lessons.shown.item_S for lessons in taught])
        position_S = np.concatenate([lessons.shown.position_S for lessons in taught])
        p_S = self.probabilities(features_SF, item_S, position_S)
        answers = _Answers(taught, p_S)
        memory_clicks = self._memory_clicks / forgetting
        self._step(_design(features_SF, position_S), _Items(item_S), answers, memory_clicks)

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
        self._weight_W = _tensor(state["weight"])
        self._precision_WW = _tensor(state["precision"])
        self._item_V[rows_R] = _tensor(state["item"])[rows_R]
        self._item_precision_V[rows_R] = _tensor(state["item_precision"])[rows_R]

    def state_dict(self) -> State:
        return {
            "schema_version": 1,
            "weight": self._weight_W.numpy(),
            "precision": self._precision_WW.numpy(),
            "item": self._item_V[: self._n_items].numpy(),
            "item_precision": self._item_precision_V[: self._n_items].numpy(),
        }

    def load_state_dict(self, state: State) -> None:
        self._n_items = len(state["item"])
        self._item_V = torch.zeros(self._n_items, dtype=torch.float64)
        self._item_precision_V = torch.zeros(self._n_items, dtype=torch.float64)
        self.restore(state, np.arange(self._n_items))

    def _item_terms(self, item_S: Int32s) -> Tensor:
        items = _Items(item_S)
        return items.spread(self._item_V[items.row_U])

    def _step(
        self, design_SW: Tensor, items: "_Items", answers: "_Answers", memory_clicks: float
    ) -> None:
        """Move to the most likely weights, then become surer by what the answers told."""
        before_U, precision_U = self._item_V[items.row_U], self._item_precision_V[items.row_U]
        weight_W, item_U = self._weight_W, before_U
        logit_S = design_SW @ weight_W + items.spread(item_U)
        for _ in range(_MAX_MOVES):
            surprise_S, information_S = answers.against(logit_S)
            gradient_W = design_SW.T @ surprise_S
            gradient_W -= self._precision_WW @ (weight_W - self._weight_W)
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
        kept = math.exp(-float(information_S.sum()) / memory_clicks)
        self._weight_W = weight_W
        self._precision_WW = torch.lerp(self._prior_WW, self._precision_WW, kept)
        self._precision_WW += _curvature(design_SW, information_S)
        self._item_V[items.row_U] = item_U
        self._item_precision_V[items.row_U] = (precision_U + items.gathered(information_S)).clamp(
            max=max(memory_clicks, _ITEM_PRECISION)
        )


class _Items:
    """The distinct items of a step, those that are not admitted left out."""

    def __init__(self, item_S: Int32s) -> None:
        self._known = torch.from_numpy(np.flatnonzero(item_S >= 0))
        row_U, item_of = np.unique(item_S[item_S >= 0], return_inverse=True)
        self.row_U = torch.from_numpy(row_U.astype(np.int64))
        self._item_of = torch.from_numpy(item_of.astype(np.int64))
        self._n_shown = len(item_S)

    def spread(self, value_U: Tensor) -> Tensor:
        """Each shown item's value, 0 where it is not admitted."""
        value_S = value_U.new_zeros(self._n_shown)
        value_S[self._known] = value_U[self._item_of]
        return value_S

    def gathered(self, value_S: Tensor) -> Tensor:
        """The sum over each item's appearances."""
        sum_U = value_S.new_zeros(len(self.row_U))
        return sum_U.index_add_(0, self._item_of, value_S[self._known])


class _Answers:
    """The answers, with what each says of a click and of none."""

    def __init__(self, taught: Sequence[ShownLessons], p_S: Float64s) -> None:
        is_clicked_S = np.concatenate([lessons.is_clicked_S for lessons in taught])
        is_presumed_S = np.repeat(
            [lessons.is_presumed for lessons in taught],
            [len(lessons.is_clicked_S) for lessons in taught],
        )
        # What was clicked before its first lesson has a presumption beside its click, as if the
        # click had come a moment later: the true rate is taught however many come how late.
        no_S = np.where(is_presumed_S, 1.0 - p_S, ~is_clicked_S)
        self._yes_S = torch.from_numpy(is_clicked_S.astype(np.float64))
        self._all_S = self._yes_S + torch.from_numpy(no_S)

    def against(self, logit_S: Tensor) -> tuple[Tensor, Tensor]:
        """How far the answers are from what was expected, and how much they tell."""
        p_S = _probability(logit_S)
        return self._yes_S - self._all_S * p_S, self._all_S * p_S * (1 - p_S)


def _design(features_SF: Tensor, position_S: Int32s) -> Tensor:
    """What each dense weight is multiplied by, shape (S, W): 1, the place, the match."""
    place_S = torch.from_numpy(np.minimum(position_S, MAX_POSITION).astype(np.int64))
    place_SP = torch.zeros(len(place_S), MAX_POSITION, dtype=torch.float64)
    place_SP[torch.arange(len(place_S)), place_S - 1] = 1.0
    return torch.cat([place_SP.new_ones(len(place_S), 1), place_SP, features_SF], dim=1)


def _curvature(design_SW: Tensor, information_S: Tensor) -> Tensor:
    return design_SW.T @ (design_SW * information_S[:, None])


def _probability(logit_S: Tensor) -> Tensor:
    return torch.sigmoid(logit_S.clamp(-_LARGEST_LOGIT, _LARGEST_LOGIT))


def _lengthened(table_V: Tensor, n_rows: int, value: float) -> Tensor:
    return torch.cat([table_V, table_V.new_full((n_rows - len(table_V),), value)])


def _tensor(array: Float64s) -> Tensor:
    # A copy: what was read from a file may not be written to.
    return torch.from_numpy(np.array(array, np.float64))
