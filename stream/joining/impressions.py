"""Lists that were shown and wait for their clicks.

# N lists, S shown items of those lists end to end, E places of lists, K clicks, M lists that
# matured, L learners
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream.asker_values import Askers
from stream.input_settings import InputsConfig
from stream.joining.growing_columns import GrowingColumns
from stream.joining.pair_chains import PairChains, pair_keys
from stream.joining.scored_rows import ScoredRows
from stream.joining.target_columns import TargetColumns
from stream.joining.told import keep_told, told_before
from stream.joining.waiting import Waiting
from stream.sequences import ragged_indices
from stream.values import (
    Bools,
    Float64s,
    Impressions,
    Int32s,
    Int64s,
    Matured,
    Predictions,
    Shown,
    State,
)

_ITEMS_PER_LIST = 32
"""Shown items that wait at the most, for each list that may."""

# Fewer shown items than these that are gone are not worth clearing away.
_MIN_GONE_ITEMS = 16_384

_NOTHING = InputsConfig()


class PendingLists:
    """Lists as they were scored, until it is known what was clicked.

    A list is known by its place and a shown item by its index; both hold until `clear_away`.
    Users and items are compared by their 64-bit hashes, requests as they are.

    Memory: about 250 bytes a list with its request, what is declared of what that carried, 4 bytes
    an entry of its context and for each column that says who asked, 25 bytes a shown item and 16
    more for each learner; 28 more where clicks do not name their request, and what `TargetColumns`
    takes where other policies are asked about. Up to four times that: as much again may be gone and
    not cleared away yet, and columns double.

    Parameters
    ----------
    window_ms : int
        How long after a list a click on it may come.
    max_pending : int
        Lists that wait at the most, and 32 times as many shown items.
    learners : sequence of str
        Whose probabilities are kept.
    inputs : InputsConfig, optional
        What is kept of who asked.
    """

    def __init__(
        self,
        window_ms: int,
        max_pending: int,
        learners: Sequence[str],
        inputs: InputsConfig = _NOTHING,
    ) -> None:
        self._says_who_asked = inputs.is_on
        self._window_ms = window_ms
        self._max_pending = max_pending
        self._learners = list(learners)
        self._lists = Waiting(
            {
                "user": np.int64,
                "seq": np.int64,
                "item_start": np.int64,
                "n_items": np.int64,
                "entry_start": np.int64,
                "n_entries": np.int64,
                "token": (np.int32, inputs.n_tokens),
                "number": (np.float32, inputs.n_numbers),
            },
            texts=["request", "policy", "context"],
        )
        self._items = GrowingColumns(
            {
                "item": np.int64,
                "row": np.int32,
                "position": np.int32,
                "is_clicked": np.bool_,
                "click_number": np.int64,
                "probability": (np.float64, len(self._learners)),
                "conversion": (np.float64, len(self._learners)),
            }
        )
        self._rows = ScoredRows()
        self.targets = TargetColumns()
        self._n_shown = 0
        self._place_of: dict[str, int] = {}
        self._chains = PairChains()

    def __len__(self) -> int:
        return len(self._lists)

    def __contains__(self, request: str) -> bool:
        return request in self._place_of

    @property
    def next_index(self) -> int:
        """The index that the next shown item gets."""
        return len(self._items)

    def add(
        self,
        lists: Impressions,
        shown: Shown,
        user_N: Int64s,
        item_S: Int64s,
        seq: int,
    ) -> None:
        """Take in the lists of batch `seq`, users and items as hashes; no request waits yet."""
        askers = shown.contexts.askers if self._says_who_asked else None
        entry_start_N, n_entries_N = self._rows.add(shown.contexts, shown.context_of_N)
        places = self._lists.add(
            lists.ts_N,
            {
                "user": user_N,
                "seq": seq,
                "item_start": len(self._items) + shown.starts[:-1],
                "n_items": np.diff(shown.starts),
                "entry_start": entry_start_N,
                "n_entries": n_entries_N,
                "token": -1 if askers is None else askers.token_CX[shown.context_of_N],
                "number": 0 if askers is None else askers.number_CF[shown.context_of_N],
            },
            {
                "request": lists.request_N,
                "policy": lists.policy_N,
                "context": lists.context_N or [None] * len(lists),
            },
        )
        self._place_of.update(zip(lists.request_N, places.tolist(), strict=True))
        self._items.extend(
            len(item_S),
            item=item_S,
            row=shown.item_S,
            position=shown.position_S,
            is_clicked=False,
            click_number=-1,
            probability=np.nan,
            conversion=np.nan,
        )
        self._rows.know(shown.item_S)
        self.targets.extend(len(item_S))
        self._n_shown += len(item_S)

    def keep_probabilities(self, first: int, predictions: Mapping[str, Predictions]) -> None:
        """Remember what each learner answered for the shown items from `first` on."""
        keep_told(self._items, first, self._learners, predictions)

    def of_items(self, name: str) -> NDArray[Any]:
        """A column of the shown items, by index; it may be written to."""
        return self._items[name]

    def places(self, requests: Sequence[str | None]) -> Int64s:
        """The place of each request's list, -1 where none waits."""
        get = self._place_of.get
        return np.array([-1 if r is None else get(r, -1) for r in requests], np.int64)

    def is_of_user(self, place_K: Int64s, user_K: Int64s) -> Bools:
        """Whether each list was shown to this user."""
        is_same: Bools = self._lists.array("user")[place_K] == user_K
        return is_same

    def is_over(self, place_K: Int64s, ts_K: Int64s) -> Bools:
        """Whether the window of each list had passed at this time."""
        is_over: Bools = ts_K > self._lists.ts_E[place_K] + self._window_ms
        return is_over

    def index_of(self, place_K: Int64s, item_K: Int64s) -> Int64s:
        """The index of the item in the list, -1 where the list does not show it."""
        n_items_K = self._lists.array("n_items")[place_K]
        index = ragged_indices(self._lists.array("item_start")[place_K], n_items_K)
        is_it = self._items["item"][index] == np.repeat(item_K, n_items_K)
        index_K = np.full(len(place_K), -1, np.int64)
        index_K[np.repeat(np.arange(len(place_K)), n_items_K)[is_it]] = index[is_it]
        return index_K

    def latest_showing(self, user_K: Int64s, item_K: Int64s, ts_K: Int64s) -> Int64s:
        """The index in the user's latest waiting list that shows the item, -1 if there is none.

        The list is not later than the time asked for, and its window has not passed then.
        """
        if not len(self) or not len(user_K):
            return np.full(len(user_K), -1, np.int64)
        self._chain_up()
        keys = pair_keys(user_K, item_K).tolist()
        found = [
            self._chains.latest(key, ts - self._window_ms, ts, self._is_waiting)
            for key, ts in zip(keys, ts_K.tolist(), strict=True)
        ]
        return np.array(found, np.int64)

    def first_items(self, place_K: Int64s) -> Int64s:
        """The index of the first item of each list."""
        index_K: Int64s = self._lists.array("item_start")[place_K]
        return index_K

    def click(self, index_K: Int64s) -> Bools:
        """Mark shown items as clicked; whether each was not clicked before."""
        is_clicked_S = self._items["is_clicked"]
        is_first_K = np.zeros(len(index_K), np.bool_)
        is_first_K[np.unique(index_K, return_index=True)[1]] = True
        is_first_K &= ~is_clicked_S[index_K]
        is_clicked_S[index_K] = True
        return is_first_K

    def clicked_from(self, first: int) -> Bools:
        """Whether each shown item from the index `first` on has been clicked."""
        return self._items["is_clicked"][first:].copy()

    def ts_of(self, index_K: Int64s) -> Int64s:
        """The event time of the list of each shown item."""
        ts_K: Int64s = self._lists.ts_E[self._place_at(index_K)]
        return ts_K

    def take_mature(self, watermark_ms: int) -> tuple[Int64s, Int64s, int]:
        """Take the lists whose answer is final, by (time of maturity, arrival).

        Returns
        -------
        place_M : int64 array
        ts_M : int64 array
            When they matured: when their window had passed, or now for one too many.
        n_early : int
            How many were too many; these are the oldest.
        """
        due = self._take(self._lists.take_until(watermark_ms - self._window_ms))
        early = [self._take(self._lists.take_oldest(len(self) - self._max_pending))]
        while self._n_shown > _ITEMS_PER_LIST * self._max_pending:
            early.append(self._take(self._lists.take_oldest(1)))
        place_M = np.concatenate([due, *early])
        ts_M = np.minimum(self._lists.ts_E[place_M] + self._window_ms, watermark_ms)
        order = np.lexsort((place_M, ts_M))
        return place_M[order], ts_M[order], len(place_M) - len(due)

    def take(self, place_M: Int64s) -> None:
        """Take lists, whether their window has passed or not."""
        self._lists.drop(place_M)
        self._take(place_M)

    def requests(self, place_M: Int64s) -> list[str]:
        """The request of each list."""
        requests = self._lists.texts["request"]
        return [requests[place] for place in place_M.tolist()]

    def answers(self, place_M: Int64s, ts_M: Int64s) -> Matured:
        """Lists with their answers, and what every learner that told anything had told."""
        policies = self._lists.texts["policy"]
        contexts = [self._lists.texts["context"][place] for place in place_M.tolist()]
        starts, index = self._runs(place_M)
        told_SL: Float64s = self._items["probability"][index]
        return Matured(
            ts_N=ts_M,
            policy_N=[policies[place] for place in place_M.tolist()],
            starts=starts,
            is_clicked_S=self._items["is_clicked"][index],
            probability_of={
                name: told_SL[:, column].copy()
                for column, name in enumerate(self._learners)
                if not np.isnan(told_SL[:, column]).all()
            },
            position_S=self._items["position"][index],
            history_N=self._lists.array("n_entries")[place_M],
            context_N=contexts if any(contexts) else None,
            targets=self.targets.targets(index),
        )

    def as_scored(self, place_M: Int64s) -> tuple[Shown, Bools]:
        """Lists as they were scored, but for rows that mean other items now, and their clicks."""
        starts, index = self._runs(place_M)
        return self._shown(place_M, starts, index), self._items["is_clicked"][index]

    def items_as_scored(self, index_K: Int64s) -> Shown:
        """Shown items as they were scored, each in a list of its own."""
        return self._shown(self._place_at(index_K), np.arange(len(index_K) + 1), index_K)

    def follow(self, n_items: int, recycled_R: Int32s, seq: int, forgotten_F: Int64s) -> None:
        """Rows mean other items after batch `seq`; the lists of forgotten users vanish."""
        self._rows.follow(n_items, recycled_R, seq)
        if len(forgotten_F) and len(self):
            is_gone_E = np.isin(self._lists.array("user"), forgotten_F)
            gone = np.flatnonzero(is_gone_E & self._lists.is_waiting_E)
            self.take(gone)

    def tidy(self) -> None:
        """Clear away what is gone, if that is more than what waits."""
        if self._lists.is_sparse or len(self._items) - self._n_shown > max(
            _MIN_GONE_ITEMS, self._n_shown
        ):
            self._clear_away()

    def state_dict(self) -> State:
        self._clear_away()
        return {
            "schema_version": 3,
            "lists": self._lists.state_dict(),
            "items": self._items.state_dict(),
            "rows": self._rows.state_dict(),
            "targets": self.targets.state_dict(),
            "learners": list(self._learners),
        }

    def load_state_dict(self, state: State) -> None:
        self._lists.load_state_dict(state["lists"])
        told = told_before(state["items"], state["learners"], self._learners)
        self._items.load_state_dict(state["items"] | told)
        self._rows.load_state_dict(state["rows"])
        self.targets.load_state_dict(state["targets"])
        self._n_shown = len(self._items)
        self._index_again()

    def _take(self, place_M: Int64s) -> Int64s:
        """Let go of lists that have been taken."""
        self._n_shown -= int(self._lists.array("n_items")[place_M].sum())
        for request in self.requests(place_M):
            del self._place_of[request]
        return place_M

    def _runs(self, place_M: Int64s) -> tuple[Int64s, Int64s]:
        """The indices of the lists' items, and where each list starts among them."""
        n_items_M = self._lists.array("n_items")[place_M]
        index = ragged_indices(self._lists.array("item_start")[place_M], n_items_M)
        return np.concatenate([[0], np.cumsum(n_items_M)]), index

    def _shown(self, place_M: Int64s, starts: Int64s, index: Int64s) -> Shown:
        seq_M = self._lists.array("seq")[place_M]
        contexts = self._rows.histories(
            self._lists.array("entry_start")[place_M],
            self._lists.array("n_entries")[place_M],
            seq_M,
        )
        askers = None
        if self._says_who_asked:
            token_EX, number_EF = self._lists.array("token"), self._lists.array("number")
            askers = Askers(token_EX[place_M], number_EF[place_M])
        return Shown(
            contexts=replace(contexts, askers=askers),
            context_of_N=np.arange(len(place_M), dtype=np.int32),
            starts=starts,
            item_S=self._rows.still(self._items["row"][index], np.repeat(seq_M, np.diff(starts))),
            position_S=self._items["position"][index],
        )

    def _place_at(self, index_K: Int64s) -> Int64s:
        """The place of the list that holds each shown item."""
        starts = self._lists.array("item_start")
        return np.searchsorted(starts, index_K, side="right").astype(np.int64) - 1

    def _is_waiting(self, index: int) -> bool:
        place = self._place_at(np.array([index]))[0]
        return bool(self._lists.is_waiting_E[place])

    def _chain_up(self) -> None:
        """Chain the shown items that have come since the last search."""
        first = len(self._chains)
        if first == len(self._items):
            return
        new = np.arange(self._place_at(np.array([first]))[0], self._lists.n_places)
        place = np.repeat(new, self._lists.array("n_items")[new])
        keys = pair_keys(self._lists.array("user")[place], self._items["item"][first:])
        self._chains.extend(keys, self._lists.ts_E[place])

    def _clear_away(self) -> None:
        self._lists.clear_away()
        for starts, lengths, tables in (
            ("item_start", "n_items", (self._items, self.targets)),
            ("entry_start", "n_entries", (self._rows,)),
        ):
            length_N = self._lists.array(lengths)
            index = ragged_indices(self._lists.array(starts), length_N)
            for columns in tables:
                columns.keep(index)
            self._lists.array(starts)[:] = np.cumsum(length_N) - length_N
        self._index_again()

    def _index_again(self) -> None:
        self._place_of = {name: place for place, name in enumerate(self._lists.texts["request"])}
        self._chains.clear()
