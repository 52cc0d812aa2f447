"""How likely an item is clicked where it is shown: a logistic regression that knows how sure it is.

# S items shown, F features of the match, W dense weights

    logit = bias + position[place] + item[row] + match . features

The position is a term of its own: what a place adds is learned apart from what an item is worth,
and whoever serves asks for place 1. Bias, positions and match are the dense weights of
`LogisticBeliefs`.

The gradient of a click loss is not sent on into the transformer, unless `TasksConfig` says so: on
simulated lists it left the log loss as it was or worse at every weight that was tried, and cost
recall at large ones.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from learners.logistic_beliefs import Answers, LogisticBeliefs, probability
from stream.values import Changes, Float64s, Int32s, ShownLessons, State

PRIOR_CLICK_RATIO = 0.05
"""What an untrained head answers for every item."""
MAX_POSITION = 64
"""Places behind it share its weight."""

_BIAS_PRECISION = 0.25
_POSITION_PRECISION = 1.0
_MATCH_PRECISION = 1.0


class ClickHead:
    """Estimates clicks, and learns them.

    Parameters
    ----------
    n_features : int
        F, how many figures tell how well an item matches the context.
    memory_clicks : float
        Clicks after which an answer is all but forgotten, so that the head follows a stream that
        changes.
    """

    def __init__(self, n_features: int, memory_clicks: float) -> None:
        self._memory_clicks = memory_clicks
        precision_W = (
            [_BIAS_PRECISION]
            + [_POSITION_PRECISION] * MAX_POSITION
            + [_MATCH_PRECISION] * n_features
        )
        self._beliefs = LogisticBeliefs(precision_W, PRIOR_CLICK_RATIO)

    def logits(self, features_SF: Tensor, item_S: Int32s, position_S: Int32s) -> Tensor:
        """Log odds of a click; a gradient reaches the features, never the weights."""
        return self._beliefs.logits(_design(features_SF, position_S), item_S)

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
        return self._beliefs.probabilities(_design(features_SF, position_S), item_S)

    def by_place(self, features_SF: Tensor, item_S: Int32s, n_places: int) -> Float64s:
        """Probability of a click on each item at each place up to `MAX_POSITION`, shape (S, K)."""
        place_K = self._beliefs.weight_W[1 : n_places + 1]
        first_S = self.logits(features_SF, item_S, np.ones(len(item_S), np.int32))
        probability_SK: Float64s = probability(first_S[:, None] + (place_K - place_K[:1])).numpy()
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
        answers, memory_clicks = click_answers(taught, p_S), self._memory_clicks / forgetting
        self._beliefs.learn(_design(features_SF, position_S), item_S, answers, memory_clicks)

    def follow(self, changes: Changes) -> None:
        """New and recycled rows begin with what is expected of any item."""
        self._beliefs.follow(changes)

    def restore(self, state: State, rows_R: NDArray[np.int64]) -> None:
        """Take back an earlier state's beliefs; of the items, these rows' alone."""
        self._beliefs.restore(state, rows_R)

    def state_dict(self) -> State:
        return self._beliefs.state_dict()

    def load_state_dict(self, state: State) -> None:
        self._beliefs.load_state_dict(state)


def click_answers(taught: Sequence[ShownLessons], p_S: Float64s) -> Answers:
    """What lists say of clicks, where a click on each item was told to have probability `p_S`."""
    is_clicked_S = np.concatenate([lessons.is_clicked_S for lessons in taught])
    is_presumed_S = np.repeat(
        [lessons.is_presumed for lessons in taught],
        [len(lessons.is_clicked_S) for lessons in taught],
    )
    # What was clicked before its first lesson has a presumption beside its click, as if the
    # click had come a moment later: the true rate is taught however many come how late.
    no_S = np.where(is_presumed_S, 1.0 - p_S, ~is_clicked_S)
    yes_S = torch.from_numpy(is_clicked_S.astype(np.float64))
    return Answers(yes_S, yes_S + torch.from_numpy(no_S))


def _design(features_SF: Tensor, position_S: Int32s) -> Tensor:
    """What each dense weight is multiplied by, shape (S, W): 1, the place, the match."""
    place_S = torch.from_numpy(np.minimum(position_S, MAX_POSITION).astype(np.int64))
    place_SP = torch.zeros(len(place_S), MAX_POSITION, dtype=torch.float64)
    place_SP[torch.arange(len(place_S)), place_S - 1] = 1.0
    return torch.cat([place_SP.new_ones(len(place_S), 1), place_SP, features_SF], dim=1)
