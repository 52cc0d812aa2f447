"""What is read of users and of their requests, and the columns that it takes.

Nothing is read that was not declared: an event may carry more.
"""

from itertools import accumulate
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PositiveFloat, model_validator

HARMONICS = 3
"""Sines and cosines that a cycle takes of each: a third of a day can stand out from the rest."""

Clock = Literal["day", "week"]


class FieldConfig(BaseModel):
    """A field and how it is read; `device: category` is short for `device: {kind: category}`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["category", "number", "cycle"]
    """A text, a truth value or a whole number that stands for itself; a number that measures; or
    one that starts again at 0 when it reaches `period`, as an angle does."""
    scale: Literal["moments", "sizes"] = "moments"
    """How a number is brought to the scale of the others: by the mean and deviation of what came
    so far; or by its size alone, in halves of an octave, each with a vector of its own: for
    numbers that spread over several powers of ten."""
    period: PositiveFloat | None = None

    @model_validator(mode="after")
    def _only_a_cycle_has_a_period(self) -> "FieldConfig":
        if (self.kind == "cycle") != (self.period is not None):
            need = "needs its period" if self.kind == "cycle" else "has no period"
            raise ValueError(f"a {self.kind} {need}: got period {self.period}")
        return self

    @property
    def is_token(self) -> bool:
        """Whether each of its values has a vector of its own."""
        return self.kind == "category" or (self.kind == "number" and self.scale == "sizes")


def _spelled_out(given: Any) -> Any:
    return {"kind": given} if isinstance(given, str) else given


Fields = dict[str, Annotated[FieldConfig, BeforeValidator(_spelled_out)]]


class ProfileConfig(BaseModel):
    """What is read of `user` events."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    words: int = Field(default=0, ge=0, le=256)
    """First words of the text; 0 reads none."""
    values: int = Field(default=0, ge=0, le=256)
    """First values of attributes that are not declared below, each as it is; 0 reads none."""
    attributes: Fields = {}
    """Attributes that are read on their own: numbers mostly."""


class InputsConfig(BaseModel):
    """What is known of who asks, beside the clicks.

    Declare what a request carries *before* it is answered. What describes the item that was
    clicked, its price say, would tell the answer with the question.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    context: Fields = {}
    """Fields of the `context` of clicks and lists."""
    clock: tuple[Clock, ...] = ()
    """Cycles of event time, in UTC: the hour of the `day`, the day of the `week`."""
    profile: ProfileConfig = ProfileConfig()
    token_buckets: int = Field(default=4_096, ge=2, le=2**24)
    """Learned vectors that all tokens share."""

    @model_validator(mode="after")
    def _clocks_differ(self) -> "InputsConfig":
        if len(set(self.clock)) < len(self.clock):
            raise ValueError(f"clock: each cycle once, got {', '.join(self.clock)}")
        return self

    @property
    def is_on(self) -> bool:
        """Whether anything is declared."""
        return bool(self.n_tokens or self.n_numbers)

    @property
    def reads_profiles(self) -> bool:
        """Whether anything is read of `user` events."""
        return bool(self.n_profile_tokens or self.n_profile_numbers)

    @property
    def token_blocks(self) -> tuple[tuple[int, int], ...]:
        """Where the columns of tokens begin and end that count as one: words, values, each field.

        Those of the profile come first.
        """
        widths = [self.profile.words, self.profile.values]
        widths += [1] * (n_token_columns(self.profile.attributes) + n_token_columns(self.context))
        ends = list(accumulate(widths))
        return tuple((end - width, end) for end, width in zip(ends, widths, strict=True) if width)

    @property
    def n_tokens(self) -> int:
        """Columns of tokens."""
        return self.n_profile_tokens + n_token_columns(self.context)

    @property
    def n_profile_tokens(self) -> int:
        """Those of the profile, which come first."""
        profile = self.profile
        return profile.words + profile.values + n_token_columns(profile.attributes)

    @property
    def n_numbers(self) -> int:
        """Columns of numbers."""
        n_of_clock = 2 * HARMONICS * len(self.clock)
        return self.n_profile_numbers + n_number_columns(self.context) + n_of_clock

    @property
    def n_profile_numbers(self) -> int:
        """Those of the profile, which come first."""
        return n_number_columns(self.profile.attributes)


def n_token_columns(fields: Fields) -> int:
    """Columns of tokens that fields take."""
    return sum(field.is_token for field in fields.values())


def n_number_columns(fields: Fields) -> int:
    """Columns of numbers that fields take.

    Examples
    --------
    >>> angle = FieldConfig(kind="cycle", period=360)
    >>> n_number_columns({"wind": angle, "speed": FieldConfig(kind="number")})
    7
    """
    widths = {"category": 0, "number": 1, "cycle": 2 * HARMONICS}
    return sum(widths[field.kind] for field in fields.values() if not field.is_token)
