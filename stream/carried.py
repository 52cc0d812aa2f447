"""What requests carried, cut down to what was declared.

# N requests
"""

from collections.abc import Mapping, Sequence
from typing import Any

Carried = Sequence[Mapping[str, Any] | None]
"""What each request carried, None for one that carried nothing."""

_MAX_CHARACTERS = 64


def texts_of(carried: Carried, fields: Sequence[str]) -> list[Mapping[str, Any]]:
    """The fields that hold a text, a number or a truth value, as short texts.

    Examples
    --------
    >>> texts_of([{"device": "tv", "hour": 7, "cart": [1]}, None], ["hour", "cart"])
    [{'hour': '7'}, {}]
    """
    return [
        {
            name: str(value)[:_MAX_CHARACTERS]
            for name in fields
            if isinstance(value := (context or {}).get(name), str | int | float)
        }
        for context in carried
    ]


def joined(one: Carried, other: Carried) -> list[Mapping[str, Any] | None] | None:
    """What both say of each request, the second where they differ; None if neither says anything.

    Examples
    --------
    >>> joined([{"hour": "7"}, {}], [None, None])
    [{'hour': '7'}, None]
    """
    both: list[Mapping[str, Any] | None] = [
        {**(first or {}), **(second or {})} or None
        for first, second in zip(one, other, strict=True)
    ]
    return both if any(both) else None
