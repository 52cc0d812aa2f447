"""A batch → label-free queries, and the only place where catalogue and histories move.

# B clicks of the batch, N lists shown (or either), S their items, C distinct contexts,
# T history length, E entries of all timelines, L live ones among them
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from typing import Any

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
    Shown,
)

_MAX_VALUE = 64


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
    declared : sequence of str, optional
        The fields of a request's context that are kept.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        histories: Histories,
        history_items: int,
        k: int,
        exclude_seen: bool,
        declared: Sequence[str] = (),
    ) -> None:
        self._catalogue = catalogue
        self._histories = histories
        self._history_items = history_items
        self._k = k
        self._exclude_seen = exclude_seen
        self._declared = tuple(declared)
        self._merged: tuple[Batch, dict[str, int], Timelines] | None = None

    def read(self, arrived: Batch) -> Batch:
        """The batch, and of what its requests carried only what was declared, as short texts.

        The first step of a batch: what waits from here on, for a list say, is bounded.
        """
        clicks, lists = arrived.clicks, arrived.impressions
        if clicks.context_B is None and lists.context_N is None:
            return arrived
        return replace(
            arrived,
            clicks=replace(clicks, context_B=_kept_fields(clicks.context_B, self._declared)),
            impressions=replace(lists, context_N=_kept_fields(lists.context_N, self._declared)),
        )

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
        """What is asked at each click and each list shown: everything known strictly before it.

        A user's own earlier clicks of the batch extend the context, if their items were admitted
        when the batch began; nothing else moves within a batch. A list's context leaves out the
        clicks on the list itself, whatever the clocks say.
        """
        group_of, timelines = self._merged_with(batch)
        live_E = is_live(timelines.item_E, self._catalogue.generation_V)
        entries = _LiveEntries(
            row_L=rows_of(timelines.item_E[live_E]),
            until_E=np.concatenate([[0], np.cumsum(live_E)]),
            starts_G=timelines.starts_G,
        )
        # contexts end before the click: predict must not see its own label, nor one as late.
        end_B = timelines.before(timelines.group_B, batch.clicks.ts_B)
        contexts, context_of_B = self._contexts(entries, timelines.group_B, end_B)
        session_start_B = timelines.session_starts()[timelines.slot_B]
        until_E = entries.until_E
        session_B = until_E[end_B] - until_E[np.minimum(session_start_B, end_B)]
        return Queries(
            contexts=contexts,
            context_of_B=context_of_B,
            ts_B=batch.clicks.ts_B,
            session_B=timelines.session_E[timelines.slot_B].astype(np.int64),
            session_length_B=np.minimum(session_B, self._history_items).astype(np.int32),
            n_items=len(self._catalogue),
            tie_hash_V=self._catalogue.tie_hash_V,
            k=self._k,
            shown=self._shown(batch, group_of, timelines, entries),
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
            group_of, timelines = self._histories.merged_with(clicks, self._packed_items(clicks))
        else:
            group_of, timelines = self._merged_with(batch)
            timelines = timelines.with_items(self._packed_items(batch.clicks))
        n_clicking = int(timelines.group_B.max(initial=-1)) + 1  # onlookers come behind
        users_G = list(group_of)[:n_clicking]
        self._histories.advance(users_G, timelines, self._catalogue.generation_V)
        self._merged = None
        return Changes(
            n_items=len(self._catalogue),
            recycled_R=recycled_R,
            forgotten_F=np.array([hash64(user) for user in forgotten], np.int64),
            described=self._catalogue.described(upserts),
        )

    def everything(self) -> Changes:
        """All that is known of the items, for whoever joins a catalogue that is there already."""
        none = np.zeros(0, np.int64)
        described = self._catalogue.all_described()
        return Changes(len(self._catalogue), none.astype(np.int32), none, described)

    def _merged_with(self, batch: Batch) -> tuple[dict[str, int], Timelines]:
        """Groups and timelines of a batch; kept until it is advanced past: nothing moves before."""
        if self._merged is None or self._merged[0] is not batch:
            packed_B = self._packed_items(batch.clicks)
            merged = self._histories.merged_with(
                batch.clicks, packed_B, onlookers=batch.impressions.user_N
            )
            self._merged = (batch, *merged)
        return self._merged[1:]

    def _packed_items(self, clicks: Clicks) -> Int64s:
        rows_B = self._catalogue.rows(clicks.item_B)
        return pack_items(clicks.item_B, rows_B, self._catalogue.generation_V)

    def _shown(
        self,
        batch: Batch,
        group_of: Mapping[str, int],
        timelines: Timelines,
        entries: "_LiveEntries",
    ) -> Shown | None:
        lists = batch.impressions
        if not len(lists):
            return None
        group_N = np.array([group_of[user] for user in lists.user_N], np.int64)
        end_N = timelines.before(group_N, lists.ts_N)
        contexts, context_of_N = self._contexts(entries, group_N, end_N)
        for n, slots in _own_clicks(batch, timelines, end_N).items():  # a clock ran ahead: rare
            rows = entries.rows(int(group_N[n]), int(end_N[n]), without=slots)
            contexts = _appended(contexts, rows[-self._history_items :])
            context_of_N[n] = len(contexts.length_C) - 1
        length_N = np.diff(lists.starts)
        return Shown(
            contexts=replace(contexts, seen=None),
            context_of_N=context_of_N,
            starts=lists.starts,
            item_S=self._catalogue.rows(lists.item_S),
            position_S=ragged_indices(np.ones_like(length_N), length_N).astype(np.int32),
        )

    def _contexts(
        self, entries: "_LiveEntries", group_N: Int64s, end_N: Int64s
    ) -> tuple[Contexts, Int32s]:
        """The distinct contexts that end before entry `end_N` of each group, and whose is which.

        A context holds the last T live entries; what is seen are all of them.
        """
        # One user's whole history ends where the next one's begins: the group tells them apart.
        key_C, context_of_N = np.unique(
            group_N * (len(entries.until_E) + 1) + end_N, return_inverse=True
        )
        group_C, end_C = np.divmod(key_C, len(entries.until_E) + 1)
        start_C, end_C = entries.until_E[entries.starts_G[group_C]], entries.until_E[end_C]
        length_C = np.minimum(end_C - start_C, self._history_items)
        n_steps = max(int(length_C.max(initial=0)), 1)
        history_CT = np.full((len(end_C), n_steps), -1, np.int32)
        is_filled_CT = np.arange(n_steps) < length_C[:, None]
        history_CT[is_filled_CT] = entries.row_L[ragged_indices(end_C - length_C, length_C)]
        seen = None
        if self._exclude_seen:
            starts = np.concatenate([[0], np.cumsum(end_C - start_C)])
            seen = Ragged(starts, entries.row_L[ragged_indices(start_C, end_C - start_C)])
        contexts = Contexts(history_CT, length_C.astype(np.int32), seen)
        return contexts, context_of_N.astype(np.int32)


@dataclass(frozen=True, slots=True)
class _LiveEntries:
    """The entries of a batch's timelines whose items are admitted.

    `row_L` are their rows, `until_E` the number of them before each entry and at the end,
    `starts_G` the first entry of each group.
    """

    row_L: Int32s
    until_E: Int64s
    starts_G: Int64s

    def rows(self, group: int, end: int, without: list[int]) -> Int32s:
        """Rows of a group's entries before `end`, but for some entries."""
        first, until_E = self.starts_G[group], self.until_E
        kept = [e for e in range(first, end) if until_E[e + 1] > until_E[e] and e not in without]
        return self.row_L[until_E[kept]] if kept else self.row_L[:0]


