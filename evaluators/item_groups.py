"""What evaluators know of items: the group that each belongs to, and how often it was clicked.

# V rows of the catalogue, B clicks of a batch, N rows asked for
"""

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from stream.growth import grown
from stream.values import Changes, Int32s, Int64s, State

UNKNOWN_GROUP = 0
"""Of items that nothing is known of; they are in no figure about groups."""
OTHER_GROUPS = "other"
"""Stands for every group past the cap, and for one of that name."""

_MAX_NAME = 64
_MANY_ROWS = 2**31 - 1

_SCHEMA_VERSION = 1


class GroupsConfig(BaseModel):
    """Into which groups items are sorted, for figures about diversity, fairness and interests.

    Attributes
    ----------
    by : str
        What names an item's group: its `category`, or the attribute of this name. Of a list the
        first entry counts.
    at_most : int
        Groups told apart, in order of first sight; all others are one, `other`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    by: Annotated[str, Field(min_length=1)] = "category"
    at_most: Annotated[int, Field(ge=1, le=200)] = 64


class ItemGroups:
    """Groups and clicks of the items, by row. Memory: at most 26 bytes a row, and the names.

    A row that means another item starts anew, in a new generation. What an item says of itself
    counts from the batch after the one that brought it.

    Examples
    --------
    >>> groups = ItemGroups(GroupsConfig())
    >>> told = {0: {"category": "tea"}, 2: {"category": "cups"}}
    >>> groups.follow(Changes(3, np.zeros(0, np.int32), np.zeros(0, np.int64), told))
    >>> groups.of(np.array([2, 1, 0, -1])), groups.names
    (array([2, 0, 1, 0], dtype=uint8), ['', 'tea', 'cups'])
    """

    def __init__(self, config: GroupsConfig) -> None:
        self._by = config.by
        self._at_most = config.at_most
        self.names: list[str] = [""]
        self._group_of: dict[str, int] = {}
        # A row more than there are items: -1 reads the last one, which is in no group.
        self._group_V: NDArray[np.uint8] = np.zeros(1, np.uint8)
        self._clicks_V: Int64s = np.zeros(1, np.int64)
        self._generation_V: Int32s = np.zeros(1, np.int32)
        self.n_items = 0
        self.n_clicks = 0

    @property
    def max_groups(self) -> int:
        """How many groups there can be, those without a name and all others included."""
        return self._at_most + 2

    @property
    def generation_V(self) -> Int32s:
        """How many items each row has meant before; rows past the last item are spare."""
        return self._generation_V

    @property
    def clicks_V(self) -> Int64s:
        """Clicks since start on the item that each row means; rows past the last are spare."""
        return self._clicks_V

    def of(self, row_N: Int32s | Int64s) -> NDArray[np.uint8]:
        """The group of each row, 0 where none is known; -1 is an item without a row."""
        group_N: NDArray[np.uint8] = self._group_V[row_N]
        return group_N

    def count(self, answer_B: Int32s) -> None:
        """Count the clicks of a batch; -1 is an item without a row."""
        row_N = answer_B[answer_B >= 0]
        np.add.at(self._clicks_V, row_N, np.int64(1))
        self.n_clicks += len(row_N)

    def make_room(self, n_items: int) -> None:
        """Have a place for each of so many items."""
        self.n_items = max(self.n_items, n_items)
        if self.n_items >= len(self._group_V):
            self._group_V = grown(self._group_V, self.n_items + 1, _MANY_ROWS)
            self._clicks_V = grown(self._clicks_V, self.n_items + 1, _MANY_ROWS)
            self._generation_V = grown(self._generation_V, self.n_items + 1, _MANY_ROWS)

    def follow(self, changes: Changes) -> None:
        """Make room for new items, forget what rows meant, and hear what items are."""
        self.make_room(changes.n_items)
        recycled_R = changes.recycled_R
        if len(recycled_R):
            self.n_clicks -= int(self._clicks_V[recycled_R].sum())
            self._clicks_V[recycled_R] = 0
            self._group_V[recycled_R] = UNKNOWN_GROUP
            self._generation_V[recycled_R] += 1
        for row, told in changes.described.items():
            self._group_V[row] = self._group(told)

    def state_dict(self) -> State:
        n = self.n_items
        return {
            "schema_version": _SCHEMA_VERSION,
            "names": list(self.names),
            "group_V": self._group_V[:n],
            "clicks_V": self._clicks_V[:n],
            "generation_V": self._generation_V[:n],
        }

    def load_state_dict(self, state: State) -> None:
        self.names = list(state["names"])
        self._group_of = {name: group for group, name in enumerate(self.names) if group}
        self.n_items = len(state["group_V"])
        self._group_V = np.append(state["group_V"], np.uint8(0))
        self._clicks_V = np.append(state["clicks_V"], np.int64(0))
        self._generation_V = np.append(state["generation_V"], np.int32(0))
        self.n_clicks = int(self._clicks_V.sum())

    def _group(self, told: Mapping[str, Any]) -> int:
        """The number of an item's group; a new one gets its own, as long as there are few."""
        name = _group_name(told, self._by)
        if not name:
            return UNKNOWN_GROUP
        if name not in self._group_of:
            n_apart = len(self._group_of) - (OTHER_GROUPS in self._group_of)
            name = name if n_apart < self._at_most else OTHER_GROUPS
        if name not in self._group_of:
            self._group_of[name] = len(self.names)
            self.names.append(name)
        return self._group_of[name]


def _group_name(told: Mapping[str, Any], by: str) -> str:
    """What names an item's group; empty where it does not say."""
    if by == "category":
        value = told.get("category")
    else:
        attributes = told.get("attributes")
        value = attributes.get(by) if isinstance(attributes, Mapping) else None
    if isinstance(value, list):
        value = value[0] if value else None
    is_told = isinstance(value, str | int | float) and value == value
    return str(value)[:_MAX_NAME] if is_told else ""
