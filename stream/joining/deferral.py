"""Clicks on items that have no row yet: learned one batch later, if they have one then.

# B clicks of the batch, C contexts, M lessons, D clicks deferred by one batch
"""

from dataclasses import replace

import numpy as np

from stream.asker_values import Askers
from stream.catalogue import Catalogue
from stream.context_rows import without_gone
from stream.lessons import compacted, no_lessons, select
from stream.values import Changes, Contexts, Lessons, State


class Deferral:
    """The lessons of one batch's clicks on items that were not admitted, as they were asked."""

    def __init__(self) -> None:
        self._lessons = no_lessons()
        self._item_D: list[str] = []

    def __len__(self) -> int:
        return len(self._item_D)

    def take(self, catalogue: Catalogue) -> Lessons:
        """Last batch's clicks on items that have been admitted since; the others are given up."""
        row_D = catalogue.rows(self._item_D)
        return select(replace(self._lessons, target_M=row_D), np.flatnonzero(row_D >= 0))

    def put(self, lessons: Lessons, items: list[str]) -> None:
        """Keep lessons without a target for the next batch, and the items that were clicked."""
        self._lessons, self._item_D = compacted(lessons), items

    def follow(self, changes: Changes) -> None:
        """Drop what recycled rows meant, and forgotten users."""
        kept = np.flatnonzero(~np.isin(self._lessons.user_M, changes.forgotten_F))
        lessons = compacted(select(self._lessons, kept))
        is_gone_V = np.zeros(changes.n_items, np.bool_)
        is_gone_V[changes.recycled_R] = True
        contexts = without_gone(lessons.contexts, is_gone_V)
        left_M = contexts.length_C[lessons.context_of_M]
        self._lessons = replace(
            lessons,
            contexts=contexts,
            session_length_M=np.minimum(lessons.session_length_M, left_M),
        )
        self._item_D = [self._item_D[i] for i in kept.tolist()]

    def state_dict(self) -> State:
        lessons, askers = self._lessons, self._lessons.contexts.askers
        return {
            "schema_version": 2,
            "item": list(self._item_D),
            "history": lessons.contexts.history_CT,
            "length": lessons.contexts.length_C,
            "context_of": lessons.context_of_M,
            "ts": lessons.ts_M,
            "user": lessons.user_M,
            "session": lessons.session_M,
            "session_length": lessons.session_length_M,
            "token": None if askers is None else askers.token_CX,
            "number": None if askers is None else askers.number_CF,
        }

    def load_state_dict(self, state: State) -> None:
        self._item_D = list(state["item"])
        askers = None if state["token"] is None else Askers(state["token"], state["number"])
        self._lessons = Lessons(
            contexts=Contexts(state["history"], state["length"], askers=askers),
            context_of_M=state["context_of"],
            target_M=np.full(len(self._item_D), -1, np.int32),
            ts_M=state["ts"],
            user_M=state["user"],
            session_M=state["session"],
            session_length_M=state["session_length"],
        )
