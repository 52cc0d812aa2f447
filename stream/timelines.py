"""The histories of a batch's users and the batch's own clicks, merged into one run of entries.

# G users of the batch, B clicks of the batch, E entries of all groups end to end

The merged run is what a batch's contexts are cut from, and what the histories become afterwards:
both are built from it once, on columns.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from stream.sequences import ragged_indices
from stream.values import Bools, Int32s, Int64s

UNNAMED = 0
"""The session of a click that does not name it."""

# Event times fit 43 bits until 2248, so that (group, time) fits one sortable int64.
_TS_BITS = 43
_ROW_MASK = 0xFFFFFFFF


def pack_items(item_ids: Sequence[str], rows_N: Int32s, generation_V: Int32s) -> Int64s:
    """`generation << 32 | row` of each item; items without a row get negative numbers of their own.

    Parameters
    ----------
    item_ids : sequence of str, length N
    rows_N : int array
        Their rows, -1 where they have none.
    generation_V : int array
        How often each row was recycled.
    """
    packed_N = np.full(len(rows_N), -1, np.int64)
    known_N = rows_N >= 0
    packed_N[known_N] = generation_V[rows_N[known_N]].astype(np.int64) << 32 | rows_N[known_N]
    number_of: dict[str, int] = {}
    for place in np.flatnonzero(~known_N).tolist():
        packed_N[place] = -1 - number_of.setdefault(item_ids[place], len(number_of))
    return packed_N


def rows_of(item_E: Int64s) -> Int32s:
    """The row of each packed item."""
    return (item_E & _ROW_MASK).astype(np.int32)


def is_live(item_E: Int64s, generation_V: Int32s) -> Bools:
    """Whether each packed item is admitted and still means what it meant when it was packed."""
    if not len(generation_V):
        return np.zeros(len(item_E), np.bool_)
    known = item_E >= 0
    row_E = np.where(known, item_E & _ROW_MASK, 0)
    holds: Bools = generation_V[row_E] == item_E >> 32
    return known & holds


@dataclass(frozen=True, slots=True)
class Past:
    """Entries of the batch's users before the batch, group after group, each ordered by time."""

    item_E: Int64s
    ts_E: Int64s
    session_E: Int64s
    length_G: Int64s


@dataclass(frozen=True, slots=True)
class Arrivals:
    """The clicks of a batch, ordered by time.

    `session_B` is a negative number for a click that names its session, else `UNNAMED`.
    """

    item_B: Int64s
    ts_B: Int64s
    group_B: Int64s
    session_B: Int64s


@dataclass(frozen=True, slots=True)
class Timelines:
    """Entries of G users, ordered by (user, event time, arrival).

    Group g holds entries `starts_G[g]` up to `starts_G[g + 1]`; click b of the batch stands at
    `slot_B[b]`. Sessions are numbered: from 1 where a pause divides them, negative where they are
    named.
    """

    item_E: Int64s
    ts_E: Int64s
    session_E: Int64s
    starts_G: Int64s
    slot_B: Int64s
    group_B: Int64s
    next_session: int

    def with_items(self, item_B: Int64s) -> "Timelines":
        """The same timelines, with the rows that the clicks' items have by now."""
        item_E = self.item_E.copy()
        item_E[self.slot_B] = item_B
        return replace(self, item_E=item_E)

    def before(self, group_N: Int64s, ts_N: Int64s) -> Int64s:
        """The first entry of each group that is not strictly earlier than its time."""
        n_groups = len(self.starts_G) - 1
        group_E = np.repeat(np.arange(n_groups), np.diff(self.starts_G))
        at_E = (group_E << _TS_BITS) | self.ts_E
        return np.searchsorted(at_E, (group_N << _TS_BITS) | ts_N, side="left")

    def repeats(self) -> Bools:
        """For each click, whether its user has clicked the same item at the same instant before."""
        n_equal_B = self.slot_B - self.before(self.group_B, self.ts_E[self.slot_B])
        is_repeat_B = np.zeros(len(self.slot_B), np.bool_)
        # Entries of one instant stand side by side: look back one by one, over the longest run.
        for back in range(1, int(n_equal_B.max(initial=0)) + 1):
            place_B = np.maximum(self.slot_B - back, 0)
            is_same_B = self.item_E[place_B] == self.item_E[self.slot_B]
            is_repeat_B |= is_same_B & (n_equal_B >= back)
        return is_repeat_B

    def session_starts(self) -> Int64s:
        """For each entry, where the unbroken run of its session up to it begins."""
        n = len(self.session_E)
        is_first = np.ones(n, np.bool_)
        is_first[1:] = self.session_E[1:] != self.session_E[:-1]
        is_first[_firsts(self.starts_G)] = True
        return np.maximum.accumulate(np.where(is_first, np.arange(n), 0))

    def open_sessions(
        self, group_N: Int64s, end_N: Int64s, ts_N: Int64s, session_gap_ms: int
    ) -> Int64s:
        """Where the session begins that goes on at each time, after the entry before `end_N`.

        `end_N` itself where there is none: no entry before it, or a pause since.
        """
        last_N = np.maximum(end_N - 1, 0)
        if not len(self.ts_E):
            return end_N
        goes_on_N = (end_N > self.starts_G[group_N]) & (ts_N - self.ts_E[last_N] <= session_gap_ms)
        return np.where(goes_on_N, self.session_starts()[last_N], end_N)

    def last_entries(
        self, n_groups: int, n_entries: int, generation_V: Int32s
    ) -> tuple[Int64s, Int64s]:
        """Indices of the first groups' last live entries, end to end, and how many each has."""
        live = is_live(self.item_E, generation_V)
        until_E = np.concatenate([[0], np.cumsum(live)])
        bound_G = until_E[self.starts_G[: n_groups + 1]]
        ends_G = bound_G[1:]
        length_G = np.minimum(ends_G - bound_G[:-1], n_entries)
        return np.flatnonzero(live)[ragged_indices(ends_G - length_G, length_G)], length_G


