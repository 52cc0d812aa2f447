import numpy as np

from stream.lessons import compacted, joined, select
from tests.stream_values import make_lessons


def sequences(lessons):
    contexts = lessons.contexts
    return [
        (contexts.history_CT[c, : contexts.length_C[c]].tolist(), target)
        for c, target in zip(lessons.context_of_M, lessons.target_M.tolist(), strict=True)
    ]


def test_joined_lessons_keep_their_own_contexts():
    first, second = make_lessons([[1, 2, 3]], [9]), make_lessons([[4], []], [7, 8])
    assert sequences(joined(first, second)) == [([1, 2, 3], 9), ([4], 7), ([], 8)]


def test_selected_lessons_keep_their_order():
    lessons = make_lessons([[1], [2], [3]], [7, 8, 9])
    assert sequences(select(lessons, np.array([2, 0]))) == [([3], 9), ([1], 7)]


def test_compacted_lessons_hold_no_context_that_nobody_asks_for():
    lessons = compacted(select(make_lessons([[1], [2], [3]], [7, 8, 9]), np.array([2])))
    assert sequences(lessons) == [([3], 9)]
    assert lessons.contexts.history_CT.tolist() == [[3]]
