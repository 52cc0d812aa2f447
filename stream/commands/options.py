"""Options that several commands share, as they are written and what they mean.

Raises
------
UsageError
    From each: names the option, what came and what was expected.
"""

import math
from pathlib import Path
from typing import Annotated

import typer

from stream.errors import UsageError

_CONFIG = typer.Option("--config", "-c", metavar="FILE", help="A YAML file of settings.")
ConfigOption = Annotated[Path | None, _CONFIG]
NeededConfigOption = Annotated[Path, _CONFIG]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        "-s",
        metavar="KEY=VALUE",
        help="Set one key, such as learner.width=128; may be given many times.",
    ),
]
MapOption = Annotated[
    str | None,
    typer.Option(
        "--map",
        metavar="FIELD=COLUMN,...",
        help="Columns (or JSON fields) that hold an event's fields.",
    ),
]
FromOption = Annotated[
    str | None, typer.Option("--from", metavar="TIME", help="First event time: ISO 8601, or ms.")
]
UntilOption = Annotated[
    str | None, typer.Option("--until", metavar="TIME", help="Event time to stop before.")
]


def time_ms(option: str, text: str | None) -> int | None:
    """Milliseconds of a time as people write it."""
    from stream.decoding import ts_ms

    if text is None:
        return None
    try:
        return ts_ms(text)
    except ValueError as err:
        raise UsageError(
            f"{option} {text}: expected ISO 8601, such as 2024-01-31 or 2024-01-31T18:30:00Z, "
            "or milliseconds since 1970"
        ) from err


def above_zero(option: str, number: float | None) -> float | None:
    """The number, if it is one that something can be paced by."""
    if number is not None and not 0 < number < math.inf:
        raise UsageError(f"{option} {number:g}: expected a number above 0, such as 60")
    return number


def columns_of(text: str | None) -> dict[str, str]:
    """The column of each field named in `--map`."""
    pairs = [pair.partition("=") for pair in text.split(",")] if text else []
    for name, _, column in pairs:
        if not name or not column:
            raise UsageError(
                f"--map {text}: expected FIELD=COLUMN, separated by commas, such as "
                "user=visitorid,item=itemid,ts=timestamp"
            )
    return {name: column for name, _, column in pairs}
