"""The bounds of what alerts may have done.

A boost, a freeze and a switch last while a rule fires. Each has a longest time (`at_most`), a
number of beginnings within 24 hours of event time (`at_most_per_day`), and a pause after each
before the next one begins (`cool_down`).
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from evaluators.ranking import compared_names
from stream.durations import DurationMs

_DAY_MS = 86_400_000
_HOUR_MS = 3_600_000

_Factor = Annotated[float, Field(ge=1.0, le=100.0)]
_Limit = Annotated[DurationMs, Field(gt=0)]
_Count = Annotated[int, Field(ge=1, le=1_000)]


class BoostConfig(BaseModel):
    """How much faster the champion learns while a `boost` rule fires, and for how long at most.

    Attributes
    ----------
    replay_factor : float
        Times `learner.replay_ratio`; 1 .. 100.
    learning_rate_factor : float
        Times the learning rate; 1 .. 100.
    at_most : duration
        Event time after which a boost ends although the rule still fires.
    at_most_per_day : int
        How many may begin within 24 hours of event time.
    cool_down : duration
        Event time after the end of one before the next one may begin.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    replay_factor: _Factor = 2.0
    learning_rate_factor: _Factor = 1.5
    at_most: _Limit = _DAY_MS
    at_most_per_day: _Count = 24
    cool_down: DurationMs = 0


class FreezeConfig(BaseModel):
    """How long at most the champion stops learning while a `freeze` rule fires, and how often."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    at_most: _Limit = _DAY_MS
    at_most_per_day: _Count = 24
    cool_down: DurationMs = 0


class RollbackConfig(BaseModel):
    """How often at most weights go back to an anchor, and when that is given up.

    Attributes
    ----------
    at_most_every : duration
        Event time from one rollback to the next; a rule that still fires after it was not helped.
    at_most_per_day : int
        How many may be done within 24 hours of event time.
    attempts : int
        How many are done, each to an older anchor than the one before, until all rules that ask
        for one have resolved.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    at_most_every: _Limit = _DAY_MS
    at_most_per_day: _Count = 24
    attempts: _Count = 3


class SwitchConfig(BaseModel):
    """Which shadow is served while a `switch` rule fires, for how long at most, and how often.

    Attributes
    ----------
    metric : str, optional
        The figure by which the best shadow is found: recall, mrr or ndcg at one of `ranking.ks`.
        Unset: recall at the longest.
    over : str
        The window it is read from: total, events, time or faded.
    better_by : float
        A shadow that is no more than this better than the champion is not served.
    min_samples : int
        With fewer samples behind the figures nobody is the best.
    at_most, at_most_per_day, cool_down
        As of a boost.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    metric: str | None = None
    over: Literal["total", "events", "time", "faded"] = "events"
    better_by: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    min_samples: PositiveInt = 100
    at_most: _Limit = _DAY_MS
    at_most_per_day: _Count = 24
    cool_down: DurationMs = _HOUR_MS


class ReactionsConfig(BaseModel):
    """The bounds of what alerts may do."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    boost: BoostConfig = BoostConfig()
    freeze: FreezeConfig = FreezeConfig()
    rollback: RollbackConfig = RollbackConfig()
    switch: SwitchConfig = SwitchConfig()


def check_switch(config: SwitchConfig, ks: tuple[int, ...]) -> None:
    """Check that shadows are compared by the figure that a switch goes by.

    Raises
    ------
    ValueError
        If it is not kept of shadows.

    Examples
    --------
    >>> check_switch(SwitchConfig(metric="ctr"), (10,))
    Traceback (most recent call last):
    ...
    ValueError: alerts.reactions.switch: metric 'ctr' is not kept of shadows; write one of \
recall@10, mrr@10, ndcg@10
    """
    known = compared_names(ks)
    if config.metric is not None and config.metric not in known:
        raise ValueError(
            f"alerts.reactions.switch: metric {config.metric!r} is not kept of shadows; write one "
            f"of {', '.join(known)}"
        )
