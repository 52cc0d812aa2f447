"""Named columns of one length that grow by doubling.

# E rows in use
"""

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stream.growth import grown
from stream.values import Int64s, State


class GrowingColumns:
    """Columns that rows are added behind, and taken out of all at once.

    A column given out is a view: it may be written to, and is void after the next `extend`,
    `keep` or `load_state_dict`. Memory: at most twice what the rows take.

    Parameters
    ----------
    dtypes : mapping of str to dtype, or to dtype and width
        The columns by name; one with a width holds so many values a row.

    Examples
    --------
    >>> columns = GrowingColumns({"ts": np.int64, "is_open": np.bool_})
    >>> columns.extend(3, ts=[5, 6, 7], is_open=True)
    >>> columns.keep(np.array([0, 2]))
    >>> columns["ts"], columns["is_open"]
    (array([5, 7]), array([ True,  True]))
    """

    def __init__(self, dtypes: Mapping[str, Any]) -> None:
        self._arrays: dict[str, NDArray[Any]] = {}
        self._n = 0
        for name, dtype in dtypes.items():
            kind, *width = dtype if isinstance(dtype, tuple) else (dtype,)
            self._arrays[name] = np.zeros((0, *width), kind)

    def __len__(self) -> int:
        return self._n

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self._arrays[name][: self._n]

    def extend(self, n_new: int, **columns: ArrayLike) -> None:
        """Add rows: every column as an array, or one value for all of them."""
        n = self._n + n_new
        for name in self._arrays:
            self._arrays[name] = grown(self._arrays[name], n, cap=sys.maxsize)
            self._arrays[name][self._n : n] = columns[name]
        self._n = n

    def keep(self, index_E: Int64s) -> None:
        """Keep these rows alone, in the order given."""
        for name in self._arrays:
            self._arrays[name] = self[name][index_E]
        self._n = len(index_E)

    def state_dict(self) -> State:
        return {name: self[name] for name in self._arrays}

    def load_state_dict(self, state: State) -> None:
        for name, array in self._arrays.items():
            self._arrays[name] = np.array(state[name], array.dtype)
        self._n = min(map(len, self._arrays.values()))
