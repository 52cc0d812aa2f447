import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from learners.length_buckets import length_buckets


def cost(bounds: list[list[int]], call_positions: int) -> int:
    return sum(call_positions + len(lengths) * (max(lengths) + 1) for lengths in bounds)


@given(
    lengths=st.lists(st.integers(0, 60), min_size=1, max_size=9),
    call_positions=st.integers(0, 100),
)
def test_no_other_way_to_cut_sequences_by_length_is_cheaper(lengths, call_positions):
    length_C = np.array(lengths, np.int32)
    found = list(length_buckets(length_C, call_positions))
    assert sorted(row for rows, _ in found for row in rows.tolist()) == list(range(len(lengths)))
    assert all(width == length_C[rows].max() for rows, width in found)
    ordered = sorted(lengths)
    cuts = [
        [ordered[start:stop] for start, stop in itertools.pairwise([0, *bounds, len(ordered)])]
        for n in range(len(ordered))
        for bounds in itertools.combinations(range(1, len(ordered)), n)
    ]
    took = cost([length_C[rows].tolist() for rows, _ in found], call_positions)
    assert took == min(cost(cut, call_positions) for cut in cuts)


def test_no_sequences_make_no_bucket():
    assert list(length_buckets(np.zeros(0, np.int32), 100)) == []
