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

from stream.asker_values import Askers
from stream.askers import AskerReader
from stream.carried import Carried, joined, texts_of
from stream.catalogue import Catalogue
from stream.context_rows import chosen_askers, distinct, end_to_end
from stream.events import Forget, Item, User
from stream.histories import Histories
from stream.id_hash import hash64
from stream.sequences import ragged_indices
from stream.targets import ChoiceAsked, ChoiceRule
from stream.timelines import Timelines, is_live, pack_items, rows_of
from stream.values import (
    Batch,
    Bools,
    Changes,
    Clicks,
    Contexts,
    DeadLetter,
    Impressions,
    Int32s,
    Int64s,
    Queries,
    Ragged,
    Shown,
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a query asks.

    Attributes
    ----------
    history_items : int
        T, the longest history that a context holds.
    k : int
        How many items each query wants.
    exclude_seen : bool
        Whether items a user has clicked are left out of the user's ranking.
    rule : ChoiceRule, optional
        How the champion would choose what is shown, to be told of each list; else nobody asks.
    sliced_by : sequence of str, optional
        Fields of what a request carries that go with it until it is judged.
    """

    history_items: int
    k: int
    exclude_seen: bool
    rule: ChoiceRule | None = None
    sliced_by: Sequence[str] = ()


class ContextBuilder:
    """Builds the queries of a batch, once for the champion and every shadow.

    Parameters
    ----------
    catalogue, histories
        Whose state the queries are read from, as of the batch's start.
    asked : Asked
        What each query asks.
    askers : AskerReader, optional
        What was declared of users and requests, if anything was.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        histories: Histories,
        asked: Asked,
        askers: AskerReader | None = None,
    ) -> None:
        self._catalogue = catalogue
        self._histories = histories
        self._asked = asked
        self._askers = askers
        self._merged: tuple[Batch, dict[str, int], Timelines] | None = None

    def read(self, arrived: Batch) -> Batch:
        """The batch, and of what its requests carried only what was declared.

        The first step of a batch: what waits from here on, for a list say, is bounded.
        """
        clicks, lists = arrived.clicks, arrived.impressions
        if clicks.context_B is None and lists.context_N is None:
            return arrived
        return replace(
            arrived,
            clicks=replace(clicks, context_B=self._declared(clicks.context_B)),
            impressions=replace(lists, context_N=self._declared(lists.context_N)),
        )

    def _declared(self, carried: Carried | None) -> list[Mapping[str, Any] | None] | None:
        """What inputs and slices are declared to read of it."""
        if carried is None:
            return None
        read: Carried = [None] * len(carried)
        if self._askers is not None:
            read = self._askers.checked(carried)
        return joined(texts_of(carried, self._asked.sliced_by), read)

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
        askers_B = self._askers_of(batch, batch.clicks)
        contexts, context_of_B = self._contexts(entries, timelines.group_B, end_B, askers_B)
        session_start_B = timelines.session_starts()[timelines.slot_B]
        until_E = entries.until_E
        session_B = until_E[end_B] - until_E[np.minimum(session_start_B, end_B)]
        return Queries(
            contexts=contexts,
            context_of_B=context_of_B,
            ts_B=batch.clicks.ts_B,
            session_B=timelines.session_E[timelines.slot_B].astype(np.int64),
            session_length_B=np.minimum(session_B, self._asked.history_items).astype(np.int32),
            n_items=len(self._catalogue),
            tie_hash_V=self._catalogue.tie_hash_V,
            k=self._asked.k,
            shown=self._shown(batch, group_of, timelines, entries),
        )

    def advance(self, batch: Batch) -> Changes:
        """Move catalogue and histories past the batch, and say what changed.

        A user who asked to be forgotten keeps only the clicks later than the request.
        """
        upserts = [event for event in batch.others if isinstance(event, Item)]
        recycled_R = self._catalogue.admit(batch.clicks.item_B, upserts)
        forgotten = {str(e.user): int(e.ts) for e in batch.others if isinstance(e, Forget)}
        erased = [self._histories.forget(user) for user in forgotten]
        if forgotten:
            clicks = _after_forget(batch.clicks, forgotten)
            group_of, timelines = self._histories.merged_with(clicks, self._packed_items(clicks))
        else:
            group_of, timelines = self._merged_with(batch)
            timelines = timelines.with_items(self._packed_items(batch.clicks))
        n_clicking = int(timelines.group_B.max(initial=-1)) + 1  # onlookers come behind
        users_G = list(group_of)[:n_clicking]
        retaken_R = self._histories.advance(users_G, timelines, self._catalogue.generation_V)
        if self._askers is not None:
            self._askers.erase(np.append(retaken_R, np.array(erased, np.int32)))
            self._askers.advance(batch, _profile_events(batch, forgotten))
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
        askers_N = self._askers_of(batch, lists)
        contexts, context_of_N = self._contexts(entries, group_N, end_N, askers_N)
        for n, slots in _own_clicks(batch, timelines, end_N).items():  # a clock ran ahead: rare
            rows = entries.rows(int(group_N[n]), int(end_N[n]), without=slots)
            context = Contexts(
                rows[None, -self._asked.history_items :],
                np.array([min(len(rows), self._asked.history_items)], np.int32),
                Ragged(np.array([0, len(rows)]), rows),
                chosen_askers(askers_N, np.array([n])),
            )
            contexts = _appended(contexts, context)
            context_of_N[n] = len(contexts.length_C) - 1
        length_N = np.diff(lists.starts)
        choice = None
        if self._asked.rule is not None:
            pause_ms = self._histories.session_gap_ms
            session_N = timelines.open_sessions(group_N, end_N, lists.ts_N, pause_ms)
            n_live_N = entries.until_E[end_N] - entries.until_E[session_N]
            session_length_N = np.minimum(n_live_N, contexts.length_C[context_of_N])
            choice = ChoiceAsked(self._asked.rule, session_length_N.astype(np.int32))
        return Shown(
            contexts=contexts if choice else replace(contexts, seen=None),
            context_of_N=context_of_N,
            starts=lists.starts,
            item_S=self._catalogue.rows(lists.item_S),
            position_S=ragged_indices(np.ones_like(length_N), length_N).astype(np.int32),
            choice=choice,
        )

    def _askers_of(self, batch: Batch, asking: Clicks | Impressions) -> Askers | None:
        """Who asks, for each click or list."""
        if self._askers is None:
            return None
        if isinstance(asking, Clicks):
            users, ts, told = asking.user_B, asking.ts_B, asking.context_B
        else:
            users, ts, told = asking.user_N, asking.ts_N, asking.context_N
        return self._askers.columns(users, ts, told, _profile_events(batch, {}))

    def _contexts(
        self, entries: "_LiveEntries", group_N: Int64s, end_N: Int64s, askers_N: Askers | None
    ) -> tuple[Contexts, Int32s]:
        """The distinct contexts that end before entry `end_N` of each group, and whose is which.

        A context holds the last T live entries; what is seen are all of them.
        """
        # One user's whole history ends where the next one's begins: the group tells them apart.
        key_N = group_N * (len(entries.until_E) + 1) + end_N
        n_kinds, kind_N = 1, np.zeros(len(key_N), np.int64)
        if askers_N is not None:
            kind_N = distinct(askers_N)
            n_kinds = int(kind_N.max(initial=0)) + 1
        key_C, first_C, context_of_N = np.unique(
            key_N * n_kinds + kind_N, return_index=True, return_inverse=True
        )
        group_C, end_C = np.divmod(key_C // n_kinds, len(entries.until_E) + 1)
        start_C, end_C = entries.until_E[entries.starts_G[group_C]], entries.until_E[end_C]
        length_C = np.minimum(end_C - start_C, self._asked.history_items)
        n_steps = max(int(length_C.max(initial=0)), 1)
        history_CT = np.full((len(end_C), n_steps), -1, np.int32)
        is_filled_CT = np.arange(n_steps) < length_C[:, None]
        history_CT[is_filled_CT] = entries.row_L[ragged_indices(end_C - length_C, length_C)]
        seen = None
        if self._asked.exclude_seen:
            starts = np.concatenate([[0], np.cumsum(end_C - start_C)])
            seen = Ragged(starts, entries.row_L[ragged_indices(start_C, end_C - start_C)])
        askers = chosen_askers(askers_N, first_C)
        contexts = Contexts(history_CT, length_C.astype(np.int32), seen, askers)
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


def _appended(contexts: Contexts, one_more: Contexts) -> Contexts:
    """The contexts, and one more; what was seen stays, where it is told."""
    both = end_to_end([contexts, one_more])
    seen, more = contexts.seen, one_more.seen
    if seen is None or more is None:
        return both
    starts = np.append(seen.starts, seen.starts[-1] + more.starts[1:])
    return replace(both, seen=Ragged(starts, np.concatenate([seen.values, more.values])))


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


def _profile_events(batch: Batch, forgotten: Mapping[str, int]) -> dict[str, list[User]]:
    """What users say of themselves, by user; nothing up to the time they asked to be forgotten."""
    told: dict[str, list[User]] = {}
    for event in batch.others:
        if isinstance(event, User) and int(event.ts) > forgotten.get(str(event.user), -1):
            told.setdefault(str(event.user), []).append(event)
    return told


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
