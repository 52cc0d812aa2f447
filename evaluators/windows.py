"""Counts of ranks over windows: since start, of the last samples, of the last hours, and faded.

# N samples of an update, L learners, R ranks, T time buckets, S shadows

Each window keeps, for each learner, how many samples had which rank. The whole counts (`total`,
`events`, `time`) are integers and do not depend on how the samples were cut into updates; `faded`
is float64 and depends on it only by rounding.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream.values import Float64s, Int64s, State

WINDOWS = ("total", "events", "time", "faded")

# An hour is kept by the minute: fine enough to alert on, small enough to keep for each learner.
TIME_BUCKETS = 60

_SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class WindowSizes:
    """How much each window holds.

    Attributes
    ----------
    events : int
        Samples in the window `events`.
    time_ms : int
        Event time in the window `time`.
    fade : float
        Weight that the window `faded` keeps per sample, in (0, 1].
    """

    events: int
    time_ms: int
    fade: float


class RankWindows:
    """The four windows over the same samples.

    Memory is fixed when it is made: `sizes.events` bytes and 63 x R x 8 bytes for each learner
    (10 KiB at R = 21, 99 KiB at R = 201). The cost of a sample does not depend on the windows.

    Parameters
    ----------
    shape : tuple of int
        (L, R); R is at most 256.
    sizes : WindowSizes
        Of the windows.

    Examples
    --------
    >>> windows = RankWindows((1, 3), WindowSizes(events=2, time_ms=60_000, fade=0.5))
    >>> windows.update(np.array([[1, 0, 2]]), np.array([0, 59_000, 61_000]), watermark_ms=61_000)
    >>> {name: counts_LR.tolist() for name, counts_LR in windows.counts().items()}
    {'total': [[1, 1, 1]], 'events': [[1, 0, 1]], 'time': [[1, 0, 1]], 'faded': [[0.5, 0.25, 1.0]]}
    """

    def __init__(self, shape: tuple[int, int], sizes: WindowSizes) -> None:
        self._total_LR = np.zeros(shape, np.int64)
        self._last = LastSamples(shape, sizes.events)
        self._recent = RecentTime(shape, sizes.time_ms)
        self._faded_LR = np.zeros(shape, np.float64)
        self._fade = sizes.fade

    def update(self, rank_LN: Int64s, ts_N: Int64s, watermark_ms: int) -> None:
        """Count samples, oldest first, and move the time; N may be 0."""
        self._recent.advance(watermark_ms)
        n_samples = len(ts_N)
        if not n_samples:
            return
        self._total_LR += _count(rank_LN, self._total_LR.shape[1])
        self._last.update(rank_LN)
        self._recent.update(rank_LN, ts_N)
        weight_N = np.power(self._fade, np.arange(n_samples - 1, -1, -1))
        self._faded_LR *= self._fade**n_samples
        self._faded_LR += _weigh(rank_LN, weight_N, self._faded_LR.shape[1])

    def counts(self) -> dict[str, Int64s | Float64s]:
        """Number (or weight) of the samples of each learner and rank, shape (L, R), by window.

        The sum of a row is the number of samples in the window, the same for every learner; of
        `faded` it is the sum of the weights, which grows to 1 / (1 - fade). The arrays go on
        counting: read them before the next update.
        """
        return {window: self.over(window) for window in WINDOWS}

    def over(self, window: str) -> Int64s | Float64s:
        """The counts of one window; see `counts`."""
        match window:
            case "total":
                return self._total_LR
            case "events":
                return self._last.counts_LR
            case "time":
                return self._recent.counts()
            case "faded":
                return self._faded_LR
        raise ValueError(f"expected one of {', '.join(WINDOWS)}, got {window}")

    def state_dict(self) -> State:
        return {
            "schema_version": _SCHEMA_VERSION,
            "total_LR": self._total_LR,
            "events": self._last.state_dict(),
            "time": self._recent.state_dict(),
            "faded_LR": self._faded_LR,
        }

    def load_state_dict(self, state: State) -> None:
        self._total_LR[:] = state["total_LR"]
        self._last.load_state_dict(state["events"])
        self._recent.load_state_dict(state["time"])
        self._faded_LR[:] = state["faded_LR"]


class LastSamples:
    """Counts over the last `window_events` samples: a ring of ranks, one byte each.

    Memory: L x `window_events` bytes. A sample costs one rank taken out and one put in.
    """

    def __init__(self, shape: tuple[int, int], window_events: int) -> None:
        self.counts_LR = np.zeros(shape, np.int64)
        self._ring_LW = np.zeros((shape[0], window_events), np.uint8)
        self._next_slot = 0
        self._n_held = 0

    def update(self, rank_LN: Int64s) -> None:
        """Count samples, oldest first."""
        n_ranks = self.counts_LR.shape[1]
        window_events = self._ring_LW.shape[1]
        rank_LN = rank_LN[:, -window_events:]
        n_samples = rank_LN.shape[1]
        slot_N = (self._next_slot + np.arange(n_samples)) % window_events
        # The ring fills from slot 0 up, so that the slots not used yet come first.
        n_dropped = max(self._n_held + n_samples - window_events, 0)
        dropped_LN = self._ring_LW[:, slot_N[n_samples - n_dropped :]]
        self.counts_LR += _count(rank_LN, n_ranks)
        self.counts_LR -= _count(dropped_LN, n_ranks)
        self._ring_LW[:, slot_N] = rank_LN
        self._next_slot = (self._next_slot + n_samples) % window_events
        self._n_held += n_samples - n_dropped

    def state_dict(self) -> State:
        return {
            "counts_LR": self.counts_LR,
            "ring_LW": self._ring_LW,
            "next_slot": self._next_slot,
            "n_held": self._n_held,
        }

    def load_state_dict(self, state: State) -> None:
        self.counts_LR[:] = state["counts_LR"]
        self._ring_LW[:] = state["ring_LW"]
        self._next_slot = state["next_slot"]
        self._n_held = state["n_held"]


class RecentTime:
    """Counts over the last `window_time_ms` of event time; see `TimeBuckets`.

    Memory: 60 x L x R x 8 bytes.
    """

    def __init__(self, shape: tuple[int, int], window_time_ms: int) -> None:
        self._counts_TLR = np.zeros((TIME_BUCKETS, *shape), np.int64)
        self._buckets = TimeBuckets(window_time_ms)

    def advance(self, watermark_ms: int) -> None:
        """Move the end of the window, and empty the buckets that it leaves behind."""
        self._counts_TLR[self._buckets.advance(watermark_ms)] = 0

    def update(self, rank_LN: Int64s, ts_N: Int64s) -> None:
        """Count samples, none of them newer than the watermark."""
        slot_N = self._buckets.slots(ts_N)
        is_in_time_N = slot_N >= 0
        if not is_in_time_N.all():
            slot_N, rank_LN = slot_N[is_in_time_N], rank_LN[:, is_in_time_N]
        _, n_learners, n_ranks = self._counts_TLR.shape
        row_LN = slot_N * n_learners + np.arange(n_learners)[:, None]
        flat = self._counts_TLR.reshape(-1)
        np.add.at(flat, (row_LN * n_ranks + rank_LN).reshape(-1), 1)

    def counts(self) -> Int64s:
        """Number of samples of each learner and rank, shape (L, R)."""
        counts_LR: Int64s = self._counts_TLR.sum(axis=0)
        return counts_LR

    def state_dict(self) -> State:
        return {"counts_TLR": self._counts_TLR, "buckets": self._buckets.state_dict()}

    def load_state_dict(self, state: State) -> None:
        self._counts_TLR[:] = state["counts_TLR"]
        self._buckets.load_state_dict(state["buckets"])


class TimeBuckets:
    """Which of 60 slots holds which time.

    A bucket is a sixtieth of the window wide, rounded up to a whole millisecond, and starts at a
    multiple of its width since the epoch. A sample lies in the bucket of its own time. The window
    ends at the watermark: it holds the watermark's bucket and the 59 before it, so that its
    oldest edge lies between 59/60 of the window and the whole of it before the watermark. A
    sample older than that has no slot.

    Parameters
    ----------
    window_time_ms : int
        Event time in the window.

    Examples
    --------
    >>> buckets = TimeBuckets(60_000)
    >>> buckets.advance(61_500)[:2]
    array([1, 0])
    >>> buckets.slots(np.array([61_000, 2_000, 1_999]))
    array([ 1,  2, -1])
    """

    def __init__(self, window_time_ms: int) -> None:
        self._bucket_ms = -(-window_time_ms // TIME_BUCKETS)
        self._newest_bucket = 0

    def advance(self, watermark_ms: int) -> Int64s:
        """Move the end of the window; the slots that must be emptied, newest first."""
        bucket = watermark_ms // self._bucket_ms
        n_steps = max(bucket - self._newest_bucket, 0)
        self._newest_bucket += n_steps
        return (self._newest_bucket - np.arange(min(n_steps, TIME_BUCKETS))) % TIME_BUCKETS

    def slots(self, ts_N: Int64s) -> Int64s:
        """Slot of each time, none of them newer than the watermark; -1 before the window."""
        bucket_N = ts_N // self._bucket_ms
        is_in_time_N = bucket_N > self._newest_bucket - TIME_BUCKETS
        return np.where(is_in_time_N, bucket_N % TIME_BUCKETS, -1)

    def state_dict(self) -> State:
        return {"newest_bucket": self._newest_bucket}

    def load_state_dict(self, state: State) -> None:
        self._newest_bucket = state["newest_bucket"]


class JointRanks:
    """Counts since start of (rank by the champion, rank by the shadow), for each shadow.

    What a paired difference of any figure needs, exactly. Memory: S x R x R x 8 bytes (3.4 KiB a
    shadow at R = 21, 316 KiB at R = 201).
    """

    def __init__(self, n_shadows: int, n_ranks: int) -> None:
        self.counts_SRR = np.zeros((n_shadows, n_ranks, n_ranks), np.int64)

    def update(self, champion_rank_N: Int64s, shadow_rank_SN: Int64s) -> None:
        """Count samples, in any order."""
        n_shadows, n_ranks, _ = self.counts_SRR.shape
        row_SN = np.arange(n_shadows)[:, None] * n_ranks + champion_rank_N
        flat = self.counts_SRR.reshape(-1)
        np.add.at(flat, (row_SN * n_ranks + shadow_rank_SN).reshape(-1), 1)

    def state_dict(self) -> State:
        return {"schema_version": _SCHEMA_VERSION, "counts_SRR": self.counts_SRR}

    def load_state_dict(self, state: State) -> None:
        self.counts_SRR[:] = state["counts_SRR"]


def _count(rank_LN: NDArray[np.integer], n_ranks: int) -> Int64s:
    """Number of samples of each learner and rank, shape (L, R)."""
    bin_LN = rank_LN + np.arange(len(rank_LN))[:, None] * n_ranks
    return np.bincount(bin_LN.reshape(-1), minlength=len(rank_LN) * n_ranks).reshape(-1, n_ranks)


def _weigh(rank_LN: Int64s, weight_N: Float64s, n_ranks: int) -> Float64s:
    """Weight of the samples of each learner and rank, shape (L, R)."""
    bin_LN = rank_LN + np.arange(len(rank_LN))[:, None] * n_ranks
    weight_LN = np.broadcast_to(weight_N, rank_LN.shape)
    flat = np.bincount(bin_LN.reshape(-1), weight_LN.reshape(-1), len(rank_LN) * n_ranks)
    return np.asarray(flat, np.float64).reshape(-1, n_ranks)
