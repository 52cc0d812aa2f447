"""The strongest neighbours of every item, in a table of fixed width.

# V rows, N neighbours of a row, P pairs to add, A distinct rows they belong to, R recycled rows,
# H rows asked for
"""

import numpy as np

from stream.errors import CheckpointError
from stream.values import Bools, Float64s, Int32s, Int64s, State


class NeighbourTable:
    """Weights between items; a newcomer takes the place of a row's weakest neighbour.

    It starts with its own weight. The sketch of this kind with known error bounds, Space-Saving,
    lets a newcomer inherit the weight of the one it replaces; on ml-100k that cost a quarter of the
    recall, for most pairs are met once and inherited weights drown the rest.

    Memory: 8 * n_neighbours + 16 bytes a row.

    Parameters
    ----------
    n_neighbours : int
        N, neighbours kept for each row.

    Examples
    --------
    >>> table = NeighbourTable(2)
    >>> table.grow(3)
    >>> table.add(np.array([0, 0, 0]), np.array([1, 2, 1]), np.array([1.0, 0.5, 1.0]))
    >>> neighbour_HN, weight_HN = table.neighbours(np.array([0]))
    >>> neighbour_HN.tolist(), weight_HN.tolist()
    ([[1, 2]], [[2.0, 0.5]])
    """

    def __init__(self, n_neighbours: int) -> None:
        self._neighbour_VN = np.full((0, n_neighbours), -1, np.int32)
        self._weight_VN = np.zeros((0, n_neighbours), np.float32)
        # Entries that name a recycled row are not sought out across the whole table: an entry is
        # void where its neighbour was recycled after its own row was last cleaned.
        self._n_recycles = 0
        self._recycled_at_V = np.zeros(0, np.int64)
        self._cleaned_at_V = np.zeros(0, np.int64)

    def neighbours(self, row_H: Int32s | Int64s) -> tuple[Int32s, Float64s]:
        """Neighbours of the rows and their weights, both of shape (H, N); weight 0 is no entry."""
        neighbour_HN = self._neighbour_VN[row_H]
        weight_HN: Float64s = self._weight_VN[row_H].astype(np.float64)
        if self._n_recycles:
            weight_HN[self._is_void(row_H, neighbour_HN)] = 0.0
        return neighbour_HN, weight_HN

    def add(self, row_P: Int64s, neighbour_P: Int64s, weight_P: Float64s) -> None:
        """Add weight to pairs; a pair may come more than once."""
        pair_P, pair_of_P = np.unique(row_P << 32 | neighbour_P, return_inverse=True)
        weight_P = np.bincount(pair_of_P, weight_P, minlength=len(pair_P)).astype(np.float64)
        row_P, neighbour_P = pair_P >> 32, pair_P & 0xFFFF_FFFF
        self._clean(np.unique(row_P))
        is_held_PN = self._neighbour_VN[row_P] == neighbour_P.astype(np.int32)[:, None]
        is_held_P = is_held_PN.any(axis=1)
        place_P = is_held_PN.argmax(axis=1)
        self._weight_VN[row_P[is_held_P], place_P[is_held_P]] += weight_P[is_held_P]
        self._replace(row_P[~is_held_P], neighbour_P[~is_held_P], weight_P[~is_held_P])

    def _clean(self, row_A: Int64s) -> None:
        if self._n_recycles:
            is_void_AN = self._is_void(row_A, self._neighbour_VN[row_A])
            a, place = np.nonzero(is_void_AN)
            self._neighbour_VN[row_A[a], place] = -1
            self._weight_VN[row_A[a], place] = 0.0
        self._cleaned_at_V[row_A] = self._n_recycles

    def _is_void(self, row_H: Int32s | Int64s, neighbour_HN: Int32s) -> Bools:
        return self._recycled_at_V[neighbour_HN] > self._cleaned_at_V[row_H][:, None]

    def _replace(self, row_P: Int64s, neighbour_P: Int64s, weight_P: Float64s) -> None:
        """Put the strongest newcomers of each row in the places of its weakest neighbours."""
        order_P = np.lexsort((neighbour_P, -weight_P, row_P))
        row_P, neighbour_P, weight_P = row_P[order_P], neighbour_P[order_P], weight_P[order_P]
        rank_P = np.arange(len(row_P)) - np.searchsorted(row_P, row_P)
        has_place_P = rank_P < self._weight_VN.shape[1]
        row_P, rank_P = row_P[has_place_P], rank_P[has_place_P]
        row_A, a_of_P = np.unique(row_P, return_inverse=True)
        weakest_AN = np.argsort(self._weight_VN[row_A], axis=1, kind="stable")
        place_P = weakest_AN[a_of_P, rank_P]
        self._neighbour_VN[row_P, place_P] = neighbour_P[has_place_P]
        self._weight_VN[row_P, place_P] = weight_P[has_place_P]

    def grow(self, n_items: int) -> None:
        """Make room for rows below `n_items`."""
        n_now = len(self._weight_VN)
        if n_items > n_now:
            shape = (max(n_items, 2 * n_now) - n_now, self._weight_VN.shape[1])
            self._neighbour_VN = np.concatenate((self._neighbour_VN, np.full(shape, -1, np.int32)))
            self._weight_VN = np.concatenate((self._weight_VN, np.zeros(shape, np.float32)))
            zeros = np.zeros(shape[0], np.int64)
            self._recycled_at_V = np.concatenate((self._recycled_at_V, zeros))
            self._cleaned_at_V = np.concatenate((self._cleaned_at_V, zeros))

    def drop_rows(self, row_R: Int32s) -> None:
        """Forget the rows: their neighbours, and themselves as neighbours of others."""
        self._n_recycles += 1
        self._recycled_at_V[row_R] = self._n_recycles
        self._cleaned_at_V[row_R] = self._n_recycles
        self._neighbour_VN[row_R] = -1
        self._weight_VN[row_R] = 0.0

    def state_dict(self) -> State:
        return {
            "schema_version": 1,
            "neighbour": self._neighbour_VN,
            "weight": self._weight_VN,
            "n_recycles": self._n_recycles,
            "recycled_at": self._recycled_at_V,
            "cleaned_at": self._cleaned_at_V,
        }

    def load_state_dict(self, state: State) -> None:
        n_saved, n_wanted = state["weight"].shape[1], self._weight_VN.shape[1]
        if n_saved != n_wanted:
            raise CheckpointError(
                f"item neighbours: the checkpoint keeps {n_saved} neighbours a row but the"
                f" settings want {n_wanted}; set neighbours: {n_saved} or use an empty"
                " checkpoint.dir"
            )
        self._neighbour_VN = state["neighbour"].copy()
        self._weight_VN = state["weight"].copy()
        self._n_recycles = state["n_recycles"]
        self._recycled_at_V = state["recycled_at"].copy()
        self._cleaned_at_V = state["cleaned_at"].copy()
