"""The last clicks of many contexts at once.

# N contexts asked for, T history length, H clicks
"""

from dataclasses import dataclass

import numpy as np

from stream.values import Contexts, Int32s, Int64s


@dataclass(frozen=True, slots=True)
class RecentClicks:
    """Clicks end to end, ordered by who asked, the newest first.

    `asked_H` is the place of the context among those asked for; `age_H` counts clicks since, 0
    for the newest.
    """

    asked_H: Int64s
    age_H: Int64s
    row_H: Int32s


def recent_clicks(contexts: Contexts, context_N: Int64s | Int32s, length_N: Int64s) -> RecentClicks:
    """The last `length_N` clicks of each context, or as many as it has.

    Examples
    --------
    >>> contexts = Contexts(np.array([[4, 5, 6, -1]], np.int32), np.array([3], np.int32))
    >>> recent_clicks(contexts, np.array([0, 0]), np.array([2, 9])).row_H
    array([6, 5, 6, 5, 4], dtype=int32)
    """
    end_N = contexts.length_C[context_N]
    count_N = np.minimum(length_N, end_N).astype(np.int64)
    asked_H = np.repeat(np.arange(len(context_N)), count_N)
    age_H = np.arange(len(asked_H)) - (np.cumsum(count_N) - count_N)[asked_H]
    row_H = contexts.history_CT[context_N[asked_H], end_N[asked_H] - 1 - age_H]
    return RecentClicks(asked_H, age_H, row_H)
