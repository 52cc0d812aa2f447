"""Durations as people write them: `500ms`, `30s`, `10m`, `1h`, `7d`.

Examples
--------
>>> parse_duration_ms("10m")
600000
>>> parse_duration_ms("1.5h")
5400000
>>> format_duration_ms(5_400_000)
'90m'

A span is a duration or a number of events:

>>> parse_span("30m"), parse_span("5000 events")
(Span(time_ms=1800000, events=None), Span(time_ms=None, events=5000))
"""

import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, ValidationInfo

WRITTEN_BY_PEOPLE = "written by people"
"""Validation context of settings that come as text: a bare number is no duration there."""

_UNIT_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_PATTERN = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)")
_EVENTS_PATTERN = re.compile(r"(\d+(?:_\d+)*)\s*events?")


def parse_duration_ms(value: object) -> int:
    """Milliseconds of a duration such as `10m`; a whole number is milliseconds already.

    Raises
    ------
    ValueError
        If the value is negative, or neither a whole number nor a number with one of the units.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str) and (match := _PATTERN.fullmatch(value.strip())):
        return round(float(match[1]) * _UNIT_MS[match[2]])
    raise ValueError("expected a duration with its unit, such as 500ms, 30s, 10m, 1h or 7d")


def format_duration_ms(duration_ms: int) -> str:
    """The shortest exact text of a duration: its largest unit that divides it."""
    for unit in ("w", "d", "h", "m", "s"):
        if duration_ms and duration_ms % _UNIT_MS[unit] == 0:
            return f"{duration_ms // _UNIT_MS[unit]}{unit}"
    return f"{duration_ms}ms"


def lasted_text(duration_ms: int) -> str:
    """A time span in its two largest units.

    Examples
    --------
    >>> [lasted_text(ms) for ms in (40_000, 90 * 60_000, 26 * 3_600_000, 14 * 86_400_000)]
    ['40s', '1h 30m', '1d 2h', '14d']
    """
    left_s = duration_ms // 1000
    parts = []
    for unit, size_s in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        count, left_s = divmod(left_s, size_s)
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts[:2]) or "0s"


def _validated(value: object, info: ValidationInfo) -> int:
    # In code the name of a setting is enough; a person who writes 30 means seconds or minutes.
    if info.context == WRITTEN_BY_PEOPLE and isinstance(value, int) and value != 0:
        raise ValueError("expected a duration with its unit, such as 500ms, 30s, 10m, 1h or 7d")
    return parse_duration_ms(value)


DurationMs = Annotated[
    int,
    BeforeValidator(_validated),
    PlainSerializer(format_duration_ms, return_type=str),
]


@dataclass(frozen=True, slots=True)
class Span:
    """A length of the stream, in event time or in events; the other of the two is None.

    Raises
    ------
    ValueError
        If not exactly one of the two is given, or it is negative.
    """

    time_ms: int | None = None
    events: int | None = None

    def __post_init__(self) -> None:
        if (self.time_ms is None) == (self.events is None) or self.size < 0:
            raise ValueError(f"expected a time or a number of events, at least 0, got {self!r}")

    @property
    def size(self) -> int:
        """How long it is, in its own unit."""
        return self.time_ms if self.time_ms is not None else self.events or 0

    def along(self, ts_ms: int, n_events: int) -> int:
        """Of a place in the stream, the coordinate that this span is measured in.

        Examples
        --------
        >>> Span(events=50).along(ts_ms=1_700_000_000_000, n_events=120)
        120
        """
        return ts_ms if self.time_ms is not None else n_events

    def __str__(self) -> str:
        return format_duration_ms(self.size) if self.events is None else f"{self.events} events"


def parse_span(value: object) -> Span:
    """The span of a text such as `30m` or `5000 events`; a whole number is milliseconds already.

    Raises
    ------
    ValueError
        If the value is negative, or neither a duration nor a number of events.
    """
    if isinstance(value, Span):
        return value
    if isinstance(value, str) and (match := _EVENTS_PATTERN.fullmatch(value.strip())):
        return Span(events=int(match[1]))
    try:
        return Span(time_ms=parse_duration_ms(value))
    except ValueError as err:
        raise ValueError(_EXPECTED_SPAN) from err


_EXPECTED_SPAN = (
    "expected a duration with its unit, such as 30m or 7d, "
    "or a number of events, such as 5000 events"
)


def _validated_span(value: object, info: ValidationInfo) -> Span:
    if info.context == WRITTEN_BY_PEOPLE and isinstance(value, int) and value != 0:
        raise ValueError(_EXPECTED_SPAN)
    return parse_span(value)


SpanSetting = Annotated[Span, BeforeValidator(_validated_span), PlainSerializer(str)]
