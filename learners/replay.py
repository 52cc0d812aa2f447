"""A bounded memory of past sequences: a sample of everything, and the latest.

# S stored sequences, W their width, M lessons, Q sequences drawn, V items; X tokens, F numbers
"""

from collections.abc import Iterator

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from stream.asker_values import Askers
from stream.context_rows import chosen_askers, nobody
from stream.input_settings import InputsConfig
from stream.lessons import select
from stream.sequences import without_rows
from stream.values import Changes, Contexts, Int32s, Int64s, Lessons, State

NEWEST_SEQUENCES = 500
"""Lessons back from the last that count as the newest: what a drift has brought is among them."""


_NOTHING = InputsConfig()


class ReplayBuffer:
    """Sequences of item rows: the context of a lesson, and its target at the end.

    Half of the places hold a uniform sample of all lessons so far (reservoir sampling, Vitter's
    algorithm R [1]_), the other half the latest lessons. Memory: 4 * (width + 3) bytes a place, and
    4 for each column that says who asked.

    Parameters
    ----------
    capacity : int
        Places for sequences, at least 2.
    width : int
        W, the longest sequence: the history and its target.
    recent_share : float
        Share of the drawn sequences that comes from the latest, in [0, 1].
    inputs : InputsConfig, optional
        What is kept of who asked, when the last item of a sequence was the answer.

    Sequences of recycled rows and forgotten users shrink or empty; their places are drawn in vain
    until later lessons take them.

    References
    ----------
    .. [1] Vitter. Random sampling with a reservoir. ACM TOMS 11, 1985.
    """

    def __init__(
        self, capacity: int, width: int, recent_share: float, inputs: InputsConfig = _NOTHING
    ) -> None:
        if capacity < 2:
            raise ValueError(f"a replay buffer needs at least 2 places, got {capacity}")
        self._half = capacity // 2
        self._recent_share = recent_share
        self._sequence_SW: Int32s = np.full((2 * self._half, width), -1, np.int32)
        self._length_S: Int32s = np.zeros(2 * self._half, np.int32)
        self._user_S: Int64s = np.zeros(2 * self._half, np.int64)
        self._askers_S = nobody(2 * self._half, inputs.n_tokens, inputs.n_numbers)
        self._says_who_asked = inputs.is_on
        self._n_seen = 0

    def __len__(self) -> int:
        """Sequences that can be drawn; one may be held in both halves."""
        return 2 * min(self._n_seen, self._half)

    def add(self, lessons: Lessons, rng: Generator) -> None:
        """Take in lessons, in order."""
        if not len(lessons):
            return
        number_M = self._n_seen + np.arange(len(lessons))
        drawn_M = (rng.random(len(lessons)) * (number_M + 1)).astype(np.int64)
        sampled_M = np.where(number_M < self._half, number_M, drawn_M)
        kept = np.flatnonzero(sampled_M < self._half)
        sequence_MW, length_M = _sequences(lessons, self._sequence_SW.shape[1])
        askers_M = chosen_askers(lessons.contexts.askers, lessons.context_of_M)
        for place, source in (
            (sampled_M[kept], kept),
            (self._half + number_M % self._half, np.arange(len(lessons))),
        ):
            self._sequence_SW[place] = sequence_MW[source]
            self._length_S[place] = length_M[source]
            self._user_S[place] = lessons.user_M[source]
            if self._says_who_asked and askers_M is not None:
                self._askers_S.token_CX[place] = askers_M.token_CX[source]
                self._askers_S.number_CF[place] = askers_M.number_CF[source]
        self._n_seen += len(lessons)

    def sample(self, n_positions: int, rng: Generator, n_newest_positions: int = 0) -> Contexts:
        """Sequences with about `n_positions` positions to predict, drawn with replacement.

        Those for `n_newest_positions` more come from the last `NEWEST_SEQUENCES` lessons. They are
        trimmed to the longest; who asked is who asked for the last item of each.
        """
        in_use = min(self._n_seen, self._half)
        if not in_use or not n_positions + n_newest_positions:
            return no_sequences()
        mean_length = max(float(self._length_S[:in_use].mean()), 1.0)
        n_drawn = max(round(n_positions / mean_length), 1) if n_positions else 0
        is_recent = rng.random(n_drawn) < self._recent_share
        chosen = rng.integers(0, in_use, n_drawn) + np.where(is_recent, self._half, 0)
        if n_newest := round(n_newest_positions / mean_length):
            back = rng.integers(0, min(in_use, NEWEST_SEQUENCES), n_newest)
            newest = self._half + (self._n_seen - 1 - back) % self._half
            chosen = np.concatenate([chosen, newest])
        chosen = chosen[self._length_S[chosen] > 0]
        width = int(self._length_S[chosen].max(initial=0))
        askers = chosen_askers(self._askers_S, chosen) if self._says_who_asked else None
        return Contexts(self._sequence_SW[chosen, :width], self._length_S[chosen], askers=askers)

    def follow(self, changes: Changes) -> None:
        """Drop recycled rows from sequences, and the sequences of forgotten users."""
        if len(changes.recycled_R):
            is_gone_V = np.zeros(changes.n_items, np.bool_)
            is_gone_V[changes.recycled_R] = True
            self._sequence_SW, self._length_S = without_rows(
                self._sequence_SW, self._length_S, is_gone_V
            )
        if len(changes.forgotten_F):
            forgotten = np.isin(self._user_S, changes.forgotten_F)
            self._sequence_SW[forgotten] = -1
            self._length_S[forgotten] = 0
            self._user_S[forgotten] = 0
            self._askers_S.token_CX[forgotten] = -1
            self._askers_S.number_CF[forgotten] = 0

    def state_dict(self) -> State:
        return {
            "schema_version": 2,
            "sequence": self._sequence_SW,
            "length": self._length_S,
            "user": self._user_S,
            "token": self._askers_S.token_CX,
            "number": self._askers_S.number_CF,
            "n_seen": self._n_seen,
        }

    def load_state_dict(self, state: State) -> None:
        self._sequence_SW = np.array(state["sequence"], np.int32)
        self._length_S = np.array(state["length"], np.int32)
        self._user_S = np.array(state["user"], np.int64)
        self._askers_S = Askers(
            np.array(state["token"], np.int32), np.array(state["number"], np.float32)
        )
        self._n_seen = state["n_seen"]


