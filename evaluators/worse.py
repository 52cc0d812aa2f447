"""Which way a metric gets worse."""

from typing import Literal

Side = Literal["down", "up"]

# Distances, losses and shares of what should not be.
_WORSE_UP = frozenset(
    (
        "log_loss",
        "normalized_entropy",
        "ece",
        "conversion_log_loss",
        "conversion_normalized_entropy",
        "skipped_share",
        "dislike_share",
        "hide_share",
        "gini",
        "exposure_gap",
    )
)
# Good is in the middle, or a matter of taste.
_NEITHER = frozenset(
    (
        "predicted_ctr",
        "calibration_ratio",
        "predicted_conversion_rate",
        "conversion_calibration_ratio",
        "mean_weight",
        "novelty",
        "interest_shift",
    )
)


def worse_side(metric: str) -> Side | None:
    """The side to which a metric gets worse; None of one that can be wrong on both, or on none.

    Examples
    --------
    >>> worse_side("recall@20"), worse_side("log_loss"), worse_side("calibration_ratio")
    ('down', 'up', None)
    """
    if metric in _NEITHER:
        return None
    return "up" if metric in _WORSE_UP else "down"
