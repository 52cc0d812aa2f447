"""Item ids ↔ rows: admission, expiry, generations and metadata.

# V rows in use, N ids asked for, R rows recycled
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from pydantic import BaseModel, ConfigDict, PositiveInt

from stream.growth import grown
from stream.id_hash import hash32
from stream.id_table import IdTable
from stream.values import Int32s, State, UInt32s

if TYPE_CHECKING:
    from stream.events import Item


# Of a title, text or category; whoever reads texts reads their beginnings.
_MAX_TEXT_CHARS = 8_192


class CatalogueConfig(BaseModel):
    """How many items are known, and when one becomes known."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_items: PositiveInt = 200_000
    """Rows at the most; at the cap the item clicked longest ago makes room."""
    min_count: PositiveInt = 1
    """Clicks after which an item is admitted; an `item` event admits at once."""


class Catalogue:
    """The items that can be ranked.

    Rows 0 .. len - 1 are all live. Nothing moves but in `admit`: who asks for rows in between
    gets the same answers. Memory: about 200 bytes an item, and what its metadata takes.
    """

    def __init__(self, config: CatalogueConfig) -> None:
        self._config = config
        self._table = IdTable(config.max_items)
        self._tie_hash_V: UInt32s = np.zeros(0, np.uint32)
        # JSON as bytes: copied into a checkpoint without walking through it.
        self._metadata: dict[int, bytes] = {}
        # Clicks of items that wait for admission, oldest first; at most `max_items` of them.
        self._waiting: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._table)

    @property
    def tie_hash_V(self) -> UInt32s:
        return self._tie_hash_V[: len(self)]

    @property
    def generation_V(self) -> Int32s:
        return self._table.generation_V[: len(self)]

    @property
    def ids(self) -> Sequence[str]:
        """The id of each row."""
        return self._table.ids

    def rows(self, item_ids: Sequence[str]) -> Int32s:
        """Row of each item, -1 where it is not admitted."""
        return self._table.rows(item_ids)

    def metadata(self, row: int) -> dict[str, Any]:
        """What the newest `item` event said of the item: title, text, category, ..."""
        told: dict[str, Any] = msgspec.json.decode(self._metadata.get(row, b"{}"))
        return told

    def described(self, upserts: "Sequence[Item]") -> dict[int, dict[str, Any]]:
        """The metadata of the items that these are about, by row, as it is now."""
        rows = dict.fromkeys(self.rows([str(upsert.item) for upsert in upserts]).tolist())
        return {row: self.metadata(row) for row in rows if row in self._metadata}

    def all_described(self) -> dict[int, dict[str, Any]]:
        """The metadata of every item that has any, by row."""
        return {row: self.metadata(row) for row in sorted(self._metadata)}

    def admit(self, clicked: Sequence[str], upserts: "Sequence[Item]") -> Int32s:
        """Count clicks, admit whoever is due, and return the rows that were recycled for them."""
        known_N = self._table.rows(clicked)
        self._table.touch(known_N)
        due = self._due([name for name, row in zip(clicked, known_N, strict=True) if row < 0])
        for upsert in upserts:
            if str(upsert.item) not in due and self._table.rows([str(upsert.item)])[0] < 0:
                self._waiting.pop(str(upsert.item), None)
                due[str(upsert.item)] = None
        recycled_R = self._admit_all(list(due))
        self._describe(upserts)
        return recycled_R

    def state_dict(self) -> State:
        n = len(self)
        return {
            "schema_version": 1,
            "table": self._table.state_dict(),
            "tie_hash": self._tie_hash_V[:n],
            "metadata_row": np.array(sorted(self._metadata), np.int64),
            "metadata": [self._metadata[row] for row in sorted(self._metadata)],
            "waiting_id": list(self._waiting),
            "waiting_count": np.array(list(self._waiting.values()), np.int64),
        }

    def load_state_dict(self, state: State) -> None:
        self._table.load_state_dict(state["table"])
        self._tie_hash_V = np.array(state["tie_hash"], np.uint32)
        rows = state["metadata_row"].tolist()
        self._metadata = dict(zip(rows, state["metadata"], strict=True))
        counts = state["waiting_count"].tolist()
        self._waiting = dict(zip(state["waiting_id"], counts, strict=True))

    def _due(self, unknown: list[str]) -> dict[str, None]:
        """Unknown items that have reached `min_count`, in the order in which they did."""
        due: dict[str, None] = {}
        for name in unknown:
            count = self._waiting.pop(name, 0) + 1
            if name in due or count >= self._config.min_count:
                due[name] = None
            else:
                self._waiting[name] = count
        while len(self._waiting) > self._config.max_items:
            del self._waiting[next(iter(self._waiting))]
        return due

    def _admit_all(self, due: list[str]) -> Int32s:
        rows_N, recycled_R = self._table.assign(due)
        self._tie_hash_V = grown(self._tie_hash_V, len(self), self._config.max_items)
        placed = rows_N >= 0
        hashes = np.array([hash32(name) for name in due], np.uint32)
        self._tie_hash_V[rows_N[placed]] = hashes[placed]
        for row in recycled_R.tolist():
            self._metadata.pop(row, None)
        return recycled_R

    def _describe(self, upserts: "Sequence[Item]") -> None:
        for upsert in upserts:
            row = int(self._table.rows([str(upsert.item)])[0])
            if row >= 0:
                told = {
                    name: value[:_MAX_TEXT_CHARS] if isinstance(value, str) else value
                    for name in ("title", "text", "category", "attributes", "vectors")
                    if (value := getattr(upsert, name)) is not None
                }
                if told:
                    # Whatever a file can hold has some text: metadata never stops the stream.
                    self._metadata[row] = msgspec.json.encode(
                        self.metadata(row) | told, enc_hook=str
                    )
