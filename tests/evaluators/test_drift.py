import copy
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river import drift

from evaluators.drift import Adwin, Detector, Kswin, PageHinkley, Shift, made_detector
from evaluators.drift_parameters import (
    AdwinParameters,
    KswinParameters,
    PageHinkleyParameters,
    Parameters,
)
from stream.errors import ConfigError
from tests.conformance.stateful_contract import StatefulContract, assert_same_bits

SEEDS = st.integers(0, 2**32 - 1)
DOWN, UP, BOTH = frozenset({"down"}), frozenset({"up"}), frozenset({"down", "up"})
QUICK = {
    "adwin": AdwinParameters(delta=0.05, clock=4),
    "kswin": KswinParameters(alpha=0.02, window_size=30, stat_size=10, seed=7),
    "page_hinkley": PageHinkleyParameters(min_instances=10, threshold=3.0),
}


def rivers_own(parameters: Parameters, mode: str = "both"):
    match parameters:
        case AdwinParameters():
            return drift.ADWIN(**parameters.model_dump())
        case KswinParameters():
            return drift.KSWIN(**parameters.model_dump())
        case PageHinkleyParameters():
            return drift.PageHinkley(**parameters.model_dump(), mode=mode)


def levels(seed: int, n_values: int, is_hit: bool = False) -> list[float]:
    """Values around a level that jumps now and then; hits of that probability, or the values."""
    rng = np.random.default_rng(seed)
    level_N = np.repeat(rng.random(n_values // 50 + 1), 50)[:n_values]
    if is_hit:
        return (rng.random(n_values) < level_N).astype(float).tolist()
    return (level_N + rng.normal(0.0, 0.05, n_values)).tolist()


def found(detector: Detector, values: list[float]) -> list[tuple[int, Shift]]:
    return [(n, shift) for n, value in enumerate(values) if (shift := detector.update(value))]


PARAMETERS = st.one_of(
    st.builds(
        AdwinParameters,
        delta=st.sampled_from([0.0005, 0.002, 0.1]),
        clock=st.sampled_from([1, 5, 32]),
        max_buckets=st.sampled_from([2, 5, 9]),
        min_window_length=st.sampled_from([1, 5, 12]),
        grace_period=st.sampled_from([0, 10, 60]),
    ),
    st.builds(
        KswinParameters,
        alpha=st.sampled_from([0.0001, 0.005, 0.05]),
        window_size=st.sampled_from([20, 40]),
        stat_size=st.sampled_from([2, 5, 10]),
        seed=st.integers(0, 3),
    ),
    st.builds(
        PageHinkleyParameters,
        min_instances=st.sampled_from([1, 30]),
        delta=st.sampled_from([0.0, 0.005, 0.1]),
        threshold=st.sampled_from([0.5, 5.0, 50.0]),
        alpha=st.sampled_from([0.9, 0.9999, 1.0]),
    ),
)


@given(
    parameters=PARAMETERS,
    sides=st.sampled_from([DOWN, UP, BOTH]),
    seed=SEEDS,
    is_hit=st.booleans(),
)
@settings(deadline=None, max_examples=25)
def test_a_drift_is_found_exactly_where_rivers_own_detector_finds_it(
    parameters, sides, seed, is_hit
):
    values = levels(seed, 300, is_hit)
    river = rivers_own(parameters, "both" if len(sides) == 2 else next(iter(sides)))
    expected = []
    for n, value in enumerate(values):
        river.update(value)
        if river.drift_detected:
            expected.append(n)
    assert [n for n, _ in found(made_detector(parameters, sides), values)] == expected


@given(parameters=PARAMETERS, seed=SEEDS, cut=st.integers(0, 300))
@settings(deadline=None, max_examples=25)
def test_a_restored_detector_goes_on_bit_for_bit_wherever_it_was_cut(parameters, seed, cut):
    values = levels(seed, 300)
    unbroken, stopped, resumed = (made_detector(parameters, BOTH) for _ in range(3))
    found(unbroken, values[:cut])
    found(stopped, values[:cut])
    resumed.load_state_dict(copy.deepcopy(stopped.state_dict()))
    assert_same_bits(found(resumed, values[cut:]), found(unbroken, values[cut:]))
    assert_same_bits(resumed.state_dict(), unbroken.state_dict())


@pytest.mark.parametrize("name", QUICK)
def test_a_detector_restored_right_after_a_detection_starts_anew_as_the_other_does(name):
    values = levels(3, 300)
    unbroken, resumed = (made_detector(QUICK[name], BOTH) for _ in range(2))
    n_found = next(n for n, value in enumerate(values) if unbroken.update(value))
    resumed.load_state_dict(copy.deepcopy(unbroken.state_dict()))
    assert found(resumed, values[n_found + 1 :]) == found(unbroken, values[n_found + 1 :]) != []
    assert_same_bits(resumed.state_dict(), unbroken.state_dict())


@pytest.mark.parametrize("name", QUICK)
@pytest.mark.parametrize(("before", "after", "side"), [(0.8, 0.2, "down"), (0.2, 0.8, "up")])
def test_a_shift_tells_its_side_and_the_level_before(name, before, after, side):
    rng = random.Random(0)
    values = [mean + rng.uniform(-0.05, 0.05) for mean in [before] * 200 + [after] * 100]
    shifts = [shift for n, shift in found(made_detector(QUICK[name], BOTH), values) if n >= 200]
    assert shifts[0].side == side
    assert shifts[0].level == pytest.approx(before, abs=0.1)


def test_page_hinkley_looks_to_one_side_when_asked():
    values = [0.2] * 100 + [0.9] * 100
    found_by = {
        sides: found(made_detector(QUICK["page_hinkley"], sides), values) for sides in (DOWN, UP)
    }
    assert not found_by[DOWN]
    assert found_by[UP]


def test_kswin_draws_from_its_seed_alone():
    values = np.random.default_rng(0).random(600).tolist()
    of_seed = [found(Kswin(KswinParameters(alpha=0.1, seed=seed)), values) for seed in (3, 3, 4)]
    assert of_seed[0] == of_seed[1] != of_seed[2]


@pytest.mark.parametrize("name", QUICK)
def test_memory_does_not_grow_with_the_stream(name):
    detector = made_detector(QUICK[name], BOTH)
    sizes = []
    n_values = 1_000 if name == "kswin" else 20_000
    for n in range(n_values):
        detector.update(0.5)
        if n + 1 in (n_values // 2, n_values):
            sizes.append(n_numbers(detector.state_dict()))
    # ADWIN keeps one size of buckets more for each doubling of its window.
    assert sizes[1] - sizes[0] <= (13 if name == "adwin" else 0)
    assert sizes[1] < 1000


def n_numbers(state) -> int:
    if isinstance(state, dict):
        return sum(map(n_numbers, state.values()))
    return state.size if isinstance(state, np.ndarray) else 1


def test_river_holds_what_is_saved_of_it_and_nothing_else():
    """A release that holds more, less or otherwise fails here, and is refused where it is used."""
    common = {"_drift_detected"}
    assert vars(drift.ADWIN()).keys() == {*AdwinParameters.model_fields, *common, "_helper"}
    assert vars(drift.KSWIN()).keys() == {
        *KswinParameters.model_fields,
        *common,
        *("p_value", "n", "window", "_rng"),
    }
    page_hinkley = drift.PageHinkley()
    assert vars(page_hinkley).keys() == {
        *PageHinkleyParameters.model_fields,
        *common,
        *("mode", "_x_mean", "_test_drift"),
        *("_sum_increase", "_sum_decrease", "_min_increase", "_max_decrease"),
    }
    assert vars(page_hinkley._x_mean).keys() == {"n", "_mean"}
    assert type(drift.KSWIN(seed=1)._rng) is random.Random
    assert random.Random(0).getstate()[0] == 3
    assert len(drift.ADWIN()._helper.__getstate__()) == 92 + 24 + 6 * 8 + 8 + 6 * 8 + 28


class KeepsMore(drift.PageHinkley):
    def __init__(self, **parameters) -> None:
        super().__init__(**parameters)
        self.fading_mean = 0.0


class KeepsOtherBytes(drift.ADWIN):
    class Helper:
        def __getstate__(self) -> bytes:
            return b"a window of another kind"

    def __init__(self, **parameters) -> None:
        super().__init__(**parameters)
        self._helper = self.Helper()


@pytest.mark.parametrize(
    ("name", "newer", "told"),
    [
        ("PageHinkley", KeepsMore, "KeepsMore differs in fading_mean"),
        ("ADWIN", KeepsOtherBytes, "ADWIN: 24 bytes are no state of an ADWIN"),
    ],
)
def test_a_release_of_river_that_holds_something_else_is_refused(monkeypatch, name, newer, told):
    monkeypatch.setattr(drift, name, newer)
    parameters = QUICK["page_hinkley" if name == "PageHinkley" else "adwin"]
    with pytest.raises(ConfigError, match=told) as caught:
        made_detector(parameters, BOTH)
    assert str(caught.value).endswith("; install river~=0.26.0")


def drive(detector: Detector, step: int) -> list[tuple[int, Shift]]:
    return found(detector, levels(step, 120))


class TestAdwinState(StatefulContract):
    make = staticmethod(lambda: Adwin(QUICK["adwin"]))
    drive = staticmethod(drive)


class TestKswinState(StatefulContract):
    make = staticmethod(lambda: Kswin(QUICK["kswin"]))
    drive = staticmethod(drive)


class TestPageHinkleyState(StatefulContract):
    make = staticmethod(lambda: PageHinkley(QUICK["page_hinkley"], BOTH))
    drive = staticmethod(drive)
