import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river import drift

from evaluators.adwin_bytes import AdwinSettings, bytes_of_state, state_of_bytes

SETTINGS = st.builds(
    AdwinSettings,
    delta=st.floats(1e-6, 0.9),
    clock=st.integers(1, 40),
    max_buckets=st.integers(2, 8),
    min_window_length=st.integers(1, 10),
    grace_period=st.integers(0, 20),
)


def adwin_after(options: AdwinSettings, seed: int, n_values: int, jump: float = 0.0) -> drift.ADWIN:
    rng = np.random.default_rng(seed)
    adwin = drift.ADWIN(
        delta=options.delta,
        clock=options.clock,
        max_buckets=options.max_buckets,
        min_window_length=options.min_window_length,
        grace_period=options.grace_period,
    )
    for value in (rng.random(n_values) + jump * (np.arange(n_values) > n_values // 2)).tolist():
        adwin.update(value)
    return adwin


@given(options=SETTINGS, seed=st.integers(0, 2**32 - 1), n_values=st.integers(0, 400))
@settings(deadline=None)
def test_bytes_become_plain_numbers_and_the_same_bytes_again(options, seed, n_values):
    adwin = adwin_after(options, seed, n_values, jump=1.0)
    data = adwin._helper.__getstate__()
    state = state_of_bytes(data, options)
    assert bytes_of_state(state, options) == data
    assert (state["width"], state["total"]) == (adwin.width, adwin.total)
    assert state["n_detections"] == adwin.n_detections


def test_what_is_held_are_sums_over_buckets_that_double_in_size():
    options = AdwinSettings(0.002, 32, 5, 5, 10)
    state = state_of_bytes(adwin_after(options, 0, 100)._helper.__getstate__(), options)
    size_B = 2 ** np.arange(len(state["n_used_B"]))
    assert (state["n_used_B"] * size_B).sum() == 100 == state["width"]
    assert state["totals_BM"].sum() == pytest.approx(state["total"])
    assert state["totals_BM"].shape == state["variances_BM"].shape == (len(size_B), 6)


@pytest.mark.parametrize("cut", [0, 10, 200, 300])
def test_bytes_that_are_cut_short_are_no_state(cut):
    options = AdwinSettings(0.002, 32, 5, 5, 10)
    data = adwin_after(options, 0, 100)._helper.__getstate__()
    with pytest.raises(ValueError, match=f"{cut} bytes are no state of an ADWIN"):
        state_of_bytes(data[:cut], options)


def test_bytes_with_a_field_more_are_no_state():
    options = AdwinSettings(0.002, 32, 5, 5, 10)
    data = adwin_after(options, 0, 100)._helper.__getstate__()
    with pytest.raises(ValueError, match="are no state of an ADWIN with"):
        state_of_bytes(data + bytes(8), options)


def test_bytes_of_other_settings_are_no_state():
    options = AdwinSettings(0.002, 32, 5, 5, 10)
    data = adwin_after(options, 0, 100)._helper.__getstate__()
    with pytest.raises(ValueError, match="are no state of an ADWIN with"):
        state_of_bytes(data, AdwinSettings(0.01, 32, 5, 5, 10))


def test_bytes_that_claim_more_buckets_than_can_be_are_no_state():
    options = AdwinSettings(0.002, 32, 5, 5, 10)
    data = bytearray(adwin_after(options, 0, 100)._helper.__getstate__())
    data[84:92] = (1000).to_bytes(8, "little")
    with pytest.raises(ValueError, match="at most 64 sizes of buckets, got 1000"):
        state_of_bytes(bytes(data), options)
