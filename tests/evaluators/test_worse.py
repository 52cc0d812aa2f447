import pytest

from evaluators import worse
from evaluators.vocabulary import metric_ranges
from evaluators.worse import worse_side


@pytest.mark.parametrize(
    ("metric", "side"),
    [
        *[(name, "down") for name in ("recall@20", "ctr", "auc", "like_share", "mean_rating")],
        *[(name, "up") for name in ("log_loss", "ece", "skipped_share", "dislike_share", "gini")],
        *[(name, None) for name in ("calibration_ratio", "predicted_ctr", "interest_shift")],
    ],
)
def test_a_metric_gets_worse_to_its_own_side(metric, side):
    assert worse_side(metric) == side


def test_every_metric_that_is_told_of_exists():
    told = worse._WORSE_UP | worse._NEITHER
    assert told <= metric_ranges((20,)).keys()
