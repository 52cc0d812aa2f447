"""Small batches for tests."""

from collections.abc import Mapping, Sequence

import numpy as np

from stream.columns import to_columns
from stream.events import Event
from stream.sequences import ragged_indices
from stream.values import Batch, Clicks, Contexts, Queries, Shown


def batch_of(
    clicks: list[tuple[str, str, int]],
    seq: int = 0,
    others: tuple[object, ...] = (),
    sessions: list[str | None] | None = None,
) -> Batch:
    """A batch of (user, item, ts) clicks, ordered by time as a source orders them."""
    order = sorted(range(len(clicks)), key=lambda i: clicks[i][2])
    rows = [clicks[i] for i in order]
    return Batch(
        seq=seq,
        n_records=len(rows) + len(others),
        clicks=Clicks(
            [row[0] for row in rows],
            [row[1] for row in rows],
            np.array([row[2] for row in rows], np.int64),
            None if sessions is None else [sessions[i] for i in order],
        ),
        others=others,  # type: ignore[arg-type]
        dead_letters=(),
        watermark_ms=max((row[2] for row in rows), default=0),
        end={"test": {"offset": seq + 1}},
    )


def cut(clicks: list[tuple[str, str, int]], size: int) -> list[Batch]:
    """A stream of clicks in batches of `size`, in order of arrival."""
    parts = [clicks[start : start + size] for start in range(0, len(clicks), size)]
    return [batch_of(part, seq) for seq, part in enumerate(parts)]


def batch_of_events(
    events: Sequence[Event], seq: int = 0, watermark_ms: int = 0, origins: list[str] | None = None
) -> Batch:
    """A batch of any events, in order of arrival; `watermark_ms` is the time before it."""
    clicks, impressions, others = to_columns(events, origins)
    return Batch(
        seq=seq,
        n_records=len(events),
        clicks=clicks,
        others=others,
        dead_letters=(),
        watermark_ms=max([watermark_ms, *(int(event.ts) for event in events)]),
        end={"test": {"offset": seq + 1}},
        impressions=impressions,
    )


def queries_of(
    batch: Batch, row_of: Mapping[str, int], histories: Sequence[Sequence[int]] | None = None
) -> Queries:
    """Queries of a batch, written by hand: clicks without history, lists with one each.

    `histories` holds the rows of each list's context, in the order of the lists in the batch; by
    default there are none.
    """
    n_clicks, lists = len(batch.clicks), batch.impressions
    told = [[] for _ in range(len(lists))] if histories is None else histories
    starts = lists.starts
    shown = Shown(
        contexts=_contexts(told),
        context_of_N=np.arange(len(lists), dtype=np.int32),
        starts=starts,
        item_S=np.array([row_of.get(item, -1) for item in lists.item_S], np.int32),
        position_S=ragged_indices(np.ones(len(lists), np.int64), np.diff(starts)).astype(np.int32),
    )
    return Queries(
        contexts=_contexts([[]]),
        context_of_B=np.zeros(n_clicks, np.int32),
        ts_B=batch.clicks.ts_B,
        session_B=np.ones(n_clicks, np.int64),
        session_length_B=np.zeros(n_clicks, np.int32),
        n_items=len(row_of),
        tie_hash_V=np.zeros(len(row_of), np.uint32),
        k=1,
        shown=shown if len(lists) else None,
    )


def _contexts(histories: Sequence[Sequence[int]]) -> Contexts:
    length_C = np.array([len(history) for history in histories], np.int32)
    history_CT = np.full((len(histories), max(int(length_C.max(initial=1)), 1)), -1, np.int32)
    for c, history in enumerate(histories):
        history_CT[c, : len(history)] = history
    return Contexts(history_CT, length_C)
