"""Through the joiner, `tests/stream/test_joiner.py` asks more."""

import numpy as np

from stream.joining.seen_answers import is_seen
from tests.stream_values import make_queries


def test_an_answer_is_seen_if_its_own_query_excludes_it():
    queries = make_queries([[0], [1], []], n_items=3, seen=[[0, 2], [1], []])
    assert is_seen(queries, np.array([2, 2, 0], np.int32)).tolist() == [True, False, False]


def test_nothing_is_seen_where_nothing_is_excluded():
    queries = make_queries([[0], [1]], n_items=2)
    assert is_seen(queries, np.array([0, 1], np.int32)).tolist() == [False, False]
