import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.reporting.thinning import MAX_POINTS, kept_points

VALUES = st.lists(st.floats(-1e6, 1e6) | st.just(float("nan")), min_size=1, max_size=300)


@given(VALUES, st.integers(4, 80))
def test_no_more_points_are_kept_than_allowed_and_the_ends_are_among_them(values, max_points):
    kept = kept_points(np.array(values), max_points)
    assert len(kept) <= max_points
    assert (kept[0], kept[-1]) == (0, len(values) - 1)
    assert (np.diff(kept) > 0).all()


@given(VALUES, st.integers(4, 80))
def test_the_extremes_are_kept(values, max_points):
    value_N = np.array(values)
    kept_values = value_N[kept_points(value_N, max_points)]
    if not np.isnan(value_N).all():
        assert np.nanmin(kept_values) == np.nanmin(value_N)
        assert np.nanmax(kept_values) == np.nanmax(value_N)


@pytest.mark.parametrize("n_values", [0, 1, MAX_POINTS])
def test_a_short_line_is_kept_whole(n_values):
    assert kept_points(np.zeros(n_values)).tolist() == list(range(n_values))


def test_a_long_gap_stays_one():
    value_N = np.ones(1000)
    value_N[300:700] = np.nan
    kept = kept_points(value_N, max_points=20)
    assert np.isnan(value_N[kept]).sum() >= 3
    assert (value_N[kept] == 1).sum() >= 7
