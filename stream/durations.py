"""Durations as people write them: `500ms`, `30s`, `10m`, `1h`, `7d`.

Examples
--------
>>> parse_duration_ms("10m")
600000
>>> parse_duration_ms("1.5h")
5400000
>>> format_duration_ms(5_400_000)
'90m'
"""

import re
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, ValidationInfo

WRITTEN_BY_PEOPLE = "written by people"
"""Validation context of settings that come as text: a bare number is no duration there."""

_UNIT_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_PATTERN = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)")


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
