"""How the states of many histories are had in few calls of the transformer.

# H histories, T history length, K histories that are run, S positions, N states asked for

A state knows what stands before it and nothing else: that of a history which is the beginning of
another one is among the states of the other. A user who clicks five times in a batch is read
once, not five times. What is left is cut into buckets of similar length.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from learners.length_buckets import length_buckets
from stream.values import Bools, Int32s, Int64s


@dataclass(frozen=True, slots=True)
class Reading:
    """Histories to run in buckets, and where the states are that were asked for.

    `history_of` are the histories of each bucket, -1 behind them. Their states, one more than they
    are long, end to end over all buckets, have at `place_N` what was asked for.
    """

    history_of: Sequence[Int32s]
    place_N: Int64s


def reading(
    history_HT: Int32s, length_H: Int32s, state_N: tuple[Int64s, Int64s], call_positions: int
) -> Reading:
    """Plan how to read.

    Parameters
    ----------
    history_HT, length_H : int array
        Left-aligned, -1 behind.
    state_N : pair of int arrays
        The states asked for: of which history, and after how many of its items.
    call_positions : int
        See `length_buckets`.

    Examples
    --------
    >>> history_HT = np.array([[7, 8, -1], [7, 8, 9], [5, -1, -1]], np.int32)
    >>> ends = np.arange(3), np.array([2, 3, 1])
    >>> planned = reading(history_HT, np.array([2, 3, 1], np.int32), ends, call_positions=100)
    >>> [history_CT.tolist() for history_CT in planned.history_of]
    [[[5, -1, -1], [7, 8, 9]]]
    >>> planned.place_N
    array([6, 7, 1])
    """
    run_K, run_of_H = _run(history_HT, length_H)
    start_K = np.zeros(len(run_K), np.int64)
    histories, start = [], 0
    for chosen, width in length_buckets(length_H[run_K], call_positions):
        histories.append(history_HT[run_K[chosen], :width])
        start_K[chosen] = start + np.arange(len(chosen)) * (width + 1)
        start += len(chosen) * (width + 1)
    history_N, step_N = state_N
    return Reading(histories, start_K[run_of_H[history_N]] + step_N)


def _run(history_HT: Int32s, length_H: Int32s) -> tuple[Int64s, Int64s]:
    """The histories that are no beginning of another, and for each history the one that it begins.

    In lexical order a history that is the beginning of any other is that of the next one.
    """
    n_histories, n_steps = history_HT.shape
    if not n_histories or not n_steps:
        return np.arange(min(n_histories, 1)), np.zeros(n_histories, np.int64)
    # Any order will do in which padding, here 0, comes before each row.
    keys = np.ascontiguousarray(history_HT + 1).view(f"S{4 * n_steps}")[:, 0]
    order_H = np.argsort(keys, kind="stable")
    is_last_H = np.append(~_begins_next(history_HT[order_H], length_H[order_H]), True)
    run_K = order_H[is_last_H]
    run_of_H = np.empty(n_histories, np.int64)
    run_of_H[order_H] = np.cumsum(is_last_H) - is_last_H
    return run_K, run_of_H


def _begins_next(history_HT: Int32s, length_H: Int32s) -> Bools:
    """Whether each history but the last is the beginning of the next one."""
    is_padding_HT = np.arange(history_HT.shape[1]) >= length_H[:-1, None]
    begins: Bools = (is_padding_HT | (history_HT[:-1] == history_HT[1:])).all(axis=1)
    return begins