def _own_clicks(batch: Batch, timelines: Timelines, end_N: Int64s) -> dict[int, list[int]]:
    """For each list that has any, the entries before its end that are clicks on the list itself.

    Only a click in the list's own batch can be: one that came before is kept from the histories.
    """
    lists, clicks = batch.impressions, batch.clicks
    if clicks.request_B is None:
        return {}
    slots_of: dict[tuple[str, str | None], list[int]] = {}
    for user, request, slot in zip(
        clicks.user_B, clicks.request_B, timelines.slot_B.tolist(), strict=True
    ):
        slots_of.setdefault((user, request), []).append(slot)
    own: dict[int, list[int]] = {}
    for n, pair in enumerate(zip(lists.user_N, lists.request_N, strict=True)):
        if found := [slot for slot in slots_of.get(pair, ()) if slot < end_N[n]]:
            own[n] = found
    return own


def _appended(contexts: Contexts, row_T: Int32s) -> Contexts:
    """The contexts, and one more that holds these rows."""
    n_steps = max(contexts.history_CT.shape[1], len(row_T))
    history_CT = np.full((len(contexts.length_C) + 1, n_steps), -1, np.int32)
    history_CT[:-1, : contexts.history_CT.shape[1]] = contexts.history_CT
    history_CT[-1, : len(row_T)] = row_T
    return Contexts(history_CT, np.append(contexts.length_C, np.int32(len(row_T))))


def _kept(clicks: Clicks, is_kept_B: Bools) -> Clicks:
    sessions, origins, requests = clicks.session_B, clicks.origin_B, clicks.request_B
    told = clicks.context_B
    return Clicks(
        user_B=list(compress(clicks.user_B, is_kept_B)),
        item_B=list(compress(clicks.item_B, is_kept_B)),
        ts_B=clicks.ts_B[is_kept_B],
        session_B=None if sessions is None else list(compress(sessions, is_kept_B)),
        origin_B=None if origins is None else list(compress(origins, is_kept_B)),
        request_B=None if requests is None else list(compress(requests, is_kept_B)),
        context_B=None if told is None else list(compress(told, is_kept_B)),
    )


def _kept_fields(
    told: Sequence[Mapping[str, Any] | None] | None, declared: Sequence[str]
) -> list[Mapping[str, Any] | None] | None:
    """The declared fields that hold a text, a number or a truth value, None if none does."""
    if told is None or not declared:
        return None
    kept: list[Mapping[str, Any] | None] = [
        {
            name: str(value)[:_MAX_VALUE]
            for name in declared
            if isinstance(value := context.get(name), str | int | float)
        }
        or None
        if context
        else None
        for context in told
    ]
    return kept if any(kept) else None


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
