"""The best rows of each query with their scores, for whoever weighs them against others'.

# B queries, N places, U candidates
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from learners.candidate_scores import Candidates
from learners.top_items import top_candidates
from stream.values import Float64s, Int32s, Int64s, UInt32s


@dataclass(frozen=True, slots=True)
class Ranked:
    """Rows, best first, and what each collected; -1 and -inf where there is none.

    `total_B` is what all candidates of a query collected together, those without a place too, and
    `count_B` how many there were.
    """

    row_BN: Int32s
    score_BN: Float64s
    total_B: Float64s
    count_B: Int64s

    def taken(self, which: Int64s | Int32s) -> "Ranked":
        """Those of some queries, in the order given."""
        return Ranked(
            self.row_BN[which], self.score_BN[which], self.total_B[which], self.count_B[which]
        )


def ranked(candidates: Candidates, n_queries: int, tie_hash_V: UInt32s, n: int) -> Ranked:
    """The best n candidates of each query.

    Parameters
    ----------
    candidates : Candidates
        Ordered by query; a row stands at most once for each.
    n_queries : int
        How many lists to return.
    tie_hash_V : uint32 array, shape (V,)
        Orders equal scores, ascending.
    n : int
        Places, at least 1.
    """
    query_U, score_U = candidates.context_U, candidates.score_U
    row_BN, score_BN = top_candidates(query_U, candidates.row_U, score_U, n_queries, tie_hash_V, n)
    return Ranked(
        row_BN,
        score_BN,
        np.bincount(query_U, score_U, minlength=n_queries).astype(np.float64),
        np.bincount(query_U, minlength=n_queries),
    )


def end_to_end(parts: Sequence[Ranked], n: int) -> Ranked:
    """One after the other; `n` places where there is no part."""
    none = Ranked(np.zeros((0, n), np.int32), np.zeros((0, n)), np.zeros(0), np.zeros(0, np.int64))
    every = [none, *parts]
    return Ranked(
        np.concatenate([part.row_BN for part in every]),
        np.concatenate([part.score_BN for part in every]),
        np.concatenate([part.total_B for part in every]),
        np.concatenate([part.count_B for part in every]),
    )
