"""What the champion's lists are like: how much of the catalogue they show, how varied, for whom.

# B queries of a batch, N lists among them, K list length, V items, G groups, P pairs of lists
"""

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from evaluators.exposure import GroupExposure, ItemExposure
from evaluators.figures import as_record
from evaluators.group_clicks import GroupClicks
from evaluators.item_groups import UNKNOWN_GROUP, ItemGroups
from evaluators.list_windows import ListRing, ListSums
from evaluators.windows import WINDOWS, WindowSizes
from stream.values import Changes, Float64s, Int32s, Int64s, Outcomes, Reading, Record, State

EXPERIENCE_METRICS = (
    "coverage",
    "gini",
    "diversity",
    "novelty",
    "personalization",
    "exposure_gap",
)

# Every fourth list is compared with another user's: as good an estimate at a quarter of the cost.
PAIR_EVERY = 4
MAX_PAIR_DISTANCE = 1024

MAX_TOLD_GROUPS = 12
"""Groups whose exposure a record tells."""

BIT_UNIT = 1024
"""Surprise is counted in bits of so many parts: whole numbers, which sum up exactly."""

# What each list brings: 1; its pairs of items, those of different groups, and whether it has any;
# its items and their surprise; whether it was paired, the places of the shorter list, and what
# both share.
_LISTS, _HAS_PAIRS, _PAIRS, _DIFFERENT, _ITEMS, _BITS, _PAIRED, _PLACES, _SHARED, _N_COLUMNS = (
    range(10)
)

_SCHEMA_VERSION = 1


