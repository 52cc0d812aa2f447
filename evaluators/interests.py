"""How interests move: what groups of items are clicked of late, against what was before.

# B clicks of a batch, G groups
"""

import math

import numpy as np
from pydantic import BaseModel, ConfigDict

from evaluators.figures import as_record
from evaluators.group_clicks import GroupClicks
from evaluators.history_lengths import HistoryBounds, cohorts_of, length_names
from evaluators.item_groups import ItemGroups
from evaluators.windows import WINDOWS, WindowSizes
from stream.values import Changes, Float64s, Int64s, Outcomes, Reading, Record, State

INTEREST_METRICS = ("interest_shift",)

MIN_COHORT_CLICKS = 100
"""A cohort's mix is not told of fewer clicks: its distance would be mostly chance."""

MAX_MOVERS = 8
"""Groups that rise, and groups that fall, told in a record."""

_SCHEMA_VERSION = 1


class InterestsConfig(BaseModel):
    """Whether it is judged how interests move, and whose are told apart.

    Attributes
    ----------
    enabled : bool
        Costs about a third of what the ranking figures of one learner cost, for each cohort that
        has clicks.
    cohorts : tuple of int
        Lengths of history at which another cohort of users begins; `[]` tells none apart. Lengths
        past `learner.history_items` are never reached.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = True
    cohorts: HistoryBounds = (1, 5, 20)


class InterestsJudge:
    """The distance between the groups clicked of late and those clicked before.

    It is the Jensen-Shannon distance of the two mixes with logarithms to base 2 [1]_: 0 where they
    are equal, 1 where they share no group. Over `events` and `time`, what lies in the window is
    held against everything before it; over `faded`, against everything. There is none over
    `total`. A mix of few clicks is a rough one, and so is its distance above 0: of n clicks on
    equal interests in G groups about sqrt((G - 1) / (6 n)). Clicks on items of no known group are
    left out.

    Memory: `sizes.events` bytes and 63 x G x 8 bytes for each cohort.

    Parameters
    ----------
    config : InterestsConfig
    sizes : WindowSizes
        Of the windows; a sample is a click.
    groups : ItemGroups
        What is known of the items; somebody else keeps it up to date.
    clicks : GroupClicks
        All clicks by group; somebody else keeps it up to date.

    References
    ----------
    .. [1] Endres, Schindelin. A new metric for probability distributions. IEEE Transactions on
       Information Theory 49(7), 2003.
    """

    def __init__(
        self,
        config: InterestsConfig,
        sizes: WindowSizes,
        groups: ItemGroups,
        clicks: GroupClicks,
    ) -> None:
        self._bounds = config.cohorts
        self._groups = groups
        self._clicks = clicks
        names = length_names(config.cohorts) if config.cohorts else []
        self._cohorts = {name: GroupClicks(groups.max_groups, sizes) for name in names}

    def update(self, outcomes: Outcomes) -> None:
        """Judge the clicks of a batch, and move the time."""
        if not self._cohorts:
            return
        group_B = self._groups.of(outcomes.answer_B)
        cohort_B = cohorts_of(outcomes, self._bounds)
        for number, clicks in enumerate(self._cohorts.values()):
            clicks.update(outcomes, group_B, cohort_B == number)

    def follow(self, changes: Changes) -> None:
        """Nothing is held by row or by user."""

    def record(self) -> Record:
        """The figure, each cohort's, and what rises and falls over `events`."""
        figure = _figure(self._clicks)
        figure_of = {
            name: _figure(clicks, MIN_COHORT_CLICKS) for name, clicks in self._cohorts.items()
        }
        rising, falling = self._movers()
        return {
            "metrics": {"interest_shift": figure} if figure else {},
            "interests": {
                "cohorts": {
                    name: {"interest_shift": one} for name, one in figure_of.items() if one
                },
                "rising": rising,
                "falling": falling,
            },
        }

    def reading(self, metric: str, over: str) -> Reading | None:
        """The figure over one window; None without a sample in it and before it."""
        if metric != "interest_shift":
            raise ValueError(f"expected interest_shift, got {metric}")
        return _shift(self._clicks, over)

    def state_dict(self) -> State:
        return {
            "schema_version": _SCHEMA_VERSION,
            "cohorts": {name: clicks.state_dict() for name, clicks in self._cohorts.items()},
        }

    def load_state_dict(self, state: State) -> None:
        for name, clicks in self._cohorts.items():
            clicks.load_state_dict(state["cohorts"][name])

    def _movers(self) -> tuple[list[Record], list[Record]]:
        """The groups whose share of clicks rose most, and those whose share fell most."""
        recent_G, past_G = _recent_and_past(self._clicks, "events")
        if not recent_G.any() or not past_G.any():
            return [], []
        recent_G, past_G = recent_G / recent_G.sum(), past_G / past_G.sum()
        change_G = recent_G - past_G
        order = np.argsort(-change_G, kind="stable")
        told = [
            {"group": self._groups.names[group + 1], "recent": recent, "past": past}
            for group, recent, past in zip(
                order.tolist(), recent_G[order].tolist(), past_G[order].tolist(), strict=True
            )
            if recent != past
        ]
        rising = [one for one in told if one["recent"] > one["past"]]
        falling = [one for one in reversed(told) if one["recent"] < one["past"]]
        return rising[:MAX_MOVERS], falling[:MAX_MOVERS]


def jensen_shannon(left_G: Int64s | Float64s, right_G: Int64s | Float64s) -> float | None:
    """The Jensen-Shannon distance of two mixes, to base 2; None where one of them is empty.

    Examples
    --------
    >>> jensen_shannon(np.array([2, 0]), np.array([0, 3])), jensen_shannon(
    ...     np.array([1, 1]), np.array([2, 2])
    ... )
    (1.0, 0.0)
    """
    if not left_G.any() or not right_G.any():
        return None
    left, right = left_G / left_G.sum(), right_G / right_G.sum()
    middle = (left + right) / 2
    divergence = 0.0
    for mix in (left, right):
        is_there_G = mix > 0
        there = mix[is_there_G]
        divergence += float((there * np.log2(there / middle[is_there_G])).sum()) / 2
    # Rounding may leave a hair outside.
    return math.sqrt(min(max(divergence, 0.0), 1.0))


def _recent_and_past(clicks: GroupClicks, over: str) -> tuple[Int64s | Float64s, Int64s | Float64s]:
    """Clicks of the known groups in a window, and those before it."""
    total_G, recent_G = clicks.over("total")[1:], clicks.over(over)[1:]
    return recent_G, total_G if over == "faded" else total_G - recent_G


def _shift(clicks: GroupClicks, over: str) -> Reading | None:
    if over == "total":
        return None
    recent_G, past_G = _recent_and_past(clicks, over)
    distance = jensen_shannon(recent_G, past_G)
    return None if distance is None else Reading(distance, recent_G.sum().item())


def _figure(clicks: GroupClicks, min_samples: int = 1) -> Record:
    """The figure over the windows with so many clicks."""
    readings = {over: _shift(clicks, over) for over in WINDOWS}
    return as_record(
        {
            over: reading
            for over, reading in readings.items()
            if reading is not None and reading.samples >= min_samples
        }
    )
