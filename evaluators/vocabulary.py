"""The metrics and windows that a rule may name."""

import difflib
import math

from evaluators.click_figures import CLICK_METRICS, SHARE_METRICS
from evaluators.click_figures import METRICS_BY_POLICY as CLICK_METRICS_BY_POLICY
from evaluators.conversions import CONVERSION_METRICS
from evaluators.offpolicy_estimates import OFF_POLICY_METRICS
from evaluators.ranking import figure_names
from evaluators.steps import STEP_METRICS
from evaluators.windows import WINDOWS

__all__ = [
    "METRICS_BY_POLICY",
    "MODEL_METRICS",
    "OFF_POLICY_METRICS",
    "POLICY_METRICS",
    "STEP_METRICS",
    "WINDOWS",
    "metric_ranges",
    "nearest_metric",
]

POLICY_METRICS = frozenset(SHARE_METRICS)
"""What was shown earned these: the logging policy's merit or fault, not the champion's."""

MODEL_METRICS = frozenset((*CLICK_METRICS, *CONVERSION_METRICS)) - POLICY_METRICS
"""These judge the champion's click and conversion probabilities: a champion that gives none has
none of them."""

METRICS_BY_POLICY = CLICK_METRICS_BY_POLICY | frozenset(OFF_POLICY_METRICS)
"""Of a policy's own lists, or, off-policy, of what it would have had where others showed them."""

_LOSSES = ("log_loss", "normalized_entropy", "calibration_ratio")
# What a model expected, corrected by weights, may end below 0.
_SIGNED = frozenset({"dr_ctr", "clipped_dr_ctr", "switch_dr_ctr"})
_UNBOUNDED = _SIGNED | {
    *("ips_ctr", "clipped_ips_ctr", "mean_weight", "effective_samples"),
    *(name for name in (*CLICK_METRICS, *CONVERSION_METRICS) if name.endswith(_LOSSES)),
}


def metric_ranges(ks: tuple[int, ...]) -> dict[str, tuple[float, float]]:
    """Every metric, with the least and the largest value that it can have.

    Parameters
    ----------
    ks : tuple of int
        `RankingConfig.ks`.

    Examples
    --------
    >>> metric_ranges((20,))["recall@20"], metric_ranges((20,))["log_loss"]
    ((0.0, 1.0), (0.0, inf))
    """
    return {
        name: (-math.inf if name in _SIGNED else 0.0, math.inf if name in _UNBOUNDED else 1.0)
        for name in (
            *figure_names(ks),
            *CLICK_METRICS,
            *CONVERSION_METRICS,
            *STEP_METRICS,
            *OFF_POLICY_METRICS,
        )
    }


def nearest_metric(name: str, ks: tuple[int, ...]) -> str:
    """The metric whose name is most like a name that none has.

    Examples
    --------
    >>> nearest_metric("Recal@20", (1, 10, 20)), nearest_metric("logloss", (1, 10, 20))
    ('recall@20', 'log_loss')
    """
    return difflib.get_close_matches(name.lower(), metric_ranges(ks), n=1, cutoff=0.0)[0]
