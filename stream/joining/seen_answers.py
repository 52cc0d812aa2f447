"""Clicks on what their users had clicked before: where seen items are excluded, no samples.

# B clicks of the batch
"""

import numpy as np

from stream.sequences import ragged_indices
from stream.values import Batch, Bools, Int32s, Queries


def is_seen(queries: Queries, answer_B: Int32s) -> Bools:
    """Whether each answer is among the rows that its query excludes."""
    seen = queries.contexts.seen
    if seen is None or not len(queries):
        return np.zeros(len(queries), np.bool_)
    starts_B = seen.starts[queries.context_of_B]
    length_B = seen.starts[queries.context_of_B + 1] - starts_B
    is_hit = seen.values[ragged_indices(starts_B, length_B)] == np.repeat(answer_B, length_B)
    hits_until = np.concatenate([[0], np.cumsum(is_hit)])
    ends_B = np.cumsum(length_B)
    is_hit_B: Bools = hits_until[ends_B] > hits_until[ends_B - length_B]
    return is_hit_B


def is_seen_newcomer(batch: Batch, queries: Queries, answer_B: Int32s) -> Bools:
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
