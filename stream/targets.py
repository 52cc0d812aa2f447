"""The values that tell of policies that did not show a list: how likely each would have.

# N lists, S shown items of those lists end to end

A place is taken as a draw of its own: given the list's context and the items above it, the policy
that showed the list drew the item with its propensity, and another policy, the target, would have
drawn it with some other probability. The quotient of the two is the item's weight.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MAX_GIVEN_TARGETS = 8
"""Policies by whose given probabilities lists are judged; those that come later are left out."""


@dataclass(frozen=True, slots=True)
class ChoiceRule:
    """A policy made of a learner: a softmax of the scores of what it ranks best.

    At each place it draws one of the learner's best `candidates` items for the list's context
    that do not stand above, with a probability in proportion to exp(score / temperature).
    """

    temperature: float
    candidates: int


@dataclass(frozen=True, slots=True)
class ChoiceAsked:
    """What a learner needs to know beside the lists, to say how its choice rule would do on them.

    The last `session_length_N[n]` entries of the context of list n belong to its session.
    """

    rule: ChoiceRule
    session_length_N: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Choice:
    """What a learner says of its choice rule at the places of lists that were shown.

    `probability_S` is how likely the rule would have drawn the item that was shown, in [0, 1];
    nan where it would have drawn nothing. `click_S` is the probability of a click on what it
    would have drawn, its mean over all draws; None from a learner that estimates no clicks.
    """

    probability_S: NDArray[np.float64]
    click_S: NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True)
class Targets:
    """Propensities of shown items, and the policies that are asked about.

    `propensity_S` is nan where it was not logged. `choice` is the champion's, as it was when the
    lists were shown; `given_of` holds, by the name of a policy, probabilities that came with the
    lists, nan where none came. A column without a number is left out.
    """

    propensity_S: NDArray[np.float64]
    choice: Choice | None
    given_of: Mapping[str, NDArray[np.float64]]
