"""How often items were clicked that were said to be clicked so often: bins of the calibration."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

_FIELDS = ("predicted", "observed", "samples")


class Bin(NamedTuple):
    """Mean prediction and share clicked of the shown items in a bin, and how many they are."""

    predicted: float
    observed: float
    samples: float


def reliability_bins(value: Any, champion: str = "") -> list[Bin]:
    """The bins of a record's `reliability`, by prediction; empty ones are left out.

    It may hold a list for each of `predicted`, `observed` and `samples`, a list of bins, or
    either of them by learner or by window: then the champion's, the one since start or the
    first is taken.

    Examples
    --------
    >>> reliability_bins({"predicted": [0.1, None], "observed": [0.12, None], "samples": [50, 0]})
    [Bin(predicted=0.1, observed=0.12, samples=50.0)]
    """
    if isinstance(value, list):
        return _bins(_row(row) for row in value)
    if not isinstance(value, dict):
        return []
    if isinstance(value.get("predicted"), list):
        columns = [value.get(name) for name in _FIELDS]
        lists = [column if isinstance(column, list) else [] for column in columns]
        return _bins(zip(*lists, strict=False))
    return reliability_bins(_chosen(value, champion), champion)


def _chosen(by_name: Mapping[str, Any], champion: str) -> Any:
    for name in (champion, "total"):
        if name in by_name:
            return by_name[name]
    return next((below for below in by_name.values() if isinstance(below, dict | list)), None)


def _row(row: Any) -> tuple[Any, ...]:
    if isinstance(row, dict):
        return tuple(row.get(name) for name in _FIELDS)
    return tuple(row) if isinstance(row, list) else ()


def _bins(rows: Iterable[tuple[Any, ...]]) -> list[Bin]:
    found = [
        Bin(*(float(number) for number in row))
        for row in rows
        if len(row) == len(_FIELDS) and all(isinstance(number, int | float) for number in row)
    ]
    return sorted(one for one in found if one.samples > 0)
