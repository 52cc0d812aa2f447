"""A batch → label-free queries, and the only place where catalogue and histories move.

# B clicks of the batch, C distinct contexts, T history length, E entries of all timelines
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from itertools import compress

import numpy as np

from stream.catalogue import Catalogue
from stream.events import Forget, Item
from stream.histories import Histories
from stream.id_hash import hash64
from stream.sequences import ragged_indices
from stream.timelines import Timelines, is_live, pack_items, rows_of
from stream.values import (
    Batch,
    Bools,
    Changes,
    Clicks,
    Contexts,
    DeadLetter,
    Int32s,
    Int64s,
    Queries,
    Ragged,
)


class ContextBuilder:
    """Builds the queries of a batch, once for the champion and every shadow.

    Parameters
    ----------
    catalogue, histories
        Whose state the queries are read from, as of the batch's start.
    history_items : int
        T, the most entries a context holds.
    k : int
        How many items each query wants.
    exclude_seen : bool
        Whether items a user has clicked are left out of the user's ranking.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        histories: Histories,
        history_items: int,
        k: int,
        exclude_seen: bool,
    ) -> None:
        self._catalogue = catalogue
        self._histories = histories
        self._history_items = history_items
        self._k = k
        self._exclude_seen = exclude_seen
        self._merged: tuple[Batch, list[str], Timelines] | None = None

    def without_repeats(self, batch: Batch) -> Batch:
        """The batch without clicks that came before: same user, same item, same instant.

        A click delivered twice is no second piece of evidence: it becomes a dead letter. Looked
        for in the batch and in the kept history of its user.
        """
        _, timelines = self._merged_with(batch)
        is_repeat_B = timelines.repeats()
        if not is_repeat_B.any():
            return batch
        letters = tuple(_repeat(batch.clicks, b) for b in np.flatnonzero(is_repeat_B).tolist())
        return replace(
            batch,
            clicks=_kept(batch.clicks, ~is_repeat_B),
            dead_letters=batch.dead_letters + letters,
        )

    def prepare(self, batch: Batch) -> Queries:
        """What is asked at each click: everything known strictly before its event time.

        A user's own earlier clicks of the batch extend the context, if their items were admitted
        when the batch began; nothing else moves within a batch.
        """
        _, timelines = self._merged_with(batch)
        live_E = is_live(timelines.item_E, self._catalogue.generation_V)
        until_E = np.concatenate([[0], np.cumsum(live_E)])  # live entries before each entry
        # contexts end before the click: predict must not see its own label, nor one as late.
        end_B = timelines.before(batch.clicks.ts_B)
        session_start_B = timelines.session_starts()[timelines.slot_B]
        session_B = until_E[end_B] - until_E[np.minimum(session_start_B, end_B)]
        end_C, context_of_B = np.unique(end_B, return_inverse=True)
        group_C = np.zeros(len(end_C), np.int64)
        group_C[context_of_B] = timelines.group_B
        contexts = self._contexts(
            rows_of(timelines.item_E[live_E]),
            until_E[timelines.starts_G[group_C]],
            until_E[end_C],
        )
        return Queries(
            contexts=contexts,
            context_of_B=context_of_B.astype(np.int32),
            ts_B=batch.clicks.ts_B,
            session_B=timelines.session_E[timelines.slot_B].astype(np.int64),
            session_length_B=np.minimum(session_B, self._history_items).astype(np.int32),
            n_items=len(self._catalogue),
            tie_hash_V=self._catalogue.tie_hash_V,
            k=self._k,
        )

    def advance(self, batch: Batch) -> Changes:
        """Move catalogue and histories past the batch, and say what changed.

        A user who asked to be forgotten keeps only the clicks later than the request.
        """
        upserts = [event for event in batch.others if isinstance(event, Item)]
        recycled_R = self._catalogue.admit(batch.clicks.item_B, upserts)
        forgotten = {str(e.user): int(e.ts) for e in batch.others if isinstance(e, Forget)}
        for user in forgotten:
            self._histories.forget(user)
        if forgotten:
            clicks = _after_forget(batch.clicks, forgotten)
            users_G, timelines = self._histories.merged_with(clicks, self._packed_items(clicks))
        else:
            users_G, timelines = self._merged_with(batch)
            timelines = timelines.with_items(self._packed_items(batch.clicks))
        self._histories.advance(users_G, timelines, self._catalogue.generation_V)
        self._merged = None
        return Changes(
            n_items=len(self._catalogue),
            recycled_R=recycled_R,
            forgotten_F=np.array([hash64(user) for user in forgotten], np.int64),
        )

    def _merged_with(self, batch: Batch) -> tuple[list[str], Timelines]:
        """Users and timelines of a batch; kept until it is advanced past: nothing moves before."""
        if self._merged is None or self._merged[0] is not batch:
            packed_B = self._packed_items(batch.clicks)
            self._merged = (batch, *self._histories.merged_with(batch.clicks, packed_B))
        return self._merged[1:]

    def _packed_items(self, clicks: Clicks) -> Int64s:
        rows_B = self._catalogue.rows(clicks.item_B)
        return pack_items(clicks.item_B, rows_B, self._catalogue.generation_V)

    def _contexts(self, rows_E: Int32s, start_C: Int64s, end_C: Int64s) -> Contexts:
        """Cut contexts out of live entries: the last T of start_C .. end_C, and all as seen."""
        length_C = np.minimum(end_C - start_C, self._history_items)
        n_steps = max(int(length_C.max(initial=0)), 1)
        history_CT = np.full((len(end_C), n_steps), -1, np.int32)
        is_filled_CT = np.arange(n_steps) < length_C[:, None]
        history_CT[is_filled_CT] = rows_E[ragged_indices(end_C - length_C, length_C)]
        seen = None
        if self._exclude_seen:
            starts = np.concatenate([[0], np.cumsum(end_C - start_C)])
            seen = Ragged(starts, rows_E[ragged_indices(start_C, end_C - start_C)])
        return Contexts(history_CT, length_C.astype(np.int32), seen)


def _kept(clicks: Clicks, is_kept_B: Bools) -> Clicks:
    sessions, origins = clicks.session_B, clicks.origin_B
    return Clicks(
        user_B=list(compress(clicks.user_B, is_kept_B)),
        item_B=list(compress(clicks.item_B, is_kept_B)),
        ts_B=clicks.ts_B[is_kept_B],
        session_B=None if sessions is None else list(compress(sessions, is_kept_B)),
        origin_B=None if origins is None else list(compress(origins, is_kept_B)),
    )


def _after_forget(clicks: Clicks, forgotten: Mapping[str, int]) -> Clicks:
    """The clicks, but for those of forgotten users up to the time of their request."""
    if not forgotten:
        return clicks
    pairs = zip(clicks.user_B, clicks.ts_B.tolist(), strict=True)
    return _kept(clicks, np.array([ts > forgotten.get(user, -1) for user, ts in pairs], np.bool_))


def _repeat(clicks: Clicks, b: int) -> DeadLetter:
    user, item, ts = clicks.user_B[b], clicks.item_B[b], int(clicks.ts_B[b])
    return DeadLetter(
        origin=clicks.origin_B[b] if clicks.origin_B is not None else "unknown",
        reason="repeated: this user clicked this item at this very instant before",
        raw=json.dumps({"type": "click", "user": user, "item": item, "ts": ts}).encode(),
    )
