"""What a simulation knows and no model is told: when things changed, and the true CTR."""

from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from stream.reporting.formatting import percent_text
from stream.values import Float64s, Int64s, Record

HOUR_MS = 3_600_000

# Users who change their taste one by one are no event; half of them within this share of the
# stream are.
_BURST_SHARE = 0.2
_BURST_MIN_USERS = 10
# Names under which the end of a scheduled event may stand.
_END_KEYS = ("ts_end", "end_ts", "end")


@dataclass(frozen=True, slots=True)
class Drift:
    """Something that changed, from when to when; the ends are equal where it took no time."""

    label: str
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class Truth:
    """Known drifts in order of time, and the true CTR of each hour with its weight."""

    drifts: tuple[Drift, ...] = ()
    ctr_ms_H: Int64s | None = None
    ctr_H: Float64s | None = None
    weight_H: Float64s | None = None

    def trailing_ctr(self, ts_ms_N: Int64s, window_ms: int) -> Float64s:
        """The mean true CTR of the hours within a window before each instant; nan without any.

        Parameters
        ----------
        ts_ms_N : int64 array, shape (N,)
            Instants, ascending.
        window_ms : int
            Length of the window; at least an hour is taken.
        """
        if self.ctr_ms_H is None or self.ctr_H is None or self.weight_H is None:
            return np.full(len(ts_ms_N), np.nan)
        sums_H = np.concatenate([[0.0], np.cumsum(self.ctr_H * self.weight_H)])
        weights_H = np.concatenate([[0.0], np.cumsum(self.weight_H)])
        end_N = np.searchsorted(self.ctr_ms_H, ts_ms_N, side="left")
        first_ms_N = ts_ms_N - max(window_ms, HOUR_MS)
        start_N = np.searchsorted(self.ctr_ms_H, first_ms_N, side="left")
        weight_N = weights_H[end_N] - weights_H[start_N]
        mean_N: Float64s = np.full(len(ts_ms_N), np.nan)
        np.divide(sums_H[end_N] - sums_H[start_N], weight_N, out=mean_N, where=weight_N > 0)
        return mean_N


def read_truth(records: Iterable[Record]) -> Truth:
    """Known drifts and the true CTR; facts of other types are passed by.

    Scheduled events are drifts. Where none is scheduled, so is the shortest stretch that holds
    half of the users' changes of taste, if it is short enough to be told from their usual pace.

    Examples
    --------
    >>> read_truth([{"type": "scheduled", "kind": "taste_shift", "ts": 0, "ts_end": 9}]).drifts
    (Drift(label='taste shift', start_ms=0, end_ms=9),)
    """
    drifts: list[Drift] = []
    switch_ms, times = array("q"), array("q")
    hours: dict[int, tuple[float, float]] = {}
    for record in records:
        ts_ms = record.get("ts")
        if not isinstance(ts_ms, int):
            continue
        times.append(ts_ms)
        kind = record.get("type")
        if kind == "scheduled":
            drifts.append(_scheduled(record, ts_ms))
        elif kind == "switch":
            switch_ms.append(ts_ms)
        elif kind == "ctr_hour" and isinstance(ctr := record.get("ctr"), int | float):
            hours[ts_ms] = (float(ctr), _weight(record))
    if not drifts and len(switch_ms) >= _BURST_MIN_USERS:
        drifts = _burst(np.sort(np.array(switch_ms, np.int64)), max(times) - min(times))
    ordered = tuple(sorted(drifts, key=lambda drift: drift.start_ms))
    if not hours:
        return Truth(ordered)
    ctr_ms_H = np.array(sorted(hours), np.int64)
    ctr_H, weight_H = np.array([hours[ts_ms] for ts_ms in ctr_ms_H.tolist()]).T
    return Truth(ordered, ctr_ms_H, ctr_H, weight_H)


def _scheduled(record: Record, ts_ms: int) -> Drift:
    label = str(record.get("kind", "event")).replace("_", " ")
    share = record.get("share")
    if isinstance(share, int | float) and 0 < share <= 1:
        label += f" ({percent_text(share, digits=0)})"
    ends_ms = [record[key] for key in _END_KEYS if isinstance(record.get(key), int)]
    return Drift(label, ts_ms, max(ends_ms[0], ts_ms) if ends_ms else ts_ms)


def _weight(record: Mapping[str, Any]) -> float:
    """How many shown items are behind an hour's CTR; 1 where it is not told."""
    weights = [record.get(key) for key in ("shown", "samples")]
    known = [float(weight) for weight in weights if isinstance(weight, int | float)]
    return known[0] if known else 1.0


def _burst(switch_ms_N: Int64s, stream_ms: int) -> list[Drift]:
    n_users = len(switch_ms_N)
    n_half = (n_users + 1) // 2
    length_ms_N = switch_ms_N[n_half - 1 :] - switch_ms_N[: n_users - n_half + 1]
    first = int(length_ms_N.argmin())
    if length_ms_N[first] > _BURST_SHARE * stream_ms:
        return []
    start_ms, end_ms = int(switch_ms_N[first]), int(switch_ms_N[first + n_half - 1])
    return [Drift(f"{n_half:,} of {n_users:,} taste switches", start_ms, end_ms)]
