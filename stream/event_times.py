"""Instants of event time as people write them: ISO 8601, or milliseconds since 1970.

Examples
--------
>>> iso_text(1_704_067_200_000), iso_text(1_704_067_200_250)
('2024-01-01T00:00:00Z', '2024-01-01T00:00:00.250Z')
"""

from datetime import UTC, date, datetime
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer

from stream.decoding import ts_ms


def iso_text(ts_ms: int) -> str:
    """An instant as ISO 8601 in UTC, exact to the millisecond."""
    whole_s, ms = divmod(ts_ms, 1000)
    fraction = f".{ms:03d}" if ms else ""
    return f"{datetime.fromtimestamp(whole_s, UTC):%Y-%m-%dT%H:%M:%S}{fraction}Z"


def parse_instant_ms(value: Any) -> int:
    """Milliseconds of an instant; without a zone it is UTC.

    YAML makes a date of some texts: that is its first instant.

    Examples
    --------
    >>> parse_instant_ms("2024-01-01T01:00+01:00"), parse_instant_ms(date(2024, 1, 1))
    (1704067200000, 1704067200000)

    Raises
    ------
    ValueError
        If it is no instant, or one before 1970 or past 2100.
    """
    text = value.isoformat() if isinstance(value, date) else value  # a datetime is one too
    if isinstance(text, str | int) and not isinstance(text, bool):
        try:
            return ts_ms(text)
        except ValueError as err:
            raise ValueError(f"{_EXPECTED}, got {str(text)[:40]!r}") from err
    raise ValueError(f"{_EXPECTED}, got {str(text)[:40]!r}")


_EXPECTED = "expected a time of the events between 1970 and 2100, such as 2024-05-01T00:00:00Z"

InstantMs = Annotated[
    int,
    BeforeValidator(parse_instant_ms),
    PlainSerializer(iso_text, return_type=str),
]
