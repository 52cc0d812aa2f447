import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stream.kafka.batching.aligning import merged, sort_keys

lanes = st.lists(st.lists(st.integers(0, 30), max_size=12).map(sorted), min_size=1, max_size=5)


@given(keys=lanes, bound=st.integers(-1, 31))
def test_the_least_far_goes_first_and_nothing_beyond_the_bound_goes(keys, bound):
    expected = sorted(
        (key, lane, place)
        for lane, lane_keys in enumerate(keys)
        for place, key in enumerate(lane_keys)
        if key <= bound
    )
    order = merged([np.array(lane_keys, np.int64) for lane_keys in keys], bound)
    assert order.tolist() == [lane for _, lane, _ in expected]


@given(ts=st.lists(st.integers(0, 9), min_size=1, max_size=9), before=st.integers(0, 9))
def test_a_partition_is_as_far_as_its_largest_time(ts, before):
    keys = sort_keys(np.array(ts), before).tolist()
    assert keys == [max(before, *ts[: n + 1]) for n in range(len(ts))]


def test_nothing_is_merged_of_nothing():
    assert merged([np.zeros(0, np.int64)]).tolist() == merged([]).tolist() == []
