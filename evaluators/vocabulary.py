"""The metrics and windows that a rule may name."""

import difflib
import math
from collections.abc import Mapping

from evaluators.business import BUSINESS_METRICS
from evaluators.click_figures import CLICK_METRICS, SHARE_METRICS
from evaluators.click_figures import METRICS_BY_POLICY as CLICK_METRICS_BY_POLICY
from evaluators.conversions import CONVERSION_METRICS
from evaluators.experience import EXPERIENCE_METRICS
from evaluators.interests import INTEREST_METRICS
from evaluators.offpolicy_estimates import OFF_POLICY_METRICS
from evaluators.ranking import figure_names
from evaluators.satisfaction import SATISFACTION_METRICS
from evaluators.steps import STEP_METRICS
from evaluators.windows import WINDOWS

__all__ = [
    "FAMILIES",
    "METRICS_BY_POLICY",
    "MODEL_METRICS",
    "OFF_POLICY_METRICS",
    "POLICY_METRICS",
    "STEP_METRICS",
    "WINDOWS",
    "family_of",
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

FAMILIES: Mapping[str, tuple[str, ...]] = {
    "experience": EXPERIENCE_METRICS,
    "interests": INTEREST_METRICS,
    "satisfaction": SATISFACTION_METRICS,
    "business": BUSINESS_METRICS,
    "slices": (),
}
"""Metrics that are judged unless `evaluator` says otherwise, by the name of their settings."""

_LOSSES = ("log_loss", "normalized_entropy", "calibration_ratio")
_AT_LEAST_0 = (0.0, math.inf)
_ANY = (-math.inf, math.inf)
_RANGE_OF = {
    **dict.fromkeys((*_LOSSES, *(f"conversion_{name}" for name in _LOSSES)), _AT_LEAST_0),
    **dict.fromkeys(("novelty", "mean_dwell"), _AT_LEAST_0),
    **dict.fromkeys(("active_users_day", "active_users_week"), _AT_LEAST_0),
    # Scales of ratings may go below 0, and so may revenue, where money is given back.
    **dict.fromkeys(("mean_rating", "revenue_per_mille", "revenue_per_click"), _ANY),
    **dict.fromkeys(("ips_ctr", "clipped_ips_ctr", "mean_weight"), _AT_LEAST_0),
    "effective_samples": _AT_LEAST_0,
    # What a model expected, corrected by weights, may end below 0.
    **dict.fromkeys(("dr_ctr", "clipped_dr_ctr", "switch_dr_ctr"), _ANY),
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
    of_families = (name for names in FAMILIES.values() for name in names)
    return {
        name: _RANGE_OF.get(name, (0.0, 1.0))
        for name in (
            *figure_names(ks),
            *CLICK_METRICS,
            *CONVERSION_METRICS,
            *STEP_METRICS,
            *OFF_POLICY_METRICS,
            *of_families,
        )
    }


def family_of(metric: str) -> str | None:
    """The settings under `evaluator` that say whether the metric is judged; None if it always is.

    Examples
    --------
    >>> family_of("novelty"), family_of("ctr")
    ('experience', None)
    """
    return next((family for family, names in FAMILIES.items() if metric in names), None)


def nearest_metric(name: str, ks: tuple[int, ...]) -> str:
    """The metric whose name is most like a name that none has.

    Examples
    --------
    >>> nearest_metric("Recal@20", (1, 10, 20)), nearest_metric("logloss", (1, 10, 20))
    ('recall@20', 'log_loss')
    """
    return difflib.get_close_matches(name.lower(), metric_ranges(ks), n=1, cutoff=0.0)[0]
