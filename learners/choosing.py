"""What a policy made of a learner would have drawn at the places of lists that were shown.

# N lists, S their items end to end, C candidates of a list, K places

The policy draws place by place, without putting anything back: at each place one of the learner's
best items that do not stand above it, by a softmax of their scores. Items above are those that
were shown. The answer is worked out, not drawn: how likely it would have taken the item that was
shown, and the mean over all it may have taken of how likely a click on it is.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from learners.click_head import MAX_POSITION
from learners.ranked import Ranked
from stream.context_rows import chosen
from stream.targets import Choice
from stream.values import Contexts, Float64s, Int32s, Predictions, Queries, Ragged, Shown

Best = Callable[[Queries, int], tuple[Int32s, Float64s]]
"""The best n rows of each query, -1 where there are fewer, and their scores on a scale of logs."""
Clicks = Callable[[Shown, int], Float64s]
"""The probability of a click on each shown item at places 1 up to some number."""

# Candidates at once: bounds what is known of each of them, at every place, to some MiB.
_CANDIDATES_AT_ONCE = 1 << 14


def with_choice(
    predictions: Predictions, queries: Queries, best: Best, clicks: Clicks | None = None
) -> Predictions:
    """The predictions, and how the choice rule of `queries.shown` would do, if that is asked.

    Parameters
    ----------
    predictions : Predictions
        What is answered in any case.
    queries : Queries
        What is asked.
    best : callable
        Ranks queries.
    clicks : callable, optional
        Tells clicks on items of lists; None of a learner that estimates none.
    """
    shown = queries.shown
    if shown is None or shown.choice is None:
        return predictions
    n_at_once = max(_CANDIDATES_AT_ONCE // shown.choice.rule.candidates, 1)
    parts = [
        _choice(_of_lists(queries, shown, first, min(first + n_at_once, len(shown))), best, clicks)
        for first in range(0, len(shown), n_at_once)
    ]
    probability_S = np.concatenate([np.zeros(0), *(part.probability_S for part in parts)])
    told = [part.click_S for part in parts if part.click_S is not None]
    click_S = None if clicks is None else np.concatenate([np.zeros(0), *told])
    return replace(predictions, choice=Choice(probability_S, click_S))


def log_votes(ranked: Ranked) -> tuple[Int32s, Float64s]:
    """Rows, and the logarithms of what each collected: in proportion to it at temperature 1."""
    score_BN = np.full(ranked.score_BN.shape, -np.inf)
    np.log(ranked.score_BN, out=score_BN, where=ranked.score_BN > 0)
    return ranked.row_BN, score_BN


def _of_lists(queries: Queries, shown: Shown, first: int, end: int) -> Queries:
    """Some of the lists as queries of their own, and as lists whose contexts are the same."""
    assert shown.choice is not None
    used_C, context_of_N = np.unique(shown.context_of_N[first:end], return_inverse=True)
    contexts = _taken(shown.contexts, used_C)
    items = slice(shown.starts[first], shown.starts[end])
    session_length_N = shown.choice.session_length_N[first:end]
    none_N = np.zeros(end - first, np.int64)
    return replace(
        queries,
        contexts=contexts,
        context_of_B=context_of_N.astype(np.int32),
        ts_B=none_N,
        session_B=none_N,
        session_length_B=session_length_N,
        shown=Shown(
            contexts=contexts,
            context_of_N=context_of_N.astype(np.int32),
            starts=shown.starts[first : end + 1] - shown.starts[first],
            item_S=shown.item_S[items],
            position_S=shown.position_S[items],
            choice=replace(shown.choice, session_length_N=session_length_N),
        ),
    )


def _taken(contexts: Contexts, which_C: Int32s) -> Contexts:
    seen = contexts.seen
    if seen is not None:
        runs = [seen.values[seen.starts[c] : seen.starts[c + 1]] for c in which_C.tolist()]
        starts = np.concatenate(([0], np.cumsum([len(run) for run in runs]))).astype(np.int64)
        seen = Ragged(starts, np.concatenate([seen.values[:0], *runs]))
    return replace(chosen(contexts, which_C), seen=seen)


def _choice(queries: Queries, best: Best, clicks: Clicks | None) -> Choice:
    shown = queries.shown
    assert shown is not None and shown.choice is not None
    rule = shown.choice.rule
    row_NC, score_NC = best(replace(queries, shown=None), rule.candidates)
    weight_NC = _weights(row_NC, score_NC, rule.temperature)
    length_N = np.diff(shown.starts)
    n_places = int(length_N.max(initial=0))
    click_NCK = None
    if clicks is not None:
        click_NCK = _candidate_clicks(clicks, shown, row_NC, min(n_places, MAX_POSITION))
    probability_S = np.full(len(shown.item_S), np.nan)
    click_S = None if click_NCK is None else probability_S.copy()
    for place in range(n_places):
        lists = np.flatnonzero(length_N > place)
        index = shown.starts[lists] + place
        weight_LC = weight_NC[lists]
        left_L = weight_LC.sum(axis=1)
        draws = np.flatnonzero(left_L > 0)  # elsewhere nothing is left to be drawn
        lists, index, weight_LC = lists[draws], index[draws], weight_LC[draws]
        share_LC = weight_LC / left_L[draws, None]
        item_L = shown.item_S[index]
        is_shown_LC = (row_NC[lists] == item_L[:, None]) & (item_L >= 0)[:, None]
        probability_S[index] = np.minimum((share_LC * is_shown_LC).sum(axis=1), 1.0)
        if click_NCK is not None and click_S is not None:
            click_LC = click_NCK[lists, :, min(place, MAX_POSITION - 1)]
            click_S[index] = (share_LC * click_LC).sum(axis=1)
        weight_NC[lists] = np.where(is_shown_LC, 0.0, weight_LC)
    return Choice(probability_S, click_S)


def _weights(row_NC: Int32s, score_NC: Float64s, temperature: float) -> Float64s:
    """What each candidate's probability is in proportion to; 0 where there is no candidate."""
    score_NC = np.where(row_NC >= 0, score_NC, -np.inf)
    best_N1 = score_NC.max(axis=1, initial=-np.inf, keepdims=True)
    below_NC = np.full(score_NC.shape, -np.inf)
    np.subtract(score_NC, best_N1, out=below_NC, where=np.isfinite(score_NC))
    weight_NC: Float64s = np.exp(below_NC / temperature)
    return weight_NC


def _candidate_clicks(clicks: Clicks, shown: Shown, row_NC: Int32s, n_places: int) -> Float64s:
    """The probability of a click on each candidate at each place, shape (N, C, K)."""
    n_lists, n_candidates = row_NC.shape
    candidates = Shown(
        contexts=shown.contexts,
        context_of_N=shown.context_of_N,
        starts=np.arange(n_lists + 1, dtype=np.int64) * n_candidates,
        item_S=row_NC.reshape(-1),
        position_S=np.ones(row_NC.size, np.int32),
    )
    return clicks(candidates, n_places).reshape(n_lists, n_candidates, n_places)
