"""How likely a click converts: a logistic regression like that of clicks, over all that was shown.

# S clicked or shown items, F features of the match, W dense weights

    p(click and convert | shown) = p(click | shown) * p(convert | click)
    logit of p(convert | click)  = bias + on a list + item[row] + match . features

No place: it decides whether an item is looked at, and who has clicked it has. Clicks on no list
are learned too, with a weight for that they were: there are many, and they say which items sell.

What is learned is the product, over everything that was shown, as in ESMM [1]_: an item counts as
a click as far as it was likely to be clicked, whether it was or not, and is presumed not to
convert; a conversion, when it comes, is one. So the conversions expected of all that was shown are
those that come, though the click probabilities be wrong, and what is not clicked, nine items in
ten, has a say in what would happen if it were. With `space` `clicked` an item counts as a click if
it was one: `p(convert | click)` is then right on clicked items, whatever the click probabilities
are, and their faults are in the product.

For the gradient: of the likelihood of a product `c v`, an item that does not click and convert
tells `v` as much as `c (1 - v) / (1 - c v)` clicks without conversion (the E step of EM). As such
an answer is only presumed, it is weighed by the probability `1 - c v` that it stays (see
`ClickHead.learn`), and the two make `c (1 - v)`, where a click presumed not to convert has
`1 - v`. The precisions count a shown item for `c v (1 - v)` as if it were known whether it was
clicked, `(1 - c v) / (1 - v)` times what is told: a few per cent too much, as few clicks convert.

.. [1] Ma, Zhao, Huang, et al. Entire space multi-task model: an effective approach for estimating
   post-click conversion rate. SIGIR 2018.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from learners.logistic_beliefs import Answers, LogisticBeliefs
from stream.values import Bools, Changes, Float64s, Int32s, State

PRIOR_CONVERSION_RATIO = 0.05
"""What a head answers that has learned next to nothing."""

_BIAS_PRECISION = 0.25
_ON_LIST_PRECISION = 1.0
_MATCH_PRECISION = 1.0


@dataclass(frozen=True, slots=True)
class ClickedItems:
    """Items in the contexts that were scored.

    Attributes
    ----------
    features_SF : float64 tensor
        On the CPU.
    item_S : int array
        Rows; -1 for an item that is not admitted.
    position_S : int array
        Places from 1 on; 0 on no list.
    clicks_S : float array
        As how many clicks each counts, of which it is presumed that they do not convert.
    is_converted_S : bool array
        Whether it is a conversion instead.
    """

    features_SF: Tensor
    item_S: Int32s
    position_S: Int32s
    clicks_S: Float64s
    is_converted_S: Bools


class ConversionHead:
    """Estimates conversions, and learns them.

    Parameters
    ----------
    n_features : int
        F, how many figures tell how well an item matches the context.
    memory_conversions : float
        Conversions after which an answer is all but forgotten.
    """

    def __init__(self, n_features: int, memory_conversions: float) -> None:
        self._memory_conversions = memory_conversions
        precision_W = [_BIAS_PRECISION, _ON_LIST_PRECISION] + [_MATCH_PRECISION] * n_features
        self._beliefs = LogisticBeliefs(precision_W, PRIOR_CONVERSION_RATIO)
        self._is_taught = False

    @property
    def is_taught(self) -> bool:
        """Whether it was ever told of clicks that might have converted."""
        return self._is_taught

    def logits(self, features_SF: Tensor, item_S: Int32s, position_S: Int32s) -> Tensor:
        """Log odds of a conversion; a gradient reaches the features, never the weights."""
        return self._beliefs.logits(_design(features_SF, position_S), item_S)

    def probabilities(self, features_SF: Tensor, item_S: Int32s, position_S: Int32s) -> Float64s:
        """Probability that a click on each item converts, in (0, 1); clicked or not."""
        return self._beliefs.probabilities(_design(features_SF, position_S), item_S)

    def learn(self, told: ClickedItems, forgetting: float = 1.0) -> None:
        """Learn clicks and conversions in one step; `forgetting` divides the memory."""
        if not len(told.item_S):
            return
        self._is_taught = True
        design_SW = _design(told.features_SF, told.position_S)
        p_S = self._beliefs.probabilities(design_SW, told.item_S)
        answers = conversion_answers(told.clicks_S, told.is_converted_S, p_S)
        memory = self._memory_conversions / forgetting
        self._beliefs.learn(design_SW, told.item_S, answers, memory)

    def follow(self, changes: Changes) -> None:
        """New and recycled rows begin with what is expected of any item."""
        self._beliefs.follow(changes)

    def restore(self, state: State, rows_R: NDArray[np.int64]) -> None:
        """Take back an earlier state's beliefs; of the items, these rows' alone."""
        self._beliefs.restore(state["beliefs"], rows_R)
        self._is_taught = state["is_taught"]

    def state_dict(self) -> State:
        return {
            "schema_version": 1,
            "beliefs": self._beliefs.state_dict(),
            "is_taught": self._is_taught,
        }

    def load_state_dict(self, state: State) -> None:
        self._beliefs.load_state_dict(state["beliefs"])
        self._is_taught = state["is_taught"]


def conversion_answers(clicks_S: Float64s, is_converted_S: Bools, p_S: Float64s) -> Answers:
    """Clicks presumed not to convert, which they do with `p_S`, and conversions."""
    yes_S = torch.from_numpy(is_converted_S.astype(np.float64))
    no_S = torch.from_numpy(np.where(is_converted_S, 0.0, clicks_S * (1.0 - p_S)))
    return Answers(yes_S, yes_S + no_S)


def _design(features_SF: Tensor, position_S: Int32s) -> Tensor:
    """What each dense weight is multiplied by, shape (S, W): 1, whether on a list, the match."""
    on_list_S = torch.from_numpy((position_S > 0).astype(np.float64))
    return torch.cat([torch.ones_like(on_list_S)[:, None], on_list_S[:, None], features_SF], dim=1)
