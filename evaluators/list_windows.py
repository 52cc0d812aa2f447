"""Windows over lists: which of the last lists lie in which window, and sums over them.

# N lists of an update, W lists of the window `events`, C columns, T time buckets

A list is counted when it is judged, so that the windows are stretches of one row of lists: what
enters and what leaves is known by its place in a ring. Sums are integers: what is taken out is
what was put in.
"""

from dataclasses import dataclass

import numpy as np

from evaluators.windows import TIME_BUCKETS, TimeBuckets, WindowSizes
from stream.values import Float64s, Int64s, State


@dataclass(frozen=True, slots=True)
class ListStep:
    """Lists that come, and those that leave windows for it.

    Attributes
    ----------
    place_N : int64 array, shape (N,)
        Where in the ring the new lists go, oldest first.
    left_events, left_time : int64 array
        The places of lists that leave `events` and `time`; not overwritten yet.
    weight_N : float64 array, shape (N,)
        What each new list weighs in `faded` after this step.
    kept : float
        What earlier lists keep of their weight.
    """

    place_N: Int64s
    left_events: Int64s
    left_time: Int64s
    weight_N: Float64s
    kept: float


class ListRing:
    """The places of the last W lists, and which of them are in the window `time`.

    `time` goes by the watermark at which a list was judged, and holds no more than the last W.

    Parameters
    ----------
    sizes : WindowSizes
        Of the windows.

    Examples
    --------
    >>> ring = ListRing(WindowSizes(events=4, time_ms=60_000, fade=0.5))
    >>> ring.advance(1_000).tolist(), ring.add(2).place_N.tolist()
    ([], [0, 1])
    >>> ring.advance(62_000).tolist(), ring.add(2).place_N.tolist()
    ([0, 1], [2, 3])
    >>> step = ring.add(1)
    >>> step.place_N.tolist(), step.left_events.tolist(), step.left_time.tolist()
    ([0], [0], [])
    """

    def __init__(self, sizes: WindowSizes) -> None:
        self.n_places = sizes.events
        self._fade = sizes.fade
        self._buckets = TimeBuckets(sizes.time_ms)
        self._lists_T = np.zeros(TIME_BUCKETS, np.int64)
        self._slot_W = np.zeros(sizes.events, np.int8)
        self._newest_slot = 0
        self.n_lists = 0
        self._first_in_time = 0

    @property
    def max_step(self) -> int:
        """The most lists that a step may bring: half of the ring stays as it was."""
        return max(self.n_places // 2, 1)

    def advance(self, watermark_ms: int) -> Int64s:
        """Move the time; the places of the lists that leave `time`."""
        slots = self._buckets.advance(watermark_ms)
        if len(slots):
            self._newest_slot = int(slots[0])
        n_left = int(self._lists_T[slots].sum())
        self._lists_T[slots] = 0
        self._first_in_time += n_left
        return self._places(self._first_in_time - n_left, n_left)

    def add(self, n_new: int) -> ListStep:
        """Take in lists, at most `max_step`."""
        first_held = max(self.n_lists - self.n_places, 0)
        end = self.n_lists + n_new
        left_events = self._places(first_held, max(end - self.n_places, 0) - first_held)
        n_out_of_time = max(end - self.n_places - self._first_in_time, 0)
        left_time = self._places(self._first_in_time, n_out_of_time)
        self._first_in_time += n_out_of_time
        np.subtract.at(self._lists_T, self._slot_W[left_time], 1)
        place_N = self._places(self.n_lists, n_new)
        self._slot_W[place_N] = self._newest_slot
        self._lists_T[self._newest_slot] += n_new
        self.n_lists = end
        weight_N = np.power(self._fade, np.arange(n_new - 1, -1, -1))
        return ListStep(place_N, left_events, left_time, weight_N, self._fade**n_new)

    def state_dict(self) -> State:
        return {
            "buckets": self._buckets.state_dict(),
            "lists_T": self._lists_T,
            "slot_W": self._slot_W,
            "newest_slot": self._newest_slot,
            "n_lists": self.n_lists,
            "first_in_time": self._first_in_time,
        }

    def load_state_dict(self, state: State) -> None:
        self._buckets.load_state_dict(state["buckets"])
        self._lists_T[:] = state["lists_T"]
        self._slot_W[:] = state["slot_W"]
        self._newest_slot = state["newest_slot"]
        self.n_lists = state["n_lists"]
        self._first_in_time = state["first_in_time"]

    def _places(self, first: int, n: int) -> Int64s:
        return np.arange(first, first + n) % self.n_places


class ListSums:
    """Sums of integers that each list brings, over the four windows.

    Memory: W x C x 4 bytes; a value is below 2**31.
    """

    def __init__(self, n_columns: int, n_places: int) -> None:
        self._ring_WC = np.zeros((n_places, n_columns), np.int32)
        self._total_C = np.zeros(n_columns, np.int64)
        self._events_C = np.zeros(n_columns, np.int64)
        self._time_C = np.zeros(n_columns, np.int64)
        self._faded_C = np.zeros(n_columns, np.float64)

    def leave_time(self, places: Int64s) -> None:
        """Take lists out of `time`."""
        self._time_C -= self._sum(places)

    def add(self, step: ListStep, value_NC: Int64s) -> None:
        """Put in what the lists of a step bring."""
        self._events_C -= self._sum(step.left_events)
        self._time_C -= self._sum(step.left_time)
        self._ring_WC[step.place_N] = value_NC
        sum_C = value_NC.sum(axis=0)
        self._total_C += sum_C
        self._events_C += sum_C
        self._time_C += sum_C
        self._faded_C = self._faded_C * step.kept + step.weight_N @ value_NC

    def over(self, window: str) -> list[float]:
        """The sum of each column over a window; integers but for `faded`."""
        sums: list[float] = {
            "total": self._total_C,
            "events": self._events_C,
            "time": self._time_C,
            "faded": self._faded_C,
        }[window].tolist()
        return sums

    def state_dict(self) -> State:
        return {
            "ring_WC": self._ring_WC,
            "total_C": self._total_C,
            "events_C": self._events_C,
            "time_C": self._time_C,
            "faded_C": self._faded_C,
        }

    def load_state_dict(self, state: State) -> None:
        self._ring_WC[:] = state["ring_WC"]
        self._total_C[:] = state["total_C"]
        self._events_C[:] = state["events_C"]
        self._time_C[:] = state["time_C"]
        self._faded_C = state["faded_C"].copy()

    def _sum(self, places: Int64s) -> Int64s:
        sum_C: Int64s = self._ring_WC[places].sum(axis=0, dtype=np.int64)
        return sum_C
