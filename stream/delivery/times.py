"""Times as other programs read them."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_MS = 253_402_300_799_000  # the end of the year 9999: RFC 3339 has four digits


def iso_time(ts_ms: int) -> str:
    """A time in milliseconds since the epoch, as RFC 3339; one beyond all calendars is its end.

    Examples
    --------
    >>> iso_time(1_767_225_600_500)
    '2026-01-01T00:00:00.500Z'
    >>> iso_time(10**18)
    '9999-12-31T23:59:59.000Z'
    """
    time = _EPOCH + timedelta(milliseconds=min(max(ts_ms, 0), _LAST_MS))
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
