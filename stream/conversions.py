"""The values that tell of what follows a click: conversions and opinions.

# N clicks, S clicked items
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from stream.values import Shown


@dataclass(frozen=True, slots=True)
class Conversions:
    """Clicks of which is known whether they converted, by time of maturity.

    `value_N` is the sum of the values of a click's conversions, 0 where none came or none was
    given.
    """

    ts_N: NDArray[np.int64]
    is_converted_N: NDArray[np.bool_]
    value_N: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.ts_N)


def no_conversions() -> Conversions:
    """No click at all."""
    return Conversions(np.zeros(0, np.int64), np.zeros(0, np.bool_), np.zeros(0))


@dataclass(frozen=True, slots=True)
class PredictedConversions:
    """Clicked items of lists of which is known whether they converted, as they were predicted.

    By time of maturity `ts_N`: when the conversion window of the click had passed. An item clicked
    twice on its list counts once. `probability_of` holds, by name, what each learner had answered
    when the list was shown: how likely a click on the item converts, nan where it told nothing.
    """

    ts_N: NDArray[np.int64]
    is_converted_N: NDArray[np.bool_]
    probability_of: Mapping[str, NDArray[np.float64]]

    def __len__(self) -> int:
        return len(self.ts_N)


def none_predicted() -> PredictedConversions:
    """No clicked item at all."""
    return PredictedConversions(np.zeros(0, np.int64), np.zeros(0, np.bool_), {})


@dataclass(frozen=True, slots=True)
class ConversionLessons:
    """What learners learn of clicks, in the contexts that were scored, beside lists.

    Each clicked item is told when it is clicked, as not converted: it is only presumed so. If it
    converts, it is told once more, as converted, when its first conversion comes. Items clicked on
    lists are told the first time with their list (`ShownLessons`) and the second time here; clicks
    on no list both times here, at the place 0.
    """

    shown: "Shown"
    is_converted: bool

    def __len__(self) -> int:
        return len(self.shown.item_S)


@dataclass(frozen=True, slots=True)
class Opinions:
    """Feedback on what was clicked or shown, in order of time.

    `kind_N` is the place of each kind in `FEEDBACK_KINDS`, `value_N` nan where none was given.
    """

    ts_N: NDArray[np.int64]
    kind_N: NDArray[np.int64]
    value_N: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.ts_N)


def no_opinions() -> Opinions:
    """No feedback at all."""
    return Opinions(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
