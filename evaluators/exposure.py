"""How often items, and groups of items, stand in lists, over the windows.

# N lists of an update, K list length, E entries of lists end to end, V rows, G groups,
# W lists of the window `events`
"""

import math

import numpy as np
from numpy.typing import NDArray

from evaluators.item_groups import UNKNOWN_GROUP, ItemGroups
from evaluators.list_windows import ListStep
from stream.growth import grown
from stream.values import Changes, Float64s, Int32s, Int64s, State

PLACE_UNIT = 1024
"""The weight of the first place. Weights are whole numbers, so that sums stay exact."""

_MANY_ROWS = 2**31 - 1
# Beyond this, adding up sorted out is faster than adding to a table one by one.
_SPARSE = 8
# Far from where float64 ends.
_LEAST_SCALE = 1e-100


class ItemExposure:
    """In how many lists each item stood: since start, of the last lists, of the last hours, faded.

    Where a row means another item from now on, it has stood in no list. Memory: W x K x 8 bytes
    and 24 bytes a row.

    Parameters
    ----------
    n_places : int
        W.
    k : int
        K.
    groups : ItemGroups
        Who knows the rows' generations.
    """

    def __init__(self, n_places: int, k: int, groups: ItemGroups) -> None:
        self._groups = groups
        # Rows with their generation above: an entry that means another item is known by it.
        self._ring_WK: Int64s = np.full((n_places, k), -1, np.int64)
        self._total_V: Int64s = np.zeros(0, np.int64)
        self._events_V: Int32s = np.zeros(0, np.int32)
        self._time_V: Int32s = np.zeros(0, np.int32)
        # In units that shrink with every list: no pass over all rows is needed to fade them.
        self._faded_V: Float64s = np.zeros(0)
        self._unit = 1.0
        self._n_items = 0

    def leave_time(self, places: Int64s) -> None:
        """Take lists out of `time`."""
        if len(places):
            _add(self._time_V, self._live_rows(places), -1)

    def add(self, step: ListStep, row_NK: Int32s) -> None:
        """Put in the lists of a step; -1 is no item."""
        if len(step.left_events):
            _add(self._events_V, self._live_rows(step.left_events), -1)
        self.leave_time(step.left_time)
        is_item_NK = row_NK >= 0
        generation_NK = self._groups.generation_V[row_NK].astype(np.int64)
        self._ring_WK[step.place_N] = np.where(is_item_NK, generation_NK << 32 | row_NK, -1)
        row_E = row_NK[is_item_NK]
        for counts in (self._total_V, self._events_V, self._time_V):
            _add(counts, row_E, 1)
        self._unit *= step.kept
        if self._unit < _LEAST_SCALE:
            self._faded_V *= self._unit
            self._unit = 1.0
        weight_E = np.broadcast_to(step.weight_N[:, None], row_NK.shape)[is_item_NK]
        np.add.at(self._faded_V, row_E, weight_E / self._unit)

    def lists(self, places: Int64s) -> Int64s:
        """The items of lists, shape (N, K): equal numbers are equal items, -1 is none."""
        item_NK: Int64s = self._ring_WK[places]
        return item_NK

    def over(self, window: str, n_items: int) -> NDArray[np.integer] | Float64s:
        """In how many lists (or what weight of them) each of the first items stood."""
        match window:
            case "total":
                return self._total_V[:n_items]
            case "events":
                return self._events_V[:n_items]
            case "time":
                return self._time_V[:n_items]
            case "faded":
                return self._faded_V[:n_items] * self._unit
        raise ValueError(f"expected a window, got {window}")

    def make_room(self, n_items: int) -> None:
        """Have a place for each of so many items."""
        self._n_items = max(self._n_items, n_items)
        self._total_V = grown(self._total_V, n_items, _MANY_ROWS)
        self._events_V = grown(self._events_V, n_items, _MANY_ROWS)
        self._time_V = grown(self._time_V, n_items, _MANY_ROWS)
        self._faded_V = grown(self._faded_V, n_items, _MANY_ROWS)

    def follow(self, changes: Changes) -> None:
        """Make room for new items, and forget what recycled rows meant."""
        self.make_room(changes.n_items)
        if len(changes.recycled_R):
            for counts in (self._total_V, self._events_V, self._time_V, self._faded_V):
                counts[changes.recycled_R] = 0

    def state_dict(self) -> State:
        n = self._n_items
        return {
            "ring_WK": self._ring_WK,
            "total_V": self._total_V[:n],
            "events_V": self._events_V[:n],
            "time_V": self._time_V[:n],
            "faded_V": self._faded_V[:n],
            "unit": self._unit,
        }

    def load_state_dict(self, state: State) -> None:
        self._ring_WK[:] = state["ring_WK"]
        self._total_V = state["total_V"].copy()
        self._events_V = state["events_V"].copy()
        self._time_V = state["time_V"].copy()
        self._faded_V = state["faded_V"].copy()
        self._unit = state["unit"]
        self._n_items = len(self._total_V)

    def _live_rows(self, places: Int64s) -> Int64s:
        """The rows in lists that still mean the item that was listed."""
        entry_E = self._ring_WK[places].ravel()
        entry_E = entry_E[entry_E >= 0]
        row_E = entry_E & 0xFFFFFFFF
        live_E: Int64s = row_E[self._groups.generation_V[row_E] == entry_E >> 32]
        return live_E


