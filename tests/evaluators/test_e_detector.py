import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluators.e_detector import EDetector
from stream.values import Float64s
from tests.conformance.stateful_contract import StatefulContract, assert_same_bits

SEEDS = st.integers(0, 2**32 - 1)


def coin_flips(rng: np.random.Generator, n: int, mean: float, moved: float = 0.2) -> Float64s:
    """1 and -1 with a probability of `moved` together, else 0."""
    draw_N = rng.random(n)
    up, down = (moved + mean) / 2, (moved - mean) / 2
    return (draw_N < up).astype(float) - (draw_N > 1 - down)


def tripped_at(samples: Float64s, arl: float, cuts: list[int], reach: float = 1.0) -> int | None:
    detector, n_before = EDetector(arl, reach), 0
    for start, end in itertools.pairwise([0, *cuts, len(samples)]):
        n_taken = detector.update(samples[start:end])
        if n_taken is not None:
            return start + n_taken
        n_before = end
    assert n_before == len(samples)
    return None


def plain(samples: Float64s, arl: float, reach: float = 1.0) -> tuple[int | None, float]:
    """Where the recursion of Shiryaev and Roberts trips, and what it has there."""
    smallest = min(np.sqrt(2 * np.log(arl) / arl), 0.9)
    bets = [0.9 * (smallest / 0.9) ** (j / 15) / reach for j in range(16)]
    held, mean = [0.0] * 16, 0.0
    for n, sample in enumerate(samples.tolist(), start=1):
        held = [(1 + bet * sample) * (one + 1) for bet, one in zip(bets, held, strict=True)]
        mean = sum(held) / 16
        if mean >= arl:
            return n, mean
    return None, mean


@given(
    seed=SEEDS,
    mean=st.floats(-0.1, 0.2),
    arl=st.sampled_from([100.0, 10_000.0, 1e6]),
    reach=st.sampled_from([1.0, 1.2]),
)
@settings(deadline=None, max_examples=40)
def test_it_trips_where_the_recursion_written_down_plainly_does(seed, mean, arl, reach):
    samples = coin_flips(np.random.default_rng(seed), 900, mean)
    detector = EDetector(arl, reach)
    expected, evidence = plain(samples, arl, reach)
    assert detector.update(samples) == expected
    assert detector.evidence == pytest.approx(evidence, rel=1e-9)


@given(seed=SEEDS, cuts=st.lists(st.integers(0, 1500), max_size=40).map(sorted))
@settings(deadline=None, max_examples=40)
def test_its_bits_do_not_depend_on_how_samples_are_cut_into_batches(seed, cuts):
    samples = coin_flips(np.random.default_rng(seed), 1500, -0.01) * 0.37
    whole, cut = EDetector(1e9, 1.0), EDetector(1e9, 1.0)
    whole.update(samples)
    for start, end in itertools.pairwise([0, *cuts, len(samples)]):
        cut.update(samples[start:end])
    assert_same_bits(cut.state_dict(), whole.state_dict())


def test_cuts_do_not_move_the_sample_at_which_it_trips():
    samples = coin_flips(np.random.default_rng(3), 4000, 0.03)
    expected = tripped_at(samples, 1e4, [])
    assert expected is not None
    for cuts in ([expected - 1], [expected], [1, 2, 3, 700], list(range(64, 4000, 64))):
        assert tripped_at(samples, 1e4, cuts) == expected


def test_what_gamblers_have_is_worth_no_more_than_the_units_they_brought():
    # A mean over runs of what is had less what was brought: a supermartingale that begins at 0.
    n = 300
    final = []
    for seed in range(3000):
        detector = EDetector(1e300, 1.0)
        detector.update(coin_flips(np.random.default_rng(seed), n, 0.0, moved=0.05))
        final.append(detector.evidence)
    error = np.std(final) / np.sqrt(len(final))
    assert abs(np.mean(final) - n) < 4 * error


@pytest.mark.parametrize("moved", [0.05, 0.5, 1.0])
def test_false_alarms_are_as_rare_as_is_said(moved):
    # The mean run length, cut off at 20 times what is promised, is at least that.
    arl = 300.0
    lengths = [
        tripped_at(coin_flips(np.random.default_rng(seed), 6000, 0.0, moved), arl, []) or 6000
        for seed in range(200)
    ]
    assert np.mean(lengths) >= arl


def test_a_change_is_found_late_as_soon_as_early():
    rng = np.random.default_rng(5)
    delays = []
    for n_good in (0, 100_000):
        detector = EDetector(1e6, 1.0)
        assert detector.update(coin_flips(rng, n_good, -0.02)) is None
        delays.append(detector.update(coin_flips(rng, 10_000, 0.1)))
    assert None not in delays
    assert max(delays) < 1200


def test_the_worst_samples_overflow_nothing():
    detector = EDetector(1e15, 2.0)
    assert detector.update(np.full(2000, -2.0)) is None
    assert 0 < detector.evidence < 2000  # no more than the units that came in
    assert detector.update(np.full(2000, 1.0)) is not None


def test_after_a_reset_it_is_as_new():
    used, fresh = EDetector(1e6, 1.0), EDetector(1e6, 1.0)
    used.update(coin_flips(np.random.default_rng(1), 300, 0.1))
    used.reset()
    assert_same_bits(used.state_dict(), fresh.state_dict())


class TestEDetectorState(StatefulContract):
    make = staticmethod(lambda: EDetector(1e9, 1.0))

    @staticmethod
    def drive(detector: EDetector, step: int) -> object:
        taken = detector.update(coin_flips(np.random.default_rng(step), 100 + step, 0.0))
        return [taken, detector.evidence]
