"""Builders of queries, lessons, outcomes and changes, for tests that write them out by hand.

# B queries, C contexts, M lessons, V items

Each history is a context of its own, and all of it belongs to the session unless told otherwise.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from stream.values import Changes, Contexts, Lessons, Outcomes, Queries, Ragged

Rows = Sequence[Sequence[int]]


def make_contexts(histories: Rows, seen: Rows | None = None, width: int = 0) -> Contexts:
    """Contexts with these histories, oldest click first."""
    length_C = np.array([len(history) for history in histories], np.int32)
    shape = (len(histories), max(width, int(length_C.max(initial=1))))
    history_CT = np.full(shape, -1, np.int32)
    for c, history in enumerate(histories):
        history_CT[c, : len(history)] = history
    return Contexts(history_CT, length_C, None if seen is None else make_ragged(seen))


def make_ragged(rows: Rows) -> Ragged:
    """Rows of different lengths."""
    starts = np.concatenate(([0], np.cumsum([len(row) for row in rows]))).astype(np.int64)
    return Ragged(starts, np.array([value for row in rows for value in row], np.int32))


def make_queries(
    histories: Rows,
    n_items: int,
    k: int = 3,
    seen: Rows | None = None,
    tie_hash: Sequence[int] | None = None,
    session_lengths: Sequence[int] | None = None,
) -> Queries:
    """One query for each history; ties go to the lower row unless hashes are given."""
    n = len(histories)
    lengths = _lengths(histories) if session_lengths is None else session_lengths
    return Queries(
        contexts=make_contexts(histories, seen),
        context_of_B=np.arange(n, dtype=np.int32),
        ts_B=np.arange(n, dtype=np.int64),
        session_B=np.arange(n, dtype=np.int64),
        session_length_B=np.array(lengths, np.int32),
        n_items=n_items,
        tie_hash_V=np.arange(n_items, dtype=np.uint32)
        if tie_hash is None
        else np.array(tie_hash, np.uint32),
        k=k,
    )


def make_lessons(
    histories: Rows,
    targets: Sequence[int],
    sessions: Sequence[int] | None = None,
    users: Sequence[int] | None = None,
    session_lengths: Sequence[int] | None = None,
) -> Lessons:
    """One lesson for each history; each its own session, of a user with the session's number."""
    n = len(targets)
    session_M = np.arange(n) if sessions is None else np.array(sessions)
    lengths = _lengths(histories) if session_lengths is None else session_lengths
    return Lessons(
        contexts=make_contexts(histories),
        context_of_M=np.arange(n, dtype=np.int32),
        target_M=np.array(targets, np.int32),
        ts_M=np.arange(n, dtype=np.int64),
        user_M=session_M.astype(np.int64) if users is None else np.array(users, np.int64),
        session_M=session_M.astype(np.int64),
        session_length_M=np.array(lengths, np.int32),
    )


def make_outcomes(lessons: Lessons) -> Outcomes:
    """Outcomes for a learner: lessons, and no prediction to judge."""
    return Outcomes(
        seq=0,
        watermark_ms=0,
        queries=make_queries([], n_items=0),
        predictions={},
        answer_B=np.zeros(0, np.int32),
        is_sample_B=np.zeros(0, bool),
        lessons=lessons,
    )


def make_changes(
    n_items: int,
    recycled: Sequence[int] = (),
    forgotten: Sequence[int] = (),
    described: Mapping[int, Mapping[str, Any]] | None = None,
) -> Changes:
    """Changes after a batch; by default nothing but the number of items."""
    rows, users = np.array(recycled, np.int32), np.array(forgotten, np.int64)
    return Changes(n_items, rows, users, described or {})


def _lengths(histories: Rows) -> list[int]:
    return [len(history) for history in histories]