class ExperienceConfig(BaseModel):
    """Whether the champion's lists are judged as a whole.

    Attributes
    ----------
    enabled : bool
        Costs about as much as all ranking figures of one learner. Memory: `window_events` x
        (9 x longest list + 52) bytes and 24 bytes an item.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = True


class ExperienceJudge:
    """Judges the lists that the champion answers with, at the longest length; see `figure`.

    A sample is a list with an item in it, counted when it is judged: the window `time` goes by
    the stream's time, and holds no more lists than `events`.

    Parameters
    ----------
    champion : str
        Whose lists.
    k : int
        How long they are.
    sizes : WindowSizes
        Of the windows.
    groups : ItemGroups
        What is known of the items; somebody else keeps it up to date.
    clicks : GroupClicks
        Clicks by group; somebody else keeps it up to date.
    """

    def __init__(
        self,
        champion: str,
        k: int,
        sizes: WindowSizes,
        groups: ItemGroups,
        clicks: GroupClicks,
    ) -> None:
        self._champion = champion
        self._k = k
        self._groups = groups
        self._clicks = clicks
        self._ring = ListRing(sizes)
        self._sums = ListSums(_N_COLUMNS, sizes.events)
        self._items = ItemExposure(sizes.events, k, groups)
        self._exposure = GroupExposure(sizes.events, k, groups.max_groups)
        self._user_W = np.zeros(sizes.events, np.int64)
        self._n_items = 0

    def update(self, outcomes: Outcomes) -> None:
        """Judge the lists of a batch, and move the time."""
        left = self._ring.advance(outcomes.watermark_ms)
        for windows in (self._sums, self._items, self._exposure):
            windows.leave_time(left)
        if not len(outcomes.queries):
            return
        top_items_BK = outcomes.predictions[self._champion].top_items_BK[:, : self._k]
        has_item_B = top_items_BK[:, 0] >= 0
        if not has_item_B.any():
            return
        self._n_items = outcomes.queries.n_items
        self._items.make_room(self._n_items)
        top_items_NK, user_N = top_items_BK[has_item_B], outcomes.user_B[has_item_B]
        for start in range(0, len(user_N), self._ring.max_step):
            part = slice(start, start + self._ring.max_step)
            self._add(top_items_NK[part], user_N[part])

    def record(self) -> Record:
        """Every figure that has a sample, what was counted, and how groups fare over `events`."""
        record = {"metrics": self.metrics(), "counts": self.counts()}
        exposure = self._told_groups()
        return {**record, "exposure": exposure} if exposure else record

    def metrics(self) -> Record:
        """Every figure that has a sample, over each window."""
        figures = {
            name: as_record({over: self.reading(name, over) for over in WINDOWS})
            for name in EXPERIENCE_METRICS
        }
        return {name: figure for name, figure in figures.items() if figure}

    def reading(self, metric: str, over: str) -> Reading | None:
        """One figure over one window; None without a sample.

        `coverage` is the share of the catalogue's items that stood in a list; over `faded` an
        item counts as much as its lists weigh, and 1 at most. `gini` is the Gini coefficient of
        how often each item of the catalogue stood in lists: 0 if all did equally often, near 1 if
        few took all places [1]_. `diversity` is the share of the pairs of items within a list that
        are of different groups, of those whose groups are known. `novelty` is the mean surprise of
        a listed item in bits, -log2 of its share of all clicks before, with one click added to
        each item [2]_. `personalization` is 1 less the share of places that a list has in common
        with an earlier list of another user, drawn among the last thousand. `exposure_gap` is half
        the sum over groups of the distance between their share of places, weighed as in NDCG, and
        their share of clicks: 0 where groups are shown as much as they are wanted [3]_.

        References
        ----------
        .. [1] Vargas, Castells. Improving sales diversity by recommending users to items.
           RecSys 2014.
        .. [2] Zhou, Kuscsik, Liu, et al. Solving the apparent diversity-accuracy dilemma of
           recommender systems. PNAS 107(10), 2010.
        .. [3] Biega, Gummadi, Weikum. Equity of Attention. SIGIR 2018.
        """
        sums = self._sums.over(over)
        if not sums[_LISTS]:
            return None
        match metric:
            case "coverage" | "gini":
                count_V = self._items.over(over, self._n_items)
                value = coverage(count_V) if metric == "coverage" else gini(count_V)
                return None if value is None else Reading(value, sums[_LISTS])
            case "diversity":
                return _quotient(sums[_DIFFERENT], sums[_PAIRS], sums[_HAS_PAIRS])
            case "novelty":
                return _quotient(sums[_BITS] / BIT_UNIT, sums[_ITEMS], sums[_LISTS])
            case "personalization":
                different = sums[_PLACES] - sums[_SHARED]
                return _quotient(different, sums[_PLACES], sums[_PAIRED])
            case "exposure_gap":
                return share_gap(self._exposure.over(over)[1:], self._clicks.over(over)[1:])
        raise ValueError(f"expected one of {', '.join(EXPERIENCE_METRICS)}, got {metric}")

    def counts(self) -> dict[str, int]:
        """Lists judged since start."""
        return {"lists_judged": self._ring.n_lists}

    def follow(self, changes: Changes) -> None:
        """Rows mean other items, and users are forgotten; after `ItemGroups` has followed."""
        self._items.follow(changes)
        if len(changes.forgotten_F):
            self._user_W[np.isin(self._user_W, changes.forgotten_F)] = 0

    def state_dict(self) -> State:
        return {
            "schema_version": _SCHEMA_VERSION,
            "ring": self._ring.state_dict(),
            "sums": self._sums.state_dict(),
            "items": self._items.state_dict(),
            "exposure": self._exposure.state_dict(),
            "user_W": self._user_W,
            "n_items": self._n_items,
        }

    def load_state_dict(self, state: State) -> None:
        self._ring.load_state_dict(state["ring"])
        self._sums.load_state_dict(state["sums"])
        self._items.load_state_dict(state["items"])
        self._exposure.load_state_dict(state["exposure"])
        self._user_W[:] = state["user_W"]
        self._n_items = state["n_items"]

    def _told_groups(self) -> list[Record]:
        """The groups clicked most, with their shares of places and of clicks over `events`."""
        shown_G, clicked_G = self._exposure.over("events")[1:], self._clicks.over("events")[1:]
        if not shown_G.any() or not clicked_G.any():
            return []
        shown_G, clicked_G = shown_G / shown_G.sum(), clicked_G / clicked_G.sum()
        order = np.lexsort((-shown_G, -clicked_G))[:MAX_TOLD_GROUPS]
        return [
            {"group": self._groups.names[group + 1], "shown": shown, "clicked": clicked}
            for group, shown, clicked in zip(
                order.tolist(), shown_G[order].tolist(), clicked_G[order].tolist(), strict=True
            )
            if shown or clicked
        ]

    def _add(self, row_NK: Int32s, user_N: Int64s) -> None:
        first = self._ring.n_lists
        step = self._ring.add(len(user_N))
        group_NK = self._groups.of(row_NK)
        self._items.add(step, row_NK)
        self._exposure.add(step, group_NK)
        self._user_W[step.place_N] = user_N
        value_NC = np.zeros((len(user_N), _N_COLUMNS), np.int64)
        value_NC[:, _LISTS] = 1
        value_NC[:, _PAIRS], value_NC[:, _DIFFERENT] = group_pairs(group_NK)
        value_NC[:, _HAS_PAIRS] = value_NC[:, _PAIRS] > 0
        is_item_NK = row_NK >= 0
        value_NC[:, _ITEMS] = is_item_NK.sum(axis=1)
        value_NC[:, _BITS] = (self._bits(row_NK) * is_item_NK).sum(axis=1)
        value_NC[:, _PAIRED:_N_COLUMNS] = self._overlaps(first, len(user_N))
        self._sums.add(step, value_NC)

    def _bits(self, row_NK: Int32s) -> Int64s:
        """The surprise of each item, in 1024ths of a bit."""
        share_NK = (self._groups.clicks_V[row_NK] + 1) / (self._groups.n_clicks + self._n_items)
        bits_NK: Int64s = np.rint(np.log2(share_NK) * -BIT_UNIT).astype(np.int64)
        return bits_NK

    def _overlaps(self, first: int, n_new: int) -> Int64s:
        """Whether each new list was paired, the places of the shorter one, and how many match."""
        found_N3 = np.zeros((n_new, 3), np.int64)
        distances = min(self._ring.n_places // 2, MAX_PAIR_DISTANCE)
        number_P = np.arange(first, first + n_new)
        number_P = number_P[number_P % PAIR_EVERY == 0]
        if not distances:
            return found_N3
        other_P = number_P - pair_distance(number_P, distances)
        number_P, other_P = number_P[other_P >= 0], other_P[other_P >= 0]
        place_P, other_place_P = number_P % self._ring.n_places, other_P % self._ring.n_places
        is_another_P = self._user_W[place_P] != self._user_W[other_place_P]
        number_P, place_P = number_P[is_another_P], place_P[is_another_P]
        item_PK = self._items.lists(place_P)
        other_PK = self._items.lists(other_place_P[is_another_P])
        is_same_PKK = (item_PK[:, :, None] == other_PK[:, None, :]) & (item_PK >= 0)[:, :, None]
        length_P = np.minimum((item_PK >= 0).sum(axis=1), (other_PK >= 0).sum(axis=1))
        found_N3[number_P - first, 0] = 1
        found_N3[number_P - first, 1] = length_P
        found_N3[number_P - first, 2] = np.count_nonzero(is_same_PKK, axis=(1, 2))
        return found_N3


def coverage(count_V: NDArray[np.integer] | Float64s) -> float | None:
    """Share of the items that stood in a list; one that weighs less than 1 counts for less.

    Examples
    --------
    >>> coverage(np.array([3, 0, 1, 0])), coverage(np.array([0.5, 7.0]))
    (0.5, 0.75)
    """
    return float(np.minimum(count_V, 1).sum() / len(count_V)) if len(count_V) else None


def gini(count_V: NDArray[np.integer] | Float64s) -> float | None:
    """The Gini coefficient of counts, those that are 0 included; None if all are.

    Examples
    --------
    >>> gini(np.array([2, 2])), gini(np.array([0, 0, 0, 4])), gini(np.array([0]))
    (0.0, 0.75, None)
    """
    listed = np.sort(count_V[count_V > 0])
    if not len(listed):
        return None
    n_items = len(count_V)
    # Ranks of the listed ones among all, by count; the others are 0 and come first.
    rank = np.arange(n_items - len(listed) + 1, n_items + 1)
    dtype = np.float64 if count_V.dtype.kind == "f" else np.int64
    return float(((2 * rank - n_items - 1) * listed).sum(dtype=dtype) / listed.sum() / n_items)


def group_pairs(group_NK: NDArray[np.uint8]) -> tuple[Int64s, Int64s]:
    """Pairs of items of known groups in each list, and those of different groups.

    Examples
    --------
    >>> group_pairs(np.array([[1, 1, 2, 0], [3, 0, 0, 0]], np.uint8))
    (array([3, 0]), array([2, 0]))
    """
    n_lists, n_groups = len(group_NK), int(group_NK.max(initial=0)) + 1
    cell_NK = np.arange(n_lists)[:, None] * n_groups + group_NK
    count_NG = np.bincount(cell_NK.ravel(), minlength=n_lists * n_groups).reshape(-1, n_groups)
    count_NG[:, UNKNOWN_GROUP] = 0
    known_N = count_NG.sum(axis=1)
    pairs_N = known_N * (known_N - 1) // 2
    return pairs_N, pairs_N - (count_NG * (count_NG - 1) // 2).sum(axis=1)


def pair_distance(number_P: Int64s, n_distances: int) -> Int64s:
    """How many lists before it another one is taken to compare a list with; drawn by its number.

    Examples
    --------
    >>> pair_distance(np.array([0, 4, 8]), 100)
    array([ 1, 43, 86])
    """
    # Multiplying by the golden ratio scatters numbers evenly; the high bits are the best.
    mixed_P = number_P.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(33)
    return 1 + (mixed_P % np.uint64(n_distances)).astype(np.int64)


def share_gap(left_G: Int64s | Float64s, right_G: Int64s | Float64s) -> Reading | None:
    """Half the summed distance between shares, with the sum of the right ones as sample.

    Examples
    --------
    >>> share_gap(np.array([3, 1]), np.array([1, 1]))
    Reading(value=0.25, samples=2)
    """
    left, right = left_G.sum().item(), right_G.sum().item()
    if not left or not right:
        return None
    return Reading(float(np.abs(left_G / left - right_G / right).sum() / 2), right)


def _quotient(part: float, whole: float, samples: float) -> Reading | None:
    return Reading(part / whole, samples) if whole else None
