import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from learners.schedule import ScheduleConfig, rate_factor


def test_by_default_rates_stay_as_they_are_configured():
    assert {rate_factor(ScheduleConfig(), n) for n in (0, 1, 10**9)} == {1.0}


@given(
    warmup=st.integers(0, 50),
    decay=st.integers(50, 200),
    floor=st.floats(0.01, 1.0),
    n=st.integers(0, 10**6),
)
def test_rates_rise_then_fall_to_the_floor_and_never_below_it(warmup, decay, floor, n):
    config = ScheduleConfig(warmup_steps=warmup, decay_steps=decay, floor=floor)
    now, then = rate_factor(config, n), rate_factor(config, n + 1)
    assert 0 < now <= 1
    assert now <= then if n + 1 < decay else then <= now
    assert n < warmup or now >= floor


@pytest.mark.parametrize("wrong", [{"floor": 0.0}, {"decay_steps": 0}, {"warmup_steps": -1}])
def test_a_rate_that_vanishes_is_refused(wrong):
    with pytest.raises(ValidationError):
        ScheduleConfig.model_validate(wrong)
