import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluators.confidence_sequence import INTERVAL_ALPHA, mean_margin
from evaluators.verdicts import difference_margin, samples_for_verdict


def is_decided(n_samples, mean, mean_square, largest):
    margin = difference_margin(n_samples, np.array([n_samples * mean_square]), largest).item()
    return abs(mean) > margin


@given(
    mean=st.floats(0.005, 0.9),
    spread=st.floats(0.0, 0.5),
    sign=st.sampled_from([-1, 1]),
    largest=st.sampled_from([1.0, 5.0]),
)
def test_that_many_samples_are_enough_and_one_less_is_not(mean, spread, sign, largest):
    mean_square = mean**2 + spread
    needed = samples_for_verdict(sign * mean, mean_square, largest)
    assert is_decided(needed, sign * mean, mean_square, largest)
    assert needed == 1 or not is_decided(needed - 1, sign * mean, mean_square, largest)


def test_a_larger_difference_needs_fewer_samples():
    needed = [samples_for_verdict(mean, 0.1) for mean in (0.001, 0.01, 0.1)]
    assert needed == sorted(needed, reverse=True)


@pytest.mark.parametrize("mean", [0.0, 1e-9])
def test_no_verdict_is_promised_where_nobody_would_live_to_see_it(mean):
    assert samples_for_verdict(mean, 0.5) is None


def test_the_margin_is_the_one_that_shadows_are_told_with_on_its_own_scale():
    square_F = np.array([900.0, 5.0])
    expected = mean_margin(5000, square_F, INTERVAL_ALPHA)
    assert difference_margin(5000, square_F).tolist() == expected.tolist()
    assert difference_margin(5000, 25 * square_F, 5.0) == pytest.approx(5 * expected)
