"""The figures in which champion and shadow are compared sample by sample, and on what scale.

A lead is how far the champion is ahead: above 0 it is better, of losses too.
"""

import difflib
from collections.abc import Sequence

import numpy as np

from evaluators.ranking import compared_names
from stream.values import Bools, Float64s

LARGEST_LOSS_LEAD = 5.0
"""Of one sample, in nats: a lead of losses has no bound of its own, and is cut here. It is that of
a learner that gave a click 148 times the odds of the other."""

PAIRED_LOSSES = ("log_loss", "conversion_log_loss")
"""Of learners that tell probabilities."""


def paired_names(ks: tuple[int, ...]) -> list[str]:
    """Every figure that is a mean over samples which champion and shadow share.

    Examples
    --------
    >>> paired_names((20,))
    ['recall@20', 'mrr@20', 'ndcg@20', 'log_loss', 'conversion_log_loss']
    """
    return [*compared_names(ks), *PAIRED_LOSSES]


def largest_lead(metric: str) -> float:
    """What the lead of one sample cannot exceed, either way.

    Examples
    --------
    >>> largest_lead("recall@20"), largest_lead("log_loss")
    (1.0, 5.0)
    """
    return LARGEST_LOSS_LEAD if metric in PAIRED_LOSSES else 1.0


def loss_leads(ours_S: Float64s, theirs_S: Float64s, is_hit_S: Bools) -> Float64s:
    """How far the champion is ahead in log loss, by sample, cut at `LARGEST_LOSS_LEAD`.

    Parameters
    ----------
    ours_S, theirs_S : float arrays, shape (S,)
        Probabilities of champion and shadow, in (0, 1).
    is_hit_S : bool array, shape (S,)
        What happened.

    Examples
    --------
    >>> loss_leads(np.array([0.5, 0.5]), np.array([0.25, 0.25]), np.array([True, False])).round(3)
    array([ 0.693, -0.405])
    """
    told_ours_S = np.where(is_hit_S, ours_S, 1.0 - ours_S)
    told_theirs_S = np.where(is_hit_S, theirs_S, 1.0 - theirs_S)
    # A probability next to 1 may leave no rest.
    with np.errstate(divide="ignore", invalid="ignore"):
        lead_S = np.log(told_ours_S) - np.log(told_theirs_S)
    cut_S: Float64s = np.clip(np.nan_to_num(lead_S), -LARGEST_LOSS_LEAD, LARGEST_LOSS_LEAD)
    return cut_S


def nearest_name(name: str, names: Sequence[str]) -> str:
    """The one that is most like a name that none has.

    Examples
    --------
    >>> nearest_name("sesion_knn", ["popularity", "session_knn"])
    'session_knn'
    """
    return difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.0)[0]
