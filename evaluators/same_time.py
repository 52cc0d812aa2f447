"""What is normal at this time of the week: a figure's own readings around the same time before.

# T buckets

Traffic and taste go up and down with the hour and the day: against the mean of a whole week every
night would be a drop. Against the same hour of the week before, only what is new is.
"""

from typing import Annotated, Any

import numpy as np
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from stream.durations import DurationMs, Span, SpanSetting, format_duration_ms
from stream.rule_naming import first_error, refuse_unknown_keys
from stream.values import State

BUCKETS_OF_OVER = 16
"""`over` in buckets: its edges are as coarse as a sixteenth of it."""

MAX_TIMES_OVER = 10_000
"""`same_time_before` is at most so many times `over`, so that 2.6 MB hold the readings."""

_SCHEMA_VERSION = 1


class SameTimeBefore(BaseModel):
    """A stretch of event time around the same time before.

    Attributes
    ----------
    same_time_before : duration
        How long before: `7d` for the week, `1d` where only the hour of the day matters.
    over : duration
        How long the stretch is; it lies half before and half after that time.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    same_time_before: Annotated[DurationMs, Field(gt=0)]
    over: Annotated[DurationMs, Field(gt=0)] = 3_600_000

    @model_validator(mode="before")
    @classmethod
    def _keys_are_known(cls, values: Any) -> Any:
        refuse_unknown_keys(cls, values)
        return values

    @model_validator(mode="after")
    def _lies_before(self) -> "SameTimeBefore":
        if not self.over <= self.same_time_before <= MAX_TIMES_OVER * self.over:
            raise ValueError(
                f"same_time_before {format_duration_ms(self.same_time_before)} must be 1 to "
                f"{MAX_TIMES_OVER} times over {format_duration_ms(self.over)}; "
                "write for example {same_time_before: 7d, over: 1h}"
            )
        return self

    @property
    def size(self) -> int:
        """How far it reaches back, in milliseconds."""
        return self.same_time_before

    def along(self, ts_ms: int, n_events: int) -> int:  # noqa: ARG002 - a `Span` may count events
        """Of a place in the stream, the coordinate that it is measured in: event time."""
        return ts_ms

    def check_steps(self, title: str, every_ms: int) -> None:
        """Refuse a stretch that steps so far apart may pass over."""
        if self.over < 2 * every_ms:
            raise ValueError(
                f"{title}: reference.over {format_duration_ms(self.over)} holds fewer than two "
                f"steps of evaluate_every {format_duration_ms(every_ms)}; write a longer one, such "
                f"as {format_duration_ms(10 * every_ms)}"
            )


_SAME_TIME: TypeAdapter[SameTimeBefore] = TypeAdapter(SameTimeBefore)
_SPAN: TypeAdapter[Span] = TypeAdapter(SpanSetting)


def _validated(written: object, info: ValidationInfo) -> Span | SameTimeBefore:
    """What was written, by its shape: a union would tell what is wrong with it as either."""
    if isinstance(written, Span | SameTimeBefore):
        return written
    try:
        if isinstance(written, dict):
            return _SAME_TIME.validate_python(written, context=info.context)
        return _SPAN.validate_python(written, context=info.context)
    except ValidationError as err:
        raise ValueError(first_error(err)) from err


def _as_written(reference: Span | SameTimeBefore) -> str | dict[str, str]:
    return str(reference) if isinstance(reference, Span) else reference.model_dump(mode="json")


ReferenceSetting = Annotated[
    Span | SameTimeBefore, BeforeValidator(_validated), PlainSerializer(_as_written)
]
"""`7d`, `50000 events`, or `{same_time_before: 7d, over: 1h}`."""


class SameTimeReference:
    """The level that a drop is measured from: the mean of the readings around the same time before.

    It is not known, and the rule's state held, unless readings lie in both halves of the stretch.
    While the rule is pending or fires, what it is measured from is kept as the reading of that
    time, so that a week later an incident is not the normal. Only a rule that has fired for as
    long as `same_time_before` takes what was read meanwhile for normal; see `Reference`.

    Memory is fixed: two times 16 bytes for each sixteenth of `over` in `same_time_before`, 86 KB
    with a week and an hour.

    Parameters
    ----------
    span : SameTimeBefore
        Which stretch.

    Examples
    --------
    >>> reference = SameTimeReference(SameTimeBefore(same_time_before="1d", over="2h"))
    >>> hour_ms = 3_600_000
    >>> for hour in range(49):
    ...     reference.absorb(hour * hour_ms, float(hour % 24))
    >>> reference.level(48 * hour_ms + 10 * hour_ms)
    10.0
    """

    def __init__(self, span: SameTimeBefore) -> None:
        self._before = span.same_time_before
        self._half = span.over // 2
        width = -(-span.over // BUCKETS_OF_OVER)
        n_buckets = (self._before + self._half) // width + 2
        self._normal = _Readings(width, n_buckets)
        self._read = _Readings(width, n_buckets)
        self._is_held = False

    def level(self, at: int) -> float | None:
        """The reference of a step at this time; None without readings before and after it."""
        return self._around(self._normal, at)

    def renew(self, at: int, fired_at: int) -> bool:
        """Take what was read of late for normal, if the rule has fired long enough for that."""
        if not self._is_held or at - fired_at < self._before:
            return False
        if self._around(self._read, at) is None:
            return False
        self._normal.load_state_dict(self._read.state_dict())
        self._is_held = False
        return True

    def hold(self, level: float) -> None:  # noqa: ARG002 - each step has a level of its own
        """From now on, keep what was normal: the rule has become pending, or fires at once."""
        self._is_held = True

    def release(self) -> None:
        """Take readings for normal again: the rule is inactive."""
        self._is_held = False

    def absorb(self, at: int, value: float) -> None:
        """Take in the reading of a step, after the step itself."""
        normal = self.level(at) if self._is_held else value
        if normal is not None:
            self._normal.add(at, normal)
        self._read.add(at, value)

    def state_dict(self) -> State:
        return {
            "schema_version": _SCHEMA_VERSION,
            "normal": self._normal.state_dict(),
            "read": self._read.state_dict(),
            "is_held": self._is_held,
        }

    def load_state_dict(self, state: State) -> None:
        self._normal.load_state_dict(state["normal"])
        self._read.load_state_dict(state["read"])
        self._is_held = state["is_held"]

    def _around(self, readings: "_Readings", at: int) -> float | None:
        middle = at - self._before
        return readings.mean(middle - self._half, middle, middle + self._half)


class _Readings:
    """Sums and counts of readings in buckets of event time, a ring of them."""

    def __init__(self, width: int, n_buckets: int) -> None:
        self._width = width
        self._sum_T = np.zeros(n_buckets)
        self._count_T = np.zeros(n_buckets, np.int64)
        self._newest_bucket = 0

    def add(self, at: int, value: float) -> None:
        """Take in a reading; times never decrease."""
        bucket = at // self._width
        n_passed = min(bucket - self._newest_bucket, len(self._sum_T))
        if n_passed > 0:
            slot_P = np.arange(bucket - n_passed + 1, bucket + 1) % len(self._sum_T)
            self._sum_T[slot_P] = 0.0
            self._count_T[slot_P] = 0
            self._newest_bucket = bucket
        self._sum_T[bucket % len(self._sum_T)] += value
        self._count_T[bucket % len(self._sum_T)] += 1

    def mean(self, start: int, middle: int, end: int) -> float | None:
        """The mean from `start` to `end`; None if either half of it is empty."""
        first, border, last = (time // self._width for time in (start, middle, end))
        oldest = max(self._newest_bucket - len(self._sum_T) + 1, 0)
        slot_P = np.arange(max(first, oldest), min(last, self._newest_bucket) + 1)
        n_early = max(border - max(first, oldest), 0)
        slot_P %= len(self._sum_T)
        count_P = self._count_T[slot_P]
        if not count_P[:n_early].any() or not count_P[n_early:].any():
            return None
        return float(self._sum_T[slot_P].sum() / count_P.sum())

    def state_dict(self) -> State:
        return {
            "sum_T": self._sum_T,
            "count_T": self._count_T,
            "newest_bucket": self._newest_bucket,
        }

    def load_state_dict(self, state: State) -> None:
        self._sum_T[:] = state["sum_T"]
        self._count_T[:] = state["count_T"]
        self._newest_bucket = state["newest_bucket"]
