from dataclasses import replace

import numpy as np

from stream.asker_values import Askers
from stream.lessons import compacted, joined, select
from stream.values import Lessons
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


def test_lessons_that_are_joined_selected_and_compacted_keep_who_asked():
    def asked(token: int) -> Lessons:
        lessons = make_lessons([[1], [2]], [3, 4])
        who = Askers(np.array([[token], [9]], np.int32), np.zeros((2, 0), np.float32))
        return replace(lessons, contexts=replace(lessons.contexts, askers=who))

    found = compacted(select(joined(asked(4), asked(5)), np.array([2, 1])))
    assert found.contexts.askers is not None
    assert found.contexts.askers.token_CX[found.context_of_M].tolist() == [[5], [9]]
