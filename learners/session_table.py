"""The most recent sessions and what they clicked.

# S sessions held, L clicks of a session, M lessons, N entries, V items, R recycled rows,
# F forgotten users, Q rows asked for

A session gets a running number, `seq`, and the slot `seq % S`: starting one evicts the oldest. A
session that filled its L clicks goes on under a new number, so that a very long one is a chain of
short ones and no table grows with it.
"""

import numpy as np

from learners.posting_index import PostingIndex
from stream.errors import CheckpointError
from stream.values import Int32s, Int64s, Lessons, State


class SessionTable:
    """A ring of sessions, and for each item the sessions that hold it.

    Parameters
    ----------
    max_sessions : int
        Sessions held.
    session_items : int
        Clicks held of each.
    """

    def __init__(self, max_sessions: int, session_items: int) -> None:
        self.n_started = 0
        self.holders_V = np.zeros(0, np.int32)
        self._index = PostingIndex()
        self._items_SL = np.full((max_sessions, session_items), -1, np.int32)
        # A slot without clicks holds no session.
        self._n_clicks_S = np.zeros(max_sessions, np.int32)
        self._session_S = np.zeros(max_sessions, np.int64)
        self._user_S = np.zeros(max_sessions, np.int64)
        # Where a session goes on; derived from the arrays when a state is loaded.
        self._seq_of_session: dict[int, int] = {}

    @property
    def oldest_seq(self) -> int:
        """The first session that is still held."""
        return max(0, self.n_started - len(self._items_SL))

    def newest_holders(self, row_Q: Int32s, n: int) -> tuple[Int64s, Int64s]:
        """The newest sessions that hold each row: index into `row_Q`, and the session.

        At least `n` come for each row where so many hold it, in any order.
        """
        return self._index.newest(row_Q, n, self.oldest_seq)

    def items(self, seq_N: Int64s) -> tuple[Int64s, Int32s]:
        """The distinct rows of each session: index into `seq_N`, and the row, oldest first."""
        n_slots, n_columns = self._items_SL.shape
        slot_N = seq_N % n_slots
        count_N = self._n_clicks_S[slot_N]
        owner_E = np.repeat(np.arange(len(seq_N)), count_N)
        skip_N = slot_N * n_columns - (np.cumsum(count_N) - count_N)
        row_E = self._items_SL.ravel()[np.arange(len(owner_E)) + skip_N[owner_E]]
        is_item_E = row_E >= 0
        return owner_E[is_item_E], row_E[is_item_E]

    def append(self, lessons: Lessons) -> None:
        """Add each click to its session; a session met for the first time brings its context."""
        if not len(lessons):
            return
        oldest_before, n_before = self.oldest_seq, self.n_started
        seq_M, place_M, n_context_M = self._assign(lessons)
        self._evict(np.arange(oldest_before, min(self.oldest_seq, n_before)))
        for session in lessons.session_M.tolist():
            if self._seq_of_session.get(session, self.oldest_seq) < self.oldest_seq:
                del self._seq_of_session[session]
        # A burst of new sessions may have evicted some that it had started itself.
        kept_M = np.flatnonzero(seq_M >= self.oldest_seq)
        slot_M = seq_M[kept_M] % len(self._items_SL)
        self._n_clicks_S[slot_M] = place_M[kept_M] + 1
        self._session_S[slot_M] = lessons.session_M[kept_M]
        self._user_S[slot_M] = lessons.user_M[kept_M]
        lesson_N, place_N, row_N = _entries(lessons, kept_M, place_M, n_context_M)
        self._hold(seq_M[lesson_N], place_N, row_N)

    def _assign(self, lessons: Lessons) -> tuple[Int64s, Int64s, Int64s]:
        """For each click its session, its place in it, and how much context it brings along."""
        n_slots, n_columns = self._items_SL.shape
        seq_of_session, n_started = self._seq_of_session, self.n_started
        n_clicks_of_seq: dict[int, int] = {}
        assigned = []
        length_M = np.minimum(lessons.session_length_M, n_columns - 1)
        for session, length in zip(lessons.session_M.tolist(), length_M.tolist(), strict=True):
            seq, n_context = seq_of_session.get(session, -1), 0
            if seq < max(0, n_started - n_slots):
                seq, n_context = n_started, length
                place = n_context
            else:
                place = n_clicks_of_seq.get(seq)
                if place is None:
                    place = int(self._n_clicks_S[seq % n_slots])
                if place == n_columns:
                    seq, place = n_started, 0
            n_started = max(n_started, seq + 1)
            seq_of_session[session] = seq
            n_clicks_of_seq[seq] = place + 1
            assigned.append((seq, place, n_context))
        self.n_started = n_started
        seq_M, place_M, n_context_M = np.array(assigned, np.int64).T
        return seq_M, place_M, n_context_M

    def _evict(self, seq_N: Int64s) -> None:
        slot_N = seq_N % len(self._items_SL)
        self._drop_items(slot_N)
        for session, seq in zip(self._session_S[slot_N].tolist(), seq_N.tolist(), strict=True):
            if self._seq_of_session.get(session) == seq:
                del self._seq_of_session[session]
        self._n_clicks_S[slot_N] = 0

    def _drop_items(self, slot_N: Int64s) -> None:
        row_NL = self._items_SL[slot_N]
        np.subtract.at(self.holders_V, row_NL[row_NL >= 0], 1)
        self._items_SL[slot_N] = -1

    def _hold(self, seq_N: Int64s, place_N: Int64s, row_N: Int32s) -> None:
        """Write entries, leaving out rows that their session holds already."""
        self.grow(int(row_N.max(initial=-1)) + 1)
        # Sessions of one batch lie close together: the offset keeps the number below 64 bits.
        entry_N = ((seq_N - seq_N.min(initial=self.n_started)) << 32) | row_N
        first_N = np.sort(np.unique(entry_N, return_index=True)[1])
        seq_N, place_N, row_N = seq_N[first_N], place_N[first_N], row_N[first_N]
        slot_N = seq_N % len(self._items_SL)
        is_new_N = ~(self._items_SL[slot_N] == row_N[:, None]).any(axis=1)
        slot_N, row_N = slot_N[is_new_N], row_N[is_new_N]
        self._items_SL[slot_N, place_N[is_new_N]] = row_N
        np.add.at(self.holders_V, row_N, 1)
        self._index.add(row_N, seq_N[is_new_N], self.oldest_seq)

    def grow(self, n_items: int) -> None:
        """Make room for rows below `n_items`."""
        if n_items > len(self.holders_V):
            n_new = max(n_items, 2 * len(self.holders_V)) - len(self.holders_V)
            self.holders_V = np.concatenate((self.holders_V, np.zeros(n_new, np.int32)))

    def drop_rows(self, row_R: Int32s) -> None:
        """Take the rows out of every session."""
        seq_N = self._index.holders(row_R)
        slot_N = seq_N[seq_N >= self.oldest_seq] % len(self._items_SL)
        row_NL = self._items_SL[slot_N]
        self._items_SL[slot_N] = np.where(np.isin(row_NL, row_R), np.int32(-1), row_NL)
        self.grow(int(row_R.max(initial=-1)) + 1)
        self.holders_V[row_R] = 0
        self._index.drop_rows(row_R)

    def drop_users(self, user_F: Int64s) -> None:
        """Erase every session of the users."""
        slot_N = np.flatnonzero(np.isin(self._user_S, user_F) & (self._n_clicks_S > 0))
        # The latest session that can have come to lie in the slot.
        seq_N = self.n_started - 1 - (self.n_started - 1 - slot_N) % len(self._items_SL)
        self._evict(seq_N)
        self._session_S[slot_N] = 0
        self._user_S[slot_N] = 0
        self._index.drop_sessions(seq_N)

    def state_dict(self) -> State:
        used = slice(min(self.n_started, len(self._items_SL)))
        return {
            "schema_version": 1,
            "max_sessions": len(self._items_SL),
            "n_started": self.n_started,
            "postings": self._index.live_postings(self.oldest_seq),
            "holders": self.holders_V,
            "items": self._items_SL[used],
            "n_clicks": self._n_clicks_S[used],
            "session": self._session_S[used],
            "user": self._user_S[used],
        }

    def load_state_dict(self, state: State) -> None:
        self._check(state)
        used = slice(len(state["items"]))
        self.n_started = state["n_started"]
        self._index.load(state["postings"])
        self.holders_V = state["holders"].copy()
        for name, table in (
            ("items", self._items_SL),
            ("n_clicks", self._n_clicks_S),
            ("session", self._session_S),
            ("user", self._user_S),
        ):
            table[used] = state[name]
        seq_N = np.arange(self.oldest_seq, self.n_started)
        seq_N = seq_N[self._n_clicks_S[seq_N % len(self._items_SL)] > 0]
        session_N = self._session_S[seq_N % len(self._items_SL)]
        self._seq_of_session = dict(zip(session_N.tolist(), seq_N.tolist(), strict=True))

    def _check(self, state: State) -> None:
        saved = (state["max_sessions"], state["items"].shape[1])
        if saved != self._items_SL.shape:
            n_sessions, n_items = self._items_SL.shape
            raise CheckpointError(
                f"session neighbours: the checkpoint holds {saved[0]} sessions of {saved[1]} clicks"
                f" but the settings want {n_sessions} of {n_items}; set max_sessions: {saved[0]}"
                f" and session_items: {saved[1]} or use an empty checkpoint.dir"
            )


def _entries(
    lessons: Lessons, kept_M: Int64s, place_M: Int64s, n_context_M: Int64s
) -> tuple[Int64s, Int64s, Int32s]:
    """Lesson, place in the session, and row of all that the kept lessons bring."""
    n_context_K = n_context_M[kept_M]
    lesson_N = np.repeat(kept_M, n_context_K)
    place_N = np.arange(len(lesson_N)) - np.repeat(
        np.cumsum(n_context_K) - n_context_K, n_context_K
    )
    context_N = lessons.context_of_M[lesson_N]
    column_N = lessons.contexts.length_C[context_N] - n_context_M[lesson_N] + place_N
    row_N = lessons.contexts.history_CT[context_N, column_N]
    return (
        np.concatenate((lesson_N, kept_M)),
        np.concatenate((place_N, place_M[kept_M])),
        np.concatenate((row_N, lessons.target_M[kept_M])).astype(np.int32),
    )
