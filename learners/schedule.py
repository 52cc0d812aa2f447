"""How learning rates change over a stream that has no end.

A schedule made for a known number of steps has nothing to say here: rates rise once, may fall
once, and then stay, so that a stream which changes is still followed after months.
"""

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt


class ScheduleConfig(BaseModel):
    """Rates as they are configured, unless this says otherwise."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    warmup_steps: NonNegativeInt = 0
    """Steps over which the rates rise evenly to what is configured."""
    decay_steps: PositiveInt | None = None
    """Steps after which rates fall with one over the square root of the steps."""
    floor: float = Field(default=0.1, gt=0.0, le=1.0)
    """Share of the configured rates below which they never fall."""


def rate_factor(config: ScheduleConfig, n_steps: int) -> float:
    """What multiplies the configured rates in the step after `n_steps` others.

    Examples
    --------
    >>> config = ScheduleConfig(warmup_steps=4, decay_steps=100)
    >>> [rate_factor(config, n) for n in (0, 3, 99, 399, 10**6)]
    [0.25, 1.0, 1.0, 0.5, 0.1]
    """
    step = n_steps + 1
    factor = min(step / config.warmup_steps, 1.0) if config.warmup_steps else 1.0
    if config.decay_steps is not None and step > config.decay_steps:
        factor *= max((config.decay_steps / step) ** 0.5, config.floor)
    return factor
