"""The distinct queries of a batch: those that are answered alike are worked out once.

# B queries of a batch, P distinct ones among them
"""

from dataclasses import replace

import numpy as np

from stream.values import Int64s, Queries


def distinct_queries(queries: Queries) -> tuple[Queries, Int64s]:
    """The queries that differ in context or in the length of the session, and which each is.

    Queries of one user differ in time only: those that share a context share the work.

    Returns
    -------
    Queries
        P of them, ordered by context and length; of the alike, the first.
    int64 array, shape (B,)
        Query b is answered by this one of them.
    """
    pair_B = (queries.context_of_B.astype(np.int64) << 32) | queries.session_length_B
    _, first_P, place_of_B = np.unique(pair_B, return_index=True, return_inverse=True)
    distinct = replace(
        queries,
        context_of_B=queries.context_of_B[first_P],
        ts_B=queries.ts_B[first_P],
        session_B=queries.session_B[first_P],
        session_length_B=queries.session_length_B[first_P],
    )
    return distinct, place_of_B
