"""Windows over rows of samples: of all lists and of each policy's, side by side.

# S samples of an update, X values of each, R rows, C columns, T time buckets,
# W samples of the window `events`

Each row has windows of its own, as if no other row had a sample. The rows of a window lie in one
array, so that an update makes the same calls for one row and for ten; rows are added when their
first sample comes.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from evaluators.windows import TIME_BUCKETS
from stream.values import Float64s, Int64s, State

# Weights below this no longer change a sum. Left to fade, they would become denormal numbers,
# which are slow to multiply and never reach 0.
_LEAST_WEIGHT = 1e-30


@dataclass(frozen=True, slots=True)
class RowSamples:
    """The samples of an update, row by row, those of a row oldest first.

    Attributes
    ----------
    row_S : int64 array, shape (S,)
        Ascending.
    place_S : int64 array, shape (S,)
        How many samples of its row come before it in this update.
    n_R : int64 array, shape (R,)
        Samples of each row.
    slot_S : int64 array, shape (S,)
        Where its time lies, see `TimeBuckets`; -1 before the window.
    weight_S : float64 array, shape (S,)
        What it weighs in `faded` after this update.
    kept_R : float64 array, shape (R,)
        What each row keeps of its earlier weight.
    """

    row_S: Int64s
    place_S: Int64s
    n_R: Int64s
    slot_S: Int64s
    weight_S: Float64s
    kept_R: Float64s


def row_samples(row_S: Int64s, slot_S: Int64s, n_rows: int, fade: float) -> RowSamples:
    """Samples whose rows ascend, placed and weighed.

    Examples
    --------
    >>> samples = row_samples(np.array([0, 0, 1]), np.array([7, 7, 7]), n_rows=2, fade=0.5)
    >>> samples.place_S, samples.weight_S, samples.kept_R
    (array([0, 1, 0]), array([0.5, 1. , 1. ]), array([0.25, 0.5 ]))
    """
    n_R = np.bincount(row_S, minlength=n_rows)
    place_S = np.arange(len(row_S)) - (n_R.cumsum() - n_R)[row_S]
    power = np.power(fade, np.arange(n_R.max(initial=0) + 1))
    return RowSamples(row_S, place_S, n_R, slot_S, power[n_R[row_S] - 1 - place_S], power[n_R])


class RowSums:
    """Sums by row and column over three windows: since start, by time, and faded.

    They are added up one sample after the other: how the samples were cut into updates changes
    no bit of `total` and `time`, and `faded` by rounding only. What leaves the window `time` is
    dropped by the bucket, never subtracted, so that nothing drifts.

    Memory: for each row, C x 16 bytes and C x 60 numbers of type `time_dtype`.

    Parameters
    ----------
    n_columns : int
        C.
    dtype, time_dtype : dtype
        Of the sums since start, and of those in one bucket of time.
    """

    def __init__(self, n_columns: int, dtype: DTypeLike, time_dtype: DTypeLike) -> None:
        self._total_RC: NDArray[Any] = np.zeros((0, n_columns), dtype)
        self._time_RTC: NDArray[Any] = np.zeros((0, TIME_BUCKETS, n_columns), time_dtype)
        self._faded_RC = np.zeros((0, n_columns), np.float64)

    def grow(self, n_rows: int) -> None:
        """Add empty rows up to `n_rows`."""
        self._total_RC = grown(self._total_RC, n_rows)
        self._time_RTC = grown(self._time_RTC, n_rows)
        self._faded_RC = grown(self._faded_RC, n_rows)

    def empty(self, slots: Int64s) -> None:
        """Drop what lies in buckets that time has left behind."""
        self._time_RTC[:, slots] = 0

    def fade(self, samples: RowSamples) -> None:
        """Let earlier samples fade; once an update, before its samples are added."""
        self._faded_RC *= samples.kept_R[:, None]
        self._faded_RC[np.abs(self._faded_RC) < _LEAST_WEIGHT] = 0.0

    def add(self, samples: RowSamples, column_XS: Int64s, value_XS: Float64s | None = None) -> None:
        """Add X values of each sample, shape (X, S) or (S,), to their columns; 1 without values."""
        n_columns = self._total_RC.shape[1]
        weight_XS = samples.weight_S if value_XS is None else samples.weight_S * value_XS
        cell_XS = samples.row_S * n_columns + column_XS
        _add_at(self._faded_RC, cell_XS, weight_XS)
        _add_at(self._total_RC, cell_XS, value_XS)
        cell_XS = (samples.row_S * TIME_BUCKETS + samples.slot_S) * n_columns + column_XS
        is_in_time_S = samples.slot_S >= 0
        if not is_in_time_S.all():
            cell_XS = cell_XS[..., is_in_time_S]
            value_XS = None if value_XS is None else value_XS[..., is_in_time_S]
        _add_at(self._time_RTC, cell_XS, value_XS)

    def over(self, window: str, row: int) -> NDArray[Any]:
        """The sums of a row over `total`, `time` or `faded`, shape (C,)."""
        sums_C: NDArray[Any]
        match window:
            case "total":
                sums_C = self._total_RC[row]
            case "time":
                sums_C = self._time_RTC[row].sum(axis=0, dtype=self._total_RC.dtype)
            case "faded":
                sums_C = self._faded_RC[row]
            case _:
                raise ValueError(f"expected total, time or faded, got {window}")
        return sums_C

    def state_dict(self) -> State:
        return {
            "total_RC": self._total_RC,
            "time_RTC": self._time_RTC,
            "faded_RC": self._faded_RC,
        }

    def load_state_dict(self, state: State) -> None:
        # Copies: the state may have rows that are not here yet.
        self._total_RC = state["total_RC"].copy()
        self._time_RTC = state["time_RTC"].copy()
        self._faded_RC = state["faded_RC"].copy()


class RowRing:
    """The last `window_events` values of each row.

    Memory: for each row, `window_events` values of type `dtype`.
    """

    def __init__(self, window_events: int, dtype: DTypeLike) -> None:
        self._ring_RW: NDArray[Any] = np.zeros((0, window_events), dtype)
        self._next_R = np.zeros(0, np.int64)
        self._held_R = np.zeros(0, np.int64)

    def grow(self, n_rows: int) -> None:
        """Add empty rows up to `n_rows`."""
        self._ring_RW = grown(self._ring_RW, n_rows)
        self._next_R = grown(self._next_R, n_rows)
        self._held_R = grown(self._held_R, n_rows)

    def update(self, samples: RowSamples, value_S: NDArray[Any]) -> None:
        """Put in the value of each sample; the oldest go out."""
        window_events = self._ring_RW.shape[1]
        row_S, place_S = samples.row_S, samples.place_S
        if samples.n_R.max(initial=0) > window_events:
            # Of two values for one slot, the later one stays.
            is_kept_S = place_S >= (samples.n_R - window_events)[row_S]
            row_S, place_S, value_S = row_S[is_kept_S], place_S[is_kept_S], value_S[is_kept_S]
        self._ring_RW[row_S, (self._next_R[row_S] + place_S) % window_events] = value_S
        self._next_R = (self._next_R + samples.n_R) % window_events
        self._held_R = np.minimum(self._held_R + samples.n_R, window_events)

    def values(self, row: int) -> NDArray[Any]:
        """The values of a row; which of them came first is not told."""
        value_W: NDArray[Any] = self._ring_RW[row, : self._held_R[row]]
        return value_W

    def state_dict(self) -> State:
        return {"ring_RW": self._ring_RW, "next_R": self._next_R, "held_R": self._held_R}

    def load_state_dict(self, state: State) -> None:
        self._ring_RW = state["ring_RW"].copy()
        self._next_R = state["next_R"].copy()
        self._held_R = state["held_R"].copy()


def grown(rows: NDArray[Any], n_rows: int) -> NDArray[Any]:
    """The array itself if it has `n_rows` rows, else a copy of it with rows of zeros behind."""
    if n_rows <= len(rows):
        return rows
    return np.concatenate((rows, np.zeros((n_rows - len(rows), *rows.shape[1:]), rows.dtype)))


def _add_at(sums: NDArray[Any], cell_XS: Int64s, value_XS: Float64s | None) -> None:
    """Add to cells, to a repeated one once for each time it comes."""
    # A 1 of another type than the array's would be added twenty times slower.
    one = sums.dtype.type(1)
    np.add.at(sums.reshape(-1), cell_XS.reshape(-1), one if value_XS is None else value_XS.ravel())