def merge(past: Past, new: Arrivals, session_gap_ms: int, next_session: int) -> Timelines:
    """Merge a batch's clicks into the histories of its users, each of whom has a click in it.

    A click that arrives late is put where its time belongs. A click that does not name its session
    joins that of the entry before it, unless it comes more than `session_gap_ms` after it.
    """
    n_groups = len(past.length_G)
    new_count_G = np.bincount(new.group_B, minlength=n_groups)
    starts_G = np.concatenate([[0], np.cumsum(past.length_G + new_count_G)])
    old_slot = ragged_indices(starts_G[:-1], past.length_G)
    slot_B = starts_G[new.group_B] + past.length_G[new.group_B] + _rank_in_group(new.group_B)
    n = int(starts_G[-1])
    item_E, ts_E = np.empty(n, np.int64), np.empty(n, np.int64)
    session_E = np.empty(n, np.int64)
    item_E[old_slot], item_E[slot_B] = past.item_E, new.item_B
    ts_E[old_slot], ts_E[slot_B] = past.ts_E, new.ts_B
    session_E[old_slot], session_E[slot_B] = past.session_E, new.session_B

    group_E = np.repeat(np.arange(n_groups), np.diff(starts_G))
    at_E = (group_E << _TS_BITS) | ts_E
    if (at_E[1:] < at_E[:-1]).any():  # a late arrival: rare, so the sort is paid only then
        order = np.argsort(at_E, kind="stable")
        item_E, ts_E, session_E = item_E[order], ts_E[order], session_E[order]
        place = np.empty(n, np.int64)
        place[order] = np.arange(n)
        slot_B = place[slot_B]

    opens = _follows_pause(ts_E, _firsts(starts_G), session_gap_ms) & (session_E == UNNAMED)
    session_E[opens] = next_session + np.arange(np.count_nonzero(opens))
    # Every other unnamed entry belongs to the session of the nearest entry before it that has one.
    known = np.maximum.accumulate(np.where(session_E != UNNAMED, np.arange(n), 0))
    return Timelines(
        item_E=item_E,
        ts_E=ts_E,
        session_E=session_E[known],
        starts_G=starts_G,
        slot_B=slot_B,
        group_B=new.group_B,
        next_session=next_session + int(np.count_nonzero(opens)),
    )


def _rank_in_group(group_B: Int64s) -> Int64s:
    """How many earlier clicks of the batch belong to the same user."""
    order = np.argsort(group_B, kind="stable")
    ordered = group_B[order]
    is_first = np.ones(len(ordered), np.bool_)
    is_first[1:] = ordered[1:] != ordered[:-1]
    position = np.arange(len(ordered))
    rank_B = np.empty(len(ordered), np.int64)
    rank_B[order] = position - np.maximum.accumulate(np.where(is_first, position, 0))
    return rank_B


def _firsts(starts_G: Int64s) -> Int64s:
    """The first entry of each group; one that is empty, at the end, has none."""
    first_G: Int64s = starts_G[:-1][starts_G[:-1] < starts_G[-1]]
    return first_G


def _follows_pause(ts_E: Int64s, first_of_group: Int64s, session_gap_ms: int) -> Bools:
    """Whether each entry is its user's first, or comes long after the one before it."""
    follows = np.ones(len(ts_E), np.bool_)
    follows[1:] = ts_E[1:] - ts_E[:-1] > session_gap_ms
    follows[first_of_group] = True
    return follows
