import numpy as np

from stream.joining.seen_answers import is_seen
from tests.batches import batch_of
from tests.stream_values import make_queries


def test_a_click_on_an_item_that_the_ranking_leaves_out_is_seen():
    batch = batch_of([("ann", "a", 1), ("ann", "b", 2), ("bob", "a", 3)])
    queries = make_queries([[0], [0], []], 3, seen=[[0, 2], [0, 2], []])
    answer_B = np.array([0, 1, 0], np.int32)
    assert is_seen(batch, queries, answer_B).tolist() == [True, False, False]


def test_a_newcomer_is_seen_when_its_user_clicks_it_again_later_in_the_batch():
    batch = batch_of([("ann", "n", 1), ("bob", "n", 2), ("ann", "n", 2)])
    queries = make_queries([[]] * 3, 3, seen=[[]] * 3)
    answer_B = np.full(3, -1, np.int32)
    assert is_seen(batch, queries, answer_B).tolist() == [False, False, True]


def test_where_seen_items_are_ranked_nothing_is_seen():
    batch = batch_of([("ann", "a", 1), ("ann", "a", 2)])
    assert not is_seen(batch, make_queries([[], [0]], 3), np.array([0, 0], np.int32)).any()
