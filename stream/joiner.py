"""Predictions meet their answers.

# B clicks of the batch, C contexts, T history length, M lessons, D clicks deferred by one batch

A click answers its own query at once. A click on an item that is admitted only after its batch
has no row yet: it is judged (a miss) with its batch, and learned with the next one, from the
context that was scored.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from stream.catalogue import Catalogue
from stream.histories import Histories
from stream.lessons import compacted, joined, select
from stream.sequences import ragged_indices, without_rows
from stream.values import (
    Batch,
    Bools,
    Changes,
    Contexts,
    Int32s,
    Int64s,
    Lessons,
    Outcomes,
    Predictions,
    Queries,
    State,
)


class Joiner:
    """Turns queries and predictions into outcomes. Holds one batch's deferred clicks at most."""

    def __init__(self, catalogue: Catalogue, histories: Histories) -> None:
        self._catalogue = catalogue
        self._histories = histories
        self._deferred = _no_deferred()

    def join(
        self, batch: Batch, queries: Queries, predictions: Mapping[str, Predictions]
    ) -> Outcomes:
        answer_B = self._catalogue.rows(batch.clicks.item_B)
        user_B = self._histories.user_hashes(batch.clicks.user_B)
        now = _lessons(queries, answer_B, user_B, np.flatnonzero(answer_B >= 0))
        lessons = joined(self._take_deferred(), now)
        self._defer(batch, queries, user_B, np.flatnonzero(answer_B < 0))
        return Outcomes(
            seq=batch.seq,
            watermark_ms=batch.watermark_ms,
            queries=queries,
            predictions=predictions,
            answer_B=answer_B,
            is_sample_B=~(
                _is_seen(queries, answer_B) | _is_seen_newcomer(batch, queries, answer_B)
            ),
            lessons=lessons,
        )

    def follow(self, changes: Changes) -> None:
        """Drop what recycled rows meant, and forgotten users."""
        lessons, items = self._deferred.lessons, self._deferred.item_D
        kept = np.flatnonzero(~np.isin(lessons.user_M, changes.forgotten_F))
        lessons = compacted(select(lessons, kept))
        is_gone_V = np.zeros(changes.n_items, np.bool_)
        is_gone_V[changes.recycled_R] = True
        contexts = Contexts(
            *without_rows(lessons.contexts.history_CT, lessons.contexts.length_C, is_gone_V)
        )
        left_M = contexts.length_C[lessons.context_of_M]
        self._deferred = _Deferred(
            replace(
                lessons,
                contexts=contexts,
                session_length_M=np.minimum(lessons.session_length_M, left_M),
            ),
            [items[i] for i in kept.tolist()],
        )

    def state_dict(self) -> State:
        lessons = self._deferred.lessons
        return {
            "schema_version": 1,
            "item": list(self._deferred.item_D),
            "history": lessons.contexts.history_CT,
            "length": lessons.contexts.length_C,
            "context_of": lessons.context_of_M,
            "ts": lessons.ts_M,
            "user": lessons.user_M,
            "session": lessons.session_M,
            "session_length": lessons.session_length_M,
        }

    def load_state_dict(self, state: State) -> None:
        lessons = Lessons(
            contexts=Contexts(state["history"], state["length"]),
            context_of_M=state["context_of"],
            target_M=np.full(len(state["item"]), -1, np.int32),
            ts_M=state["ts"],
            user_M=state["user"],
            session_M=state["session"],
            session_length_M=state["session_length"],
        )
        self._deferred = _Deferred(lessons, list(state["item"]))

    def _take_deferred(self) -> Lessons:
        """Last batch's clicks on items that have been admitted since; the others are given up."""
        row_D = self._catalogue.rows(self._deferred.item_D)
        lessons = self._deferred.lessons
        admitted = np.flatnonzero(row_D >= 0)
        return select(replace(lessons, target_M=row_D), admitted)

    def _defer(self, batch: Batch, queries: Queries, user_B: Int64s, index_D: Int64s) -> None:
        items = [batch.clicks.item_B[i] for i in index_D.tolist()]
        lessons = _lessons(queries, np.full(len(queries), -1, np.int32), user_B, index_D)
        self._deferred = _Deferred(compacted(lessons), items)


@dataclass(frozen=True, slots=True)
class _Deferred:
    lessons: Lessons
    item_D: list[str]


def _no_deferred() -> _Deferred:
    none = np.zeros(0, np.int32)
    long_none = np.zeros(0, np.int64)
    contexts = Contexts(np.zeros((0, 1), np.int32), none)
    return _Deferred(Lessons(contexts, none, none, long_none, long_none, long_none, none), [])


def _lessons(queries: Queries, target_B: Int32s, user_B: Int64s, index_M: Int64s) -> Lessons:
    return Lessons(
        contexts=queries.contexts,
        context_of_M=queries.context_of_B[index_M],
        target_M=target_B[index_M],
        ts_M=queries.ts_B[index_M],
        user_M=user_B[index_M],
        session_M=queries.session_B[index_M],
        session_length_M=queries.session_length_B[index_M],
    )


def _is_seen(queries: Queries, answer_B: Int32s) -> Bools:
    """Whether each answer is among the rows that its query excludes."""
    seen = queries.contexts.seen
    if seen is None or not len(queries):
        return np.zeros(len(queries), np.bool_)
    starts_B = seen.starts[queries.context_of_B]
    length_B = seen.starts[queries.context_of_B + 1] - starts_B
    is_hit = seen.values[ragged_indices(starts_B, length_B)] == np.repeat(answer_B, length_B)
    hits_until = np.concatenate([[0], np.cumsum(is_hit)])
    ends_B = np.cumsum(length_B)
    is_seen: Bools = hits_until[ends_B] > hits_until[ends_B - length_B]
    return is_seen


def _is_seen_newcomer(batch: Batch, queries: Queries, answer_B: Int32s) -> Bools:
    """Whether a click on an item without a row repeats an earlier one of the same user and batch.

    What was clicked in earlier batches and still has no row is not remembered.
    """
    is_seen_B = np.zeros(len(queries), np.bool_)
    if queries.contexts.seen is None:
        return is_seen_B
    first_ts: dict[tuple[str, str], int] = {}
    for b in np.flatnonzero(answer_B < 0).tolist():
        ts = int(batch.clicks.ts_B[b])
        pair = (batch.clicks.user_B[b], batch.clicks.item_B[b])
        is_seen_B[b] = first_ts.setdefault(pair, ts) < ts
    return is_seen_B
