import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluators.stretches import MAX_STRETCHES, Stretches


def filled(lengths, seed=0):
    """Stretches over updates of these lengths, and all that went in."""
    rng = np.random.default_rng(seed)
    stretches, ones, others = Stretches(2), [], []
    for n, length in enumerate(lengths):
        one, other = rng.random((2, length)), rng.random((2, length))
        stretches.add(one, other, at=(10 * (n + 1), 1000 * n))
        ones.append(one)
        others.append(other)
    return (
        stretches.sums(),
        np.hstack([np.zeros((2, 0)), *ones]),
        np.hstack([np.zeros((2, 0)), *others]),
    )


@given(lengths=st.lists(st.integers(0, 200), max_size=60), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=50)
def test_stretches_hold_all_samples_each_once_and_in_order(lengths, seed):
    sums, one_FN, other_FN = filled(lengths, seed)
    assert sums.samples_T.sum() == one_FN.shape[1]
    ends = sums.samples_T.cumsum()
    for start, end, row in zip(ends - sums.samples_T, ends, range(len(ends)), strict=True):
        part = other_FN[:, start:end] - one_FN[:, start:end]
        assert sums.one_TF[row] == pytest.approx(one_FN[:, start:end].sum(axis=1))
        assert sums.difference_TF[row] == pytest.approx(part.sum(axis=1))
        assert sums.square_TF[row] == pytest.approx((part**2).sum(axis=1))


def test_a_long_stream_has_no_more_stretches_and_its_neighbours_are_put_together():
    sums, one_FN, other_FN = filled([40] * 1000)
    assert MAX_STRETCHES // 2 <= len(sums.samples_T) <= MAX_STRETCHES
    assert set(sums.samples_T[:-1].tolist()) == {160}
    assert sums.events_T[:2].tolist() == [40, 80]
    assert sums.end_ms_T[-1] == 999_000
    whole = sums.since_start()
    assert whole.samples_T[-1] == 40_000
    assert whole.difference_TF[-1] == pytest.approx((other_FN - one_FN).sum(axis=1))


def test_joined_neighbours_are_what_one_stretch_would_have_been():
    sums, one_FN, other_FN = filled([40] * 6)
    halves = sums.joined(np.array([0, 2]))
    assert halves.samples_T.tolist() == [80, 160]
    assert halves.events_T.tolist() == [20, 60]
    part = (other_FN - one_FN)[:, 80:]
    assert halves.square_TF[1] == pytest.approx((part**2).sum(axis=1))


def test_equal_samples_differ_by_nothing_at_all():
    stretches = Stretches(1)
    for n in range(3000):
        values = np.full((1, 7), 1 / (n + 3))
        stretches.add(values, values.copy(), at=(n, n))
    assert not stretches.sums().difference_TF.any()
    assert not stretches.sums().square_TF.any()


def test_an_update_without_a_sample_changes_nothing():
    stretches = Stretches(1)
    stretches.add(np.zeros((1, 0)), np.zeros((1, 0)), at=(5, 5))
    assert len(stretches.sums().samples_T) == 0


def test_a_difference_beyond_the_largest_counts_as_the_largest():
    stretches = Stretches(1, largest=5.0)
    stretches.add(np.array([[9.0, 0.0, 1.0]]), np.array([[0.0, 30.0, 2.0]]), at=(1, 1))
    sums = stretches.sums()
    assert (sums.one_TF.item(), sums.other_TF.item()) == (10.0, 32.0)
    assert (sums.difference_TF.item(), sums.square_TF.item()) == (1.0, 51.0)
