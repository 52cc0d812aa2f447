from dataclasses import replace

import numpy as np

from learners.distinct_queries import distinct_queries
from tests.stream_values import make_queries


def test_queries_of_one_context_and_length_are_one_and_others_are_apart():
    queries = replace(
        make_queries([[1, 2, 3], [4]], n_items=6),
        context_of_B=np.array([1, 0, 0, 0], np.int32),
        session_length_B=np.array([1, 3, 2, 3], np.int32),
        ts_B=np.arange(4),
        session_B=np.arange(4),
    )
    distinct, place_of_B = distinct_queries(queries)
    assert distinct.context_of_B.tolist() == [0, 0, 1]
    assert distinct.session_length_B.tolist() == [2, 3, 1]
    assert distinct.ts_B.tolist() == [2, 1, 0]  # of the alike, the first
    assert place_of_B.tolist() == [2, 1, 0, 1]
