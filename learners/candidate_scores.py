"""Sums the votes that candidates collect.

# C contexts, N votes, U distinct candidates

A neighbour method casts many small votes, (context, row, weight), and ranks their sums. A sparse
sum costs as much as there are votes, whatever the size of the catalogue.
"""

from dataclasses import dataclass

import numpy as np

from stream.values import Float64s, Int32s, Int64s, Ragged

# Cells of the scratch table at once: 16 MiB of int32, about what a core keeps near.
_MAX_CELLS = 1 << 22
_MAX_CONTEXTS = 256


@dataclass(frozen=True, slots=True)
class Candidates:
    """Distinct candidates and their summed scores, ordered by context."""

    context_U: Int64s
    row_U: Int32s
    score_U: Float64s


def contexts_at_once(n_items: int) -> int:
    """How many contexts may be summed in one call: bounds memory on large catalogues."""
    return min(_MAX_CONTEXTS, max(1, _MAX_CELLS // max(1, n_items)))


def summed_votes(
    context_N: Int64s, row_N: Int32s, weight_N: Float64s, n_items: int, seen: Ragged | None = None
) -> Candidates:
    """Sum votes by (context, row), in the order they were cast.

    Parameters
    ----------
    context_N : int64 array, shape (N,)
        Ascending, below `contexts_at_once(n_items)`.
    row_N : int32 array, shape (N,)
        Rows; votes for rows from `n_items` on are dropped.
    weight_N : float64 array, shape (N,)
        What each vote adds.
    n_items : int
        Rows that may be ranked.
    seen : Ragged, optional
        Rows that must not be ranked, for each context.

    Returns
    -------
    Candidates
        Distinct, ordered by context.

    Examples
    --------
    >>> context_N, row_N = np.array([0, 0, 1]), np.array([5, 5, 2], np.int32)
    >>> summed_votes(context_N, row_N, np.array([0.5, 1.0, 0.25]), n_items=6).score_U
    array([1.5 , 0.25])
    """
    is_ranked_N = row_N < n_items
    if not is_ranked_N.all():
        context_N, row_N = context_N[is_ranked_N], row_N[is_ranked_N]
        weight_N = weight_N[is_ranked_N]
    n_votes = len(row_N)
    n_contexts = int(context_N[-1]) + 1 if n_votes else 0
    cell_N = context_N * n_items + row_N
    vote_N = np.arange(n_votes, dtype=np.int32)
    # Only cells written here are read: the table needs no clearing, and the sum no sorting.
    vote_of_cell = np.empty(n_contexts * n_items, np.int32)
    vote_of_cell[cell_N[::-1]] = vote_N[::-1]
    if seen is not None:
        vote_of_cell[_seen_cells(seen, n_contexts, n_items)] = -1
    first_N = vote_of_cell[cell_N]
    is_first_N = first_N == vote_N
    # Bin 0 takes the votes for seen rows.
    bin_N = np.where(first_N < 0, 0, np.cumsum(is_first_N)[first_N])
    score_U = np.bincount(bin_N, weight_N, minlength=1)[1:].astype(np.float64)
    return Candidates(context_N[is_first_N], row_N[is_first_N], score_U)


def _seen_cells(seen: Ragged, n_contexts: int, n_items: int) -> Int64s:
    starts = seen.starts[: n_contexts + 1]
    row_N = seen.values[starts[0] : starts[-1]]
    context_N = np.repeat(np.arange(n_contexts), np.diff(starts))
    is_ranked_N = row_N < n_items
    return context_N[is_ranked_N] * n_items + row_N[is_ranked_N]


def seen_rows(seen: Ragged | None, context_N: Int64s) -> Ragged | None:
    """What each of these contexts has seen, in their order; a context may come more than once.

    Examples
    --------
    >>> seen = Ragged(np.array([0, 2, 3]), np.array([8, 9, 7], np.int32))
    >>> seen_rows(seen, np.array([1, 0])).values
    array([7, 8, 9], dtype=int32)
    """
    if seen is None:
        return None
    count_N = np.diff(seen.starts)[context_N]
    starts = np.concatenate(([0], np.cumsum(count_N)))
    skip_N = seen.starts[context_N] - starts[:-1]
    return Ragged(starts, seen.values[np.arange(starts[-1]) + np.repeat(skip_N, count_N)])
