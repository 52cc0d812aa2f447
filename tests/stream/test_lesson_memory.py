from dataclasses import replace

import numpy as np

from stream.asker_values import Askers
from stream.lesson_memory import LessonMemory
from stream.values import Lessons
from tests.stream_values import make_changes, make_lessons, make_outcomes


def told(memory: LessonMemory) -> list[tuple[list[int], int]]:
    """History and target of each lesson."""
    return sequences(memory.lessons())


def sequences(lessons: Lessons) -> list[tuple[list[int], int]]:
    contexts = lessons.contexts
    return [
        (contexts.history_CT[c, : contexts.length_C[c]].tolist(), target)
        for c, target in zip(lessons.context_of_M, lessons.target_M.tolist(), strict=True)
    ]


def taught(memory: LessonMemory, lessons: Lessons, **changes: list[int]) -> None:
    memory.learn(make_outcomes(lessons))
    memory.follow(make_changes(10, **changes))


def test_lessons_come_back_in_order_with_the_contexts_that_were_scored():
    memory = LessonMemory(100)
    taught(memory, make_lessons([[1, 2, 3], []], [4, 5]))
    taught(memory, make_lessons([], []))
    taught(memory, make_lessons([[6]], [7]))
    assert told(memory) == [([1, 2, 3], 4), ([], 5), ([6], 7)]
    assert len(memory) == 3


def test_a_recycled_row_is_taken_out_of_what_was_taught_before_and_not_of_what_came_after():
    memory = LessonMemory(100)
    taught(memory, make_lessons([[1, 2], [1]], [3, 2]))
    taught(memory, make_lessons([[2, 1]], [4]), recycled=[2])
    taught(memory, make_lessons([[2]], [5]))
    assert told(memory) == [([1], 3), ([1], 4), ([2], 5)]
    assert memory.lessons().session_length_M.tolist() == [1, 1, 1]


def test_clicks_of_a_forgotten_user_are_left_out_up_to_the_request():
    memory = LessonMemory(100)
    taught(memory, make_lessons([[], []], [1, 2], users=[7, 8]))
    taught(memory, make_lessons([[]], [3], users=[7]), forgotten=[7])
    taught(memory, make_lessons([[]], [4], users=[7]))
    assert told(memory) == [([], 2), ([], 4)]


def test_beyond_the_cap_the_oldest_batches_go():
    memory = LessonMemory(4)
    for target in range(4):
        taught(memory, make_lessons([[], []], [target, target]))
    assert [target for _, target in told(memory)] == [2, 2, 3, 3]
    assert (len(memory), memory.n_dropped) == (4, 4)


def test_a_memory_of_nothing_gives_no_lessons():
    lessons = LessonMemory(4).lessons()
    assert len(lessons) == 0
    assert lessons.contexts.history_CT.shape[0] == 0


def test_what_is_kept_shares_no_context_that_no_lesson_points_into():
    memory = LessonMemory(100)
    lessons = make_lessons([[1], [2], [3]], [4, 5, 6])
    only_last = Lessons(
        lessons.contexts,
        *(
            getattr(lessons, name)[2:]
            for name in ("context_of_M", "target_M", "ts_M", "user_M", "session_M")
        ),
        session_length_M=lessons.session_length_M[2:],
    )
    taught(memory, only_last)
    assert memory.lessons().contexts.history_CT.tolist() == [[3]]
    assert memory.lessons().context_of_M.dtype == np.int32


def test_who_asked_is_kept_with_the_lessons():
    memory = LessonMemory(100)
    for token in (4, 5):
        lessons = make_lessons([[1], [2]], [3, 4])
        who = Askers(np.array([[token], [9]], np.int32), np.zeros((2, 0), np.float32))
        taught(memory, replace(lessons, contexts=replace(lessons.contexts, askers=who)))
    lessons = memory.lessons()
    assert lessons.contexts.askers is not None
    assert lessons.contexts.askers.token_CX[lessons.context_of_M].tolist() == [[4], [9], [5], [9]]
