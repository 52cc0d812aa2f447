"""What follows clicks, conversions and feedback, meets them and is counted.

# K sequels
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from stream.conversions import (
    ConversionLessons,
    Conversions,
    Opinions,
    PredictedConversions,
    no_conversions,
    no_opinions,
    none_predicted,
)
from stream.events import FEEDBACK_KINDS, Conversion, Feedback
from stream.joining.click_matching import Matches
from stream.joining.followups import Followups
from stream.values import Bools, Int64s


@dataclass(frozen=True, slots=True)
class Answered:
    """What the clicks and sequels of a batch came to; no matches if no click is remembered."""

    matches: Matches | None = None
    conversions: Conversions = field(default_factory=no_conversions)
    lessons: tuple[ConversionLessons, ...] = ()
    predicted: PredictedConversions = field(default_factory=none_predicted)
    opinions: Opinions = field(default_factory=no_opinions)


@dataclass(frozen=True, slots=True)
class Joined:
    """What became of sequels: counts, the numbers of the clicks that converted, and opinions."""

    counts: Counter[str] = field(default_factory=Counter)
    converted: list[int] = field(default_factory=list)
    opinions: Opinions = field(default_factory=no_opinions)


def join_sequels(
    sequels: Sequence[Conversion | Feedback],
    pair_K: Int64s,
    is_shown_K: Bools,
    followups: Followups,
) -> Joined:
    """Join sequels to the clicks that they follow, in order.

    Parameters
    ----------
    sequels : sequence of Conversion or Feedback
    pair_K : int64 array
        The key of the user and the item of each, see `pair_keys`.
    is_shown_K : bool array
        Whether a list that waits shows the item to the user: feedback may follow it without a
        click.
    followups : Followups
        The clicks that wait.
    """
    counts, numbers, opinions = Counter[str](), list[int](), list[Feedback]()
    for event, pair, is_shown in zip(sequels, pair_K.tolist(), is_shown_K.tolist(), strict=True):
        ts = int(event.ts)
        if isinstance(event, Conversion):
            request = None if event.request_id is None else str(event.request_id)
            verdict, number = followups.convert(pair, ts, request, event.value or 0.0)
            counts[f"{verdict}_conversions"] += 1
            numbers.append(number)
        elif is_shown or followups.has_click(pair, ts):
            counts[f"feedback_{event.kind}"] += 1
            opinions.append(event)
        else:
            counts["orphan_feedback"] += 1
    return Joined(counts, numbers, _opinions(opinions))


def _opinions(joined: Sequence[Feedback]) -> Opinions:
    return Opinions(
        np.array([int(event.ts) for event in joined], np.int64),
        np.array([FEEDBACK_KINDS.index(event.kind) for event in joined], np.int64),
        np.array(
            [math.nan if event.value is None else event.value for event in joined], np.float64
        ),
    )
