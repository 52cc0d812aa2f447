import numpy as np

from learners.length_buckets import length_buckets


def test_each_sequence_is_in_one_bucket_that_is_long_enough():
    length_C = np.random.default_rng(0).integers(0, 60, 200).astype(np.int32)
    found = [(row, width) for rows, width in length_buckets(length_C) for row in rows.tolist()]
    assert sorted(row for row, _ in found) == list(range(200))
    for row, width in found:
        assert length_C[row] <= width <= max(4, 2 * length_C[row])


def test_no_sequences_make_no_bucket():
    assert list(length_buckets(np.zeros(0, np.int32))) == []
