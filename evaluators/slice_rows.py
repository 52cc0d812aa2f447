"""Slices of what is judged, as rows: by history, by item, by place, and by what requests carried.

# N clicks or lists
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PositiveInt

from evaluators.history_lengths import HistoryBounds, length_names
from stream.values import Int32s, Int64s, State

OTHER_VALUES = "other"
"""Stands for every value of a field past the cap, and for one of that name."""

MAX_FIELDS = 4
NO_SLICE = -1

PLACES = (1, 2, 3, 4, 6, 11)
"""Places at which another slice of a list begins."""

_SCHEMA_VERSION = 1


def _fields(fields: tuple[str, ...]) -> tuple[str, ...]:
    if len(fields) > MAX_FIELDS or len({*fields}) != len(fields) or not all(fields):
        raise ValueError(
            f"expected at most {MAX_FIELDS} fields of a request's context, each once, got "
            f"{list(fields)}; write for example [device, hour]"
        )
    return fields


class SlicesConfig(BaseModel):
    """By what slices ranking and clicks are judged.

    Attributes
    ----------
    enabled : bool
        Costs about as much as all ranking figures of one learner.
    history : tuple of int
        Lengths of history at which another slice of users begins; the first are the new users.
        Lengths past `learner.history_items` are never reached.
    new_item_clicks : int
        Clicks before which an item is new.
    context : tuple of str
        Fields of a request's context, such as `device`: a slice for each value.
    at_most : int
        Values of a field told apart, in order of first sight; all others are one, `other`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = True
    history: HistoryBounds = (1, 5, 20)
    new_item_clicks: PositiveInt = 10
    context: Annotated[tuple[str, ...], AfterValidator(_fields)] = ()
    at_most: Annotated[int, Field(ge=1, le=16)] = 8


class SliceRows:
    """The row of each slice; those of a context's values are given out as they come.

    Examples
    --------
    >>> rows = SliceRows(SlicesConfig(history=(1,), context=("device",)))
    >>> rows.of_histories(np.array([0, 7])), rows.of_contexts("device", [{"device": "tv"}, None])
    (array([0, 1]), array([10, -1]))
    >>> rows.names[0], rows.names[1], rows.names[10]
    ('history=0', 'history=1+', 'context.device=tv')
    """

    def __init__(self, config: SlicesConfig) -> None:
        self._config = config
        self._bounds = np.array(config.history, np.int64)
        self.names = [f"history={name}" for name in length_names(config.history)]
        self._first_item = len(self.names)
        self.names += ["item=new", "item=known"]
        self._first_place = len(self.names)
        # Places begin at 1: the first name, of those before, is never used.
        self.names += [f"place={name}" for name in length_names(PLACES)[1:]]
        self._n_fixed = len(self.names)
        self._row_of: dict[str, dict[str, int]] = {field: {} for field in config.context}

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields whose values are slices."""
        return self._config.context

    def of_histories(self, length_N: Int32s | Int64s) -> Int64s:
        """The row of each length of history."""
        return np.searchsorted(self._bounds, length_N, side="right")

    def of_items(self, clicks_N: Int64s) -> Int64s:
        """The row of items that were clicked so often before."""
        is_known_N: Int64s = (clicks_N >= self._config.new_item_clicks).astype(np.int64)
        return self._first_item + is_known_N

    def of_places(self, position_S: Int32s) -> Int64s:
        """The row of each place, from 1 on."""
        return self._first_place - 1 + np.searchsorted(np.array(PLACES), position_S, side="right")

    def of_contexts(
        self, field: str, context_N: Sequence[Mapping[str, Any] | None] | None
    ) -> Int64s:
        """The row of each value of a field, -1 where there is none; new values get theirs."""
        if context_N is None:
            return np.zeros(0, np.int64)
        values = [_text(context.get(field)) if context else None for context in context_N]
        row_of: dict[str | None, int] = {None: NO_SLICE}
        for value in dict.fromkeys(values):
            if value is not None:
                row_of[value] = self._row(field, value)
        return np.array([row_of[value] for value in values], np.int64)

    def state_dict(self) -> State:
        return {"schema_version": _SCHEMA_VERSION, "rows": _copied(self._row_of)}

    def load_state_dict(self, state: State) -> None:
        self._row_of = _copied(state["rows"])
        named = [(row, f, v) for f, rows in self._row_of.items() for v, row in rows.items()]
        told = [f"context.{field}={value}" for _, field, value in sorted(named)]
        self.names = self.names[: self._n_fixed] + told

    def _row(self, field: str, value: str) -> int:
        rows = self._row_of[field]
        if value not in rows:
            n_apart = len(rows) - (OTHER_VALUES in rows)
            value = value if n_apart < self._config.at_most else OTHER_VALUES
        if value not in rows:
            rows[value] = len(self.names)
            self.names.append(f"context.{field}={value}")
        return rows[value]


def _text(value: str | float | None) -> str | None:
    """A field's value; a number if the field is an input too."""
    return f"{value:g}" if isinstance(value, float) else value


def _copied(row_of: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    return {field: dict(rows) for field, rows in row_of.items()}