def minibatches(
    lessons: Lessons,
    buffer: ReplayBuffer,
    size: int,
    replay_ratio: float,
    rng: Generator,
    newest_ratio: float = 0.0,
) -> Iterator[tuple[Lessons, Contexts]]:
    """Lessons in steps of `size`, each with replayed sequences; then the buffer takes them in.

    For each lesson `replay_ratio` positions are replayed, and `newest_ratio` of the newest.

    Yields the lessons of a step, and sequences as `ReplayBuffer.sample` gives them.
    """
    for start in range(0, len(lessons), size):
        chosen = np.arange(start, min(start + size, len(lessons)))
        n_positions = round(replay_ratio * len(chosen))
        n_newest = round(newest_ratio * len(chosen))
        yield select(lessons, chosen), buffer.sample(n_positions, rng, n_newest)
    buffer.add(lessons, rng)


def no_sequences() -> Contexts:
    """Nothing replayed."""
    return Contexts(np.zeros((0, 0), np.int32), np.zeros(0, np.int32))


def _sequences(lessons: Lessons, width: int) -> tuple[Int32s, Int32s]:
    """Each context, which is shorter than `width`, and the target behind it."""
    history_MT = lessons.contexts.history_CT[lessons.context_of_M][:, : width - 1]
    length_M: NDArray[np.int32] = lessons.contexts.length_C[lessons.context_of_M]
    sequence_MW = np.full((len(lessons), width), -1, np.int32)
    sequence_MW[:, : history_MT.shape[1]] = history_MT
    sequence_MW[np.arange(len(lessons)), length_M] = lessons.target_M
    return sequence_MW, length_M + np.int32(1)
