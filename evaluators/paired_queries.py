"""Which queries of several pipelines are the same one.

# B queries of a batch, N of them that everyone has, P pipelines
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from stream.values import Int64s, Outcomes

_Key = tuple[int, int, int]


def common_rows(outcomes: Sequence[Outcomes]) -> tuple[list[Int64s], int]:
    """The rows of each pipeline's queries that all of them have, in one order, and how many not.

    As a rule all are asked the same. Where settings decide how long a user's clicks are
    remembered, one pipeline may take for a repeat, and leave out, what another takes for a click:
    queries are then matched by user and time, and by their order among those of an instant.
    """
    first = outcomes[0]
    if all(_is_alike(first, one) for one in outcomes[1:]):
        every_B = np.arange(len(first.answer_B))
        return [every_B] * len(outcomes), 0
    rows_of = [_rows_by_key(one) for one in outcomes]
    common = [key for key in rows_of[0] if all(key in rows for rows in rows_of[1:])]
    rows = [np.array([rows[key] for key in common], np.int64) for rows in rows_of]
    return rows, max(map(len, rows_of)) - len(common)


def _is_alike(one: Outcomes, other: Outcomes) -> bool:
    return np.array_equal(one.user_B, other.user_B) and np.array_equal(
        one.queries.ts_B, other.queries.ts_B
    )


def _rows_by_key(outcomes: Outcomes) -> dict[_Key, int]:
    """The row of each query, by user, time and how many such there were before it."""
    n_seen: Counter[tuple[int, int]] = Counter()
    rows: dict[_Key, int] = {}
    pairs = zip(outcomes.user_B.tolist(), outcomes.queries.ts_B.tolist(), strict=True)
    for row, pair in enumerate(pairs):
        rows[(*pair, n_seen[pair])] = row
        n_seen[pair] += 1
    return rows
