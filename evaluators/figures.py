"""A figure as it is written down: its value over each window, and the samples behind it."""

from collections.abc import Mapping

from stream.values import Reading, Record


def as_record(reading_of: Mapping[str, Reading | None]) -> Record:
    """A figure over the windows where it has a value; empty where it has none.

    Examples
    --------
    >>> as_record({"total": Reading(0.5, 8), "time": None})
    {'total': 0.5, 'samples': {'total': 8}}
    """
    found = {over: reading for over, reading in reading_of.items() if reading is not None}
    if not found:
        return {}
    return {
        **{over: reading.value for over, reading in found.items()},
        "samples": {over: reading.samples for over, reading in found.items()},
    }