class GroupExposure:
    """What weight of places each group of items had in the lists, over the four windows.

    A place weighs `PLACE_UNIT` / log2(place + 1), as in NDCG: further down, fewer look [1]_. The
    group of an item is that of when it was listed. Memory: W x K bytes.

    References
    ----------
    .. [1] Singh, Joachims. Fairness of Exposure in Rankings. KDD 2018.
    """

    def __init__(self, n_places: int, k: int, n_groups: int) -> None:
        self._weight_K = np.array([round(PLACE_UNIT / math.log2(place + 2)) for place in range(k)])
        self._ring_WK = np.full((n_places, k), UNKNOWN_GROUP, np.uint8)
        self._total_G = np.zeros(n_groups, np.int64)
        self._events_G = np.zeros(n_groups, np.int64)
        self._time_G = np.zeros(n_groups, np.int64)
        self._faded_G = np.zeros(n_groups, np.float64)

    def leave_time(self, places: Int64s) -> None:
        """Take lists out of `time`."""
        if len(places):
            self._time_G -= self._weigh(self._ring_WK[places])

    def add(self, step: ListStep, group_NK: NDArray[np.uint8]) -> None:
        """Put in the lists of a step."""
        if len(step.left_events):
            self._events_G -= self._weigh(self._ring_WK[step.left_events])
        self.leave_time(step.left_time)
        self._ring_WK[step.place_N] = group_NK
        weight_G = self._weigh(group_NK)
        self._total_G += weight_G
        self._events_G += weight_G
        self._time_G += weight_G
        faded_NK = step.weight_N[:, None] * self._weight_K
        faded_G = np.bincount(group_NK.ravel(), faded_NK.ravel(), len(self._faded_G))
        self._faded_G = self._faded_G * step.kept + faded_G

    def over(self, window: str) -> Int64s | Float64s:
        """The weight of each group over a window; the first is that of no known group."""
        if window == "faded":
            return self._faded_G
        return {"total": self._total_G, "events": self._events_G, "time": self._time_G}[window]

    def state_dict(self) -> State:
        return {
            "ring_WK": self._ring_WK,
            "total_G": self._total_G,
            "events_G": self._events_G,
            "time_G": self._time_G,
            "faded_G": self._faded_G,
        }

    def load_state_dict(self, state: State) -> None:
        self._ring_WK[:] = state["ring_WK"]
        self._total_G[:] = state["total_G"]
        self._events_G[:] = state["events_G"]
        self._time_G[:] = state["time_G"]
        self._faded_G = state["faded_G"].copy()

    def _weigh(self, group_NK: NDArray[np.uint8]) -> Int64s:
        weight_NK = np.broadcast_to(self._weight_K, group_NK.shape)
        # float64 sums of whole numbers below 2**53: exact.
        weight_G = np.bincount(group_NK.ravel(), weight_NK.ravel(), len(self._total_G))
        return weight_G.astype(np.int64)


def _add(counts: NDArray[np.integer], row_E: Int64s | Int32s, step: int) -> None:
    """Add `step` to the count of each row, to a repeated one once for each time it comes."""
    if len(counts) > _SPARSE * len(row_E):
        np.add.at(counts, row_E, counts.dtype.type(step))
    elif len(row_E):
        np.add(
            counts,
            step * np.bincount(row_E, minlength=len(counts)),
            out=counts,
            casting="same_kind",
        )
