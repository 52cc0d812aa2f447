import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluators.confidence import mean_interval
from evaluators.ranking_judge import INTERVAL_ALPHA, INTERVAL_TUNED_SAMPLES
from evaluators.verdicts import difference_interval, samples_for_verdict


@given(mean=st.floats(0.005, 0.9), variance=st.floats(0.0, 0.5), sign=st.sampled_from([-1, 1]))
def test_that_many_samples_are_enough_and_one_less_is_not(mean, variance, sign):
    needed = samples_for_verdict(sign * mean, variance)
    low, high = difference_interval(needed, sign * mean, variance)
    assert low > 0 or high < 0
    low, high = difference_interval(max(needed - 1, 1), sign * mean, variance)
    assert needed == 1 or low <= 0 <= high


def test_a_larger_difference_needs_fewer_samples():
    needed = [samples_for_verdict(mean, 0.1) for mean in (0.001, 0.01, 0.1)]
    assert needed == sorted(needed, reverse=True)


@pytest.mark.parametrize("mean", [0.0, 1e-9])
def test_no_verdict_is_promised_where_nobody_would_live_to_see_it(mean):
    assert samples_for_verdict(mean, 0.5) is None


def test_the_interval_is_the_one_that_shadows_are_told_with():
    expected = mean_interval(5000, 0.01, 0.2, INTERVAL_ALPHA, INTERVAL_TUNED_SAMPLES)
    assert difference_interval(5000, 0.01, 0.2) == expected
