"""Choosing among lessons, and putting them together.

# B queries, M lessons, C contexts, T history length
"""

from dataclasses import replace

import numpy as np

from stream.context_rows import chosen, end_to_end
from stream.values import Contexts, Int32s, Int64s, Lessons, Queries


def lessons_of(queries: Queries, target_B: Int32s, user_B: Int64s, index_M: Int64s) -> Lessons:
    """What some queries teach: the state that was asked, and the row that was right."""
    return Lessons(
        contexts=queries.contexts,
        context_of_M=queries.context_of_B[index_M],
        target_M=target_B[index_M],
        ts_M=queries.ts_B[index_M],
        user_M=user_B[index_M],
        session_M=queries.session_B[index_M],
        session_length_M=queries.session_length_B[index_M],
    )


def select(lessons: Lessons, index_M: Int64s) -> Lessons:
    """Some of the lessons, in the order given; they keep pointing into the same contexts."""
    return Lessons(
        contexts=lessons.contexts,
        context_of_M=lessons.context_of_M[index_M],
        target_M=lessons.target_M[index_M],
        ts_M=lessons.ts_M[index_M],
        user_M=lessons.user_M[index_M],
        session_M=lessons.session_M[index_M],
        session_length_M=lessons.session_length_M[index_M],
    )


def no_lessons() -> Lessons:
    """Nothing to learn."""
    none = np.zeros(0, np.int64)
    rows = np.zeros(0, np.int32)
    contexts = Contexts(np.zeros((0, 1), np.int32), rows)
    return Lessons(contexts, rows, rows, none, none, none, rows)


def compacted(lessons: Lessons) -> Lessons:
    """The same lessons, without the contexts that none of them points into."""
    used_C, context_of_M = np.unique(lessons.context_of_M, return_inverse=True)
    contexts = chosen(lessons.contexts, used_C)
    return replace(lessons, contexts=contexts, context_of_M=context_of_M.astype(np.int32))


def joined(first: Lessons, second: Lessons) -> Lessons:
    """Both, `first` before `second`; its contexts are appended behind the second's."""
    if not len(first):
        return second
    offset = np.int32(len(second.contexts.length_C))
    return Lessons(
        contexts=end_to_end([second.contexts, first.contexts]),
        context_of_M=np.concatenate([first.context_of_M + offset, second.context_of_M]),
        target_M=np.concatenate([first.target_M, second.target_M]),
        ts_M=np.concatenate([first.ts_M, second.ts_M]),
        user_M=np.concatenate([first.user_M, second.user_M]),
        session_M=np.concatenate([first.session_M, second.session_M]),
        session_length_M=np.concatenate([first.session_length_M, second.session_length_M]),
    )
