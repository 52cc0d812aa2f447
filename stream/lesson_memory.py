"""The lessons of a pass, kept so that they can be gone over again.

# M lessons, C contexts, T history length, V items, F forgotten users
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from stream.context_rows import end_to_end, without_gone
from stream.lessons import compacted, select
from stream.values import Changes, Int64s, Lessons, Outcomes


class LessonMemory:
    """The newest lessons that were taught, with the contexts as they were scored.

    Memory: at most `4 * (T + 10)` bytes a lesson, and 4 for each declared column, twice that while
    `lessons` puts them together.

    Parameters
    ----------
    max_lessons : int
        How many are kept; beyond that the oldest go, a batch of them at a time.
    """

    def __init__(self, max_lessons: int) -> None:
        self._max_lessons = max_lessons
        # By the number of their batch: what happened to rows and users since is looked up late.
        self._kept: deque[tuple[int, Lessons]] = deque()
        self._n_batches = 0
        self._n_kept = 0
        self._n_dropped = 0
        self._recycled_at_V: Int64s = np.full(0, -1, np.int64)
        self._forgotten_at: dict[int, int] = {}

    def __len__(self) -> int:
        """Lessons that are kept."""
        return self._n_kept

    @property
    def n_dropped(self) -> int:
        """Lessons that were too many."""
        return self._n_dropped

    def learn(self, outcomes: Outcomes) -> None:
        """Keep the lessons of a batch."""
        if not len(outcomes.lessons):
            return
        self._kept.append((self._n_batches, compacted(outcomes.lessons)))
        self._n_kept += len(outcomes.lessons)
        while self._n_kept > self._max_lessons:
            n_oldest = len(self._kept.popleft()[1])
            self._n_kept -= n_oldest
            self._n_dropped += n_oldest

    def follow(self, changes: Changes) -> None:
        """Note after a batch which rows mean other items, and who asked to be forgotten."""
        n_new = changes.n_items - len(self._recycled_at_V)
        self._recycled_at_V = np.append(self._recycled_at_V, np.full(n_new, -1))
        self._recycled_at_V[changes.recycled_R] = self._n_batches
        self._forgotten_at |= dict.fromkeys(changes.forgotten_F.tolist(), self._n_batches)
        self._n_batches += 1

    def lessons(self) -> Lessons:
        """All that are kept, the oldest first, in the rows of today.

        Clicks on items that are gone and of users who are forgotten are left out; contexts lose
        the rows that are gone.
        """
        return _end_to_end([self._of_today(number, lessons) for number, lessons in self._kept])

    def _of_today(self, number: int, lessons: Lessons) -> Lessons:
        is_gone_V = self._recycled_at_V >= number
        forgotten_F = [user for user, at in self._forgotten_at.items() if at >= number]
        is_kept_M = ~is_gone_V[lessons.target_M] & ~np.isin(lessons.user_M, forgotten_F)
        contexts = without_gone(lessons.contexts, is_gone_V)
        left_M = contexts.length_C[lessons.context_of_M]
        session_length_M = np.minimum(lessons.session_length_M, left_M)
        there = replace(lessons, contexts=contexts, session_length_M=session_length_M)
        return select(there, np.flatnonzero(is_kept_M))


def _end_to_end(parts: Sequence[Lessons]) -> Lessons:
    """The lessons of all parts, over the contexts of all parts."""
    n_contexts = [len(part.contexts.length_C) for part in parts]
    starts = np.concatenate([[0], np.cumsum(n_contexts, dtype=np.int64)])
    none = np.zeros(0, np.int32)
    long_none = np.zeros(0, np.int64)
    pairs = list(zip(starts.tolist(), parts, strict=False))
    return Lessons(
        contexts=end_to_end([part.contexts for part in parts]),
        context_of_M=np.concatenate([none, *(p.context_of_M + np.int32(s) for s, p in pairs)]),
        target_M=np.concatenate([none, *(p.target_M for p in parts)]),
        ts_M=np.concatenate([long_none, *(p.ts_M for p in parts)]),
        user_M=np.concatenate([long_none, *(p.user_M for p in parts)]),
        session_M=np.concatenate([long_none, *(p.session_M for p in parts)]),
        session_length_M=np.concatenate([none, *(p.session_length_M for p in parts)]),
    )
