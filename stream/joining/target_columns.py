"""What is kept of shown items for policies that did not show them, until the items are judged.

# E shown items that are held, M of them that are judged
"""

import sys
from collections.abc import Mapping

import numpy as np

from stream.growth import grown
from stream.targets import MAX_GIVEN_TARGETS, Choice, Targets
from stream.values import Float64s, Int64s, State

_PROPENSITY, _CHOICE, _CHOICE_CLICK, _GIVEN = "propensity", "choice", "choice click", "given "


class TargetColumns:
    """Columns that begin with the first number in them, beside a table that grows and is cleared.

    Memory: 8 bytes a shown item for its propensity, 16 more for the champion's choice, and 8 for
    each policy whose probabilities come with the lists, 8 of those at the most; nothing before
    the first list that any policy is asked about.

    Examples
    --------
    >>> columns = TargetColumns()
    >>> columns.extend(2)
    >>> columns.put(0, np.array([0.5, 0.25]), None, {"new": np.array([0.1, 0.4])})
    >>> columns.targets(np.array([1])).given_of
    {'new': array([0.4])}
    """

    def __init__(self) -> None:
        self._column_of: dict[str, Float64s] = {}
        self._n_items = 0
        self.n_left_out = 0

    def extend(self, n_new: int) -> None:
        """Add items of which nothing is known yet."""
        first, self._n_items = self._n_items, self._n_items + n_new
        for name, column_E in self._column_of.items():
            self._column_of[name] = grown(column_E, self._n_items, cap=sys.maxsize)
            self._column_of[name][first : self._n_items] = np.nan

    def put(
        self,
        first: int,
        propensity_S: Float64s,
        choice: Choice | None,
        given_of: Mapping[str, Float64s],
    ) -> None:
        """Remember what is known of the items from `first` on; nothing if nobody is asked about."""
        if choice is None and not given_of:
            return
        self._put(_PROPENSITY, first, propensity_S)
        if choice is not None:
            self._put(_CHOICE, first, choice.probability_S)
            if choice.click_S is not None:
                self._put(_CHOICE_CLICK, first, choice.click_S)
        for policy, given_S in given_of.items():
            name = _GIVEN + policy
            n_given = sum(known.startswith(_GIVEN) for known in self._column_of)
            if name in self._column_of or n_given < MAX_GIVEN_TARGETS:
                self._put(name, first, given_S)
            else:
                self.n_left_out += int(np.count_nonzero(~np.isnan(given_S)))

    def targets(self, index_M: Int64s) -> Targets | None:
        """What is known of some items; None where no policy is asked about."""
        told = {name: column_E[index_M] for name, column_E in self._column_of.items()}
        known = {name: told_M for name, told_M in told.items() if not np.isnan(told_M).all()}
        choice_M = told.get(_CHOICE)
        if choice_M is None and not any(name.startswith(_GIVEN) for name in known):
            return None
        return Targets(
            propensity_S=told[_PROPENSITY],
            choice=Choice(choice_M, known.get(_CHOICE_CLICK)) if choice_M is not None else None,
            given_of={
                name.removeprefix(_GIVEN): told_M
                for name, told_M in known.items()
                if name.startswith(_GIVEN)
            },
        )

    def keep(self, index_E: Int64s) -> None:
        """Keep these items alone, in the order given."""
        self._column_of = {name: column[index_E] for name, column in self._column_of.items()}
        self._n_items = len(index_E)

    def state_dict(self) -> State:
        return {
            "names": list(self._column_of),
            "columns": [column[: self._n_items] for column in self._column_of.values()],
            "n_items": self._n_items,
            "n_left_out": self.n_left_out,
        }

    def load_state_dict(self, state: State) -> None:
        columns = (np.array(column, np.float64) for column in state["columns"])
        self._column_of = dict(zip(state["names"], columns, strict=True))
        self._n_items = state["n_items"]
        self.n_left_out = state["n_left_out"]

    def _put(self, name: str, first: int, value_S: Float64s) -> None:
        if name not in self._column_of:
            self._column_of[name] = np.full(self._n_items, np.nan)
        self._column_of[name][first : self._n_items] = value_S
