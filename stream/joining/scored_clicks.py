"""Clicks as they were scored, until it is known whether they convert.

# B clicks of the batch, K first clicks on shown items, P clicks on no list, M clicks that matured,
# L learners

A click waits for its conversion as a list of one item waits for its click: in the context that was
scored, without what its rows meant before they were recycled, and gone with its user.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from stream.conversions import ConversionLessons, PredictedConversions, none_predicted
from stream.input_settings import InputsConfig
from stream.joining.click_matching import Matches
from stream.joining.impressions import PendingLists
from stream.values import Changes, Float64s, Impressions, Int32s, Int64s, Queries, Shown, State

_NOTHING = InputsConfig()

ON_NO_LIST = 0
"""The place of a clicked item that no list showed."""


class ScoredClicks:
    """Clicks by number, with what they were made on.

    An item that is clicked again on its list is no new click: the number stays. Which clicks have
    waited long enough, and which are too many, is for `Followups` to say, where every click waits:
    there are never more here. Memory: this is a `PendingLists` with one item a list, in which the
    learners' probabilities are those of conversions.

    Parameters
    ----------
    window_ms : int
        How long after a click its conversion may come.
    max_pending : int
        Clicks that wait at the most.
    learners : sequence of str
        Whose conversion probabilities are kept.
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
        self._waiting = PendingLists(window_ms, max_pending, learners, inputs)
        self._n_learners = len(learners)
        self._n_clicks = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def add(
        self,
        queries: Queries,
        row_B: Int32s,
        user_B: Int64s,
        matches: Matches,
        lists: PendingLists,
        seq: int,
    ) -> tuple[Int64s, tuple[ConversionLessons, ...]]:
        """Take in the clicks of batch `seq`, which are its queries.

        Returns
        -------
        number_B : int64 array
            The number of each; of one that repeats a click on a list, that of the first.
        lessons : tuple of ConversionLessons
            The clicks on no list, as not converted.
        """
        on_list, index_K = np.flatnonzero(matches.is_joined_B), matches.joined
        on_none = np.flatnonzero(matches.index_B < 0)
        told_KL = lists.of_items("conversion")[index_K]
        shown = lists.items_as_scored(index_K)
        number_of = lists.of_items("click_number")
        number_of[index_K] = self._keep(shown, queries.ts_B[on_list], user_B[on_list], told_KL, seq)
        number_B = np.full(len(queries), -1, np.int64)
        meets_B = matches.index_B >= 0
        number_B[meets_B] = number_of[matches.index_B[meets_B]]
        if not len(on_none):
            return number_B, ()
        told_PL = np.full((len(on_none), self._n_learners), np.nan)
        shown = _on_no_list(queries, row_B, on_none)
        number_B[on_none] = self._keep(shown, queries.ts_B[on_none], user_B[on_none], told_PL, seq)
        return number_B, (ConversionLessons(shown, False),)

    def convert(self, numbers: Sequence[int]) -> tuple[ConversionLessons, ...]:
        """The clicks with these numbers converted; those of them that had not before."""
        place = self._waiting.places([str(number) for number in numbers])
        index = self._waiting.first_items(place[place >= 0])
        index = index[self._waiting.click(index)]
        if not len(index):
            return ()
        return (ConversionLessons(self._waiting.items_as_scored(index), True),)

    def take_mature(self, number_M: Int64s, ts_M: Int64s) -> PredictedConversions:
        """Let go of the clicks with these numbers, matured then; what was predicted for them."""
        _, first_M = np.unique(number_M, return_index=True)
        first_M = np.sort(first_M)
        place_M = self._waiting.places([str(number) for number in number_M[first_M].tolist()])
        waits = np.flatnonzero(place_M >= 0)
        place_M, ts_M = place_M[waits], ts_M[first_M][waits]
        if not len(place_M):
            return none_predicted()
        position_M = self._waiting.of_items("position")[self._waiting.first_items(place_M)]
        shown = np.flatnonzero(position_M != ON_NO_LIST)
        matured = self._waiting.answers(place_M[shown], ts_M[shown])
        self._waiting.take(place_M)
        self._waiting.tidy()
        return PredictedConversions(matured.ts_N, matured.is_clicked_S, matured.probability_of)

    def follow(self, changes: Changes, seq: int) -> None:
        """Rows mean other items after batch `seq`; the clicks of forgotten users vanish."""
        self._waiting.follow(changes.n_items, changes.recycled_R, seq, changes.forgotten_F)

    def state_dict(self) -> State:
        return {
            "schema_version": 1,
            "waiting": self._waiting.state_dict(),
            "n_clicks": self._n_clicks,
        }

    def load_state_dict(self, state: State) -> None:
        self._waiting.load_state_dict(state["waiting"])
        self._n_clicks = state["n_clicks"]

    def _keep(
        self, shown: Shown, ts_K: Int64s, user_K: Int64s, told_KL: Float64s, seq: int
    ) -> Int64s:
        """Keep items, each in a list of its own, with what was told of them; their numbers."""
        n = len(ts_K)
        number_K: Int64s = self._n_clicks + np.arange(n)
        self._n_clicks += n
        as_lists = Impressions(
            request_N=[str(number) for number in number_K.tolist()],
            user_N=[],
            ts_N=ts_K,
            starts=shown.starts,
            item_S=[],
            propensity_S=np.zeros(0),
            policy_N=[None] * n,
        )
        first = self._waiting.next_index
        # Found by number alone: no item is looked for.
        self._waiting.add(as_lists, shown, user_K, np.zeros(n, np.int64), seq)
        self._waiting.of_items("probability")[first:] = told_KL
        return number_K


def _on_no_list(queries: Queries, row_B: Int32s, chosen: Int64s) -> Shown:
    """Clicked items in the contexts in which they were asked for."""
    return Shown(
        contexts=replace(queries.contexts, seen=None),
        context_of_N=queries.context_of_B[chosen],
        starts=np.arange(len(chosen) + 1),
        item_S=row_B[chosen],
        position_S=np.full(len(chosen), ON_NO_LIST, np.int32),
    )
