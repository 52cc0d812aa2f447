import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluators.paired_metrics import LARGEST_LOSS_LEAD, loss_leads, paired_names

PROBABILITIES = st.floats(0.0, 1.0, exclude_min=True, exclude_max=True)


@given(ours=PROBABILITIES, theirs=PROBABILITIES, is_hit=st.booleans())
def test_a_lead_in_log_loss_is_the_shadows_loss_less_ours_within_bounds(ours, theirs, is_hit):
    losses = [-math.log(p if is_hit else 1 - p) for p in (ours, theirs) if is_hit or p < 1]
    (lead,) = loss_leads(np.array([ours]), np.array([theirs]), np.array([is_hit])).tolist()
    expected = min(max(losses[1] - losses[0], -LARGEST_LOSS_LEAD), LARGEST_LOSS_LEAD)
    assert lead == pytest.approx(expected, abs=1e-9)


def test_a_probability_that_leaves_no_rest_is_cut_like_any_other():
    almost_1 = np.nextafter(1.0, 0.0)
    lead_S = loss_leads(
        np.array([almost_1, 0.5, almost_1]), np.array([0.5, almost_1, almost_1]), np.zeros(3, bool)
    )
    assert lead_S.tolist() == [-LARGEST_LOSS_LEAD, LARGEST_LOSS_LEAD, 0.0]


def test_what_is_no_mean_over_samples_is_not_compared():
    assert not {"auc", "normalized_entropy", "precision@20"} & set(paired_names((1, 20)))
