"""How sure the figures of slices are, and which lie apart from the whole."""

from collections.abc import Mapping
from typing import Any

from evaluators.confidence import share_interval
from stream.reporting.formatting import printable, value_text
from stream.reporting.metrics_table import is_recall
from stream.reporting.run_data import RunData

_ALPHA = 0.05

Ends = tuple[float, float]


def slice_interval(metric: str, parts: Any, window: str, alpha: float = _ALPHA) -> Ends | None:
    """Where a slice's share lies; None of what is no share of whole samples.

    Examples
    --------
    >>> parts = {"total": 0.25, "samples": {"total": 400}}
    >>> [round(end, 3) for end in slice_interval("recall@20", parts, "total")]
    [0.21, 0.295]
    """
    share, samples = _number(parts, window), _number(_mapping(parts).get("samples"), window)
    if not (is_recall(metric) or metric == "ctr") or share is None or samples is None:
        return None
    n_samples = round(samples)
    if n_samples < 1 or not 0 <= share <= 1:
        return None
    return share_interval(round(share * n_samples), n_samples, alpha)


def slices_apart(run: RunData, metric: str) -> dict[str, list[str]]:
    """Slices whose figure since start is beyond chance `below overall` or `above overall`.

    The intervals of all slices hold at once, by a union bound. A slice is compared with the
    figure of all samples, its own among them.
    """
    found: dict[str, list[str]] = {"below overall": [], "above overall": []}
    overall = _number(_mapping(run.summary.get("metrics")).get(metric), "total")
    slices = _mapping(run.summary.get("slices"))
    n_slices = sum(metric in _mapping(one) for one in slices.values())
    if overall is None or not n_slices:
        return {}
    for name, figures in slices.items():
        parts = _mapping(figures).get(metric)
        ends = slice_interval(metric, parts, "total", _ALPHA / n_slices)
        value = _number(parts, "total")
        if ends is None or value is None or ends[0] <= overall <= ends[1]:
            continue
        told = "below overall" if ends[1] < overall else "above overall"
        found[told].append(f"{printable(str(name), 40)} ({value_text(value, metric)})")
    return {told: names for told, names in found.items() if names}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _number(parts: Any, key: str) -> float | None:
    value = _mapping(parts).get(key)
    if not isinstance(value, int | float) or isinstance(value, bool) or value != value:
        return None
    return float(value)
