"""Items side by side, each as wide as its weight: a random point of a category is an item.

# V items, C categories, N draws
"""

import numpy as np

from stream.values import Float64s, Int64s


class Shelf:
    """Draws items of given categories in proportion to their weight.

    Parameters
    ----------
    category_V : int64 array, shape (V,)
        Every category has an item.
    weight_V : float64 array, shape (V,)
        Positive.

    Examples
    --------
    >>> shelf = Shelf(np.array([0, 1, 0]), np.array([3.0, 1.0, 1.0]))
    >>> shelf.at(np.array([0, 0, 1]), np.array([0.74, 0.76, 0.5])).tolist()
    [0, 2, 1]
    """

    def __init__(self, category_V: Int64s, weight_V: Float64s) -> None:
        self.weight_V = weight_V
        self._item_V = np.argsort(category_V, kind="stable")
        self._ends_V = np.cumsum(weight_V[self._item_V])
        counts_C = np.bincount(category_V)
        self._last_C = np.cumsum(counts_C) - 1
        self._first_C = self._last_C - counts_C + 1

    def at(self, category_N: Int64s, point_N: Float64s) -> Int64s:
        """The items at points of their categories, from 0 to just below 1."""
        first, last = self._first_C[category_N], self._last_C[category_N]
        low = np.where(first > 0, self._ends_V[first - 1], 0.0)
        point = low + point_N * (self._ends_V[last] - low)
        place = np.clip(np.searchsorted(self._ends_V, point, side="right"), first, last)
        item_N: Int64s = self._item_V[place]
        return item_N

    def members(self, category: int) -> Int64s:
        """All items of a category."""
        return self._item_V[self._first_C[category] : self._last_C[category] + 1]
