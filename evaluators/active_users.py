"""How many different users were there within a day and a week: counted, or estimated if many.

# N visits of a batch, U users remembered, D different users of a batch, H hours, R registers
"""

import numpy as np
from numpy.typing import NDArray

from evaluators.distinct_sketch import N_REGISTERS, estimate, registers_of
from stream.values import Int64s, Reading, State

HOUR_MS = 3_600_000
DAY_HOURS = 24
WEEK_HOURS = 7 * DAY_HOURS

_SCHEMA_VERSION = 1


class ActiveUsers:
    """Users by the hour in which they were last there, and sketches of each hour's users.

    As long as no more than `exact_users` were there within a week, they are counted exactly;
    from then on, for the rest of the run, numbers are estimates with a standard error of 1.6 %.
    A day is the hour of the stream's time and the 23 before.
    Memory: 16 bytes for each of `exact_users`, and 690 KiB.

    Parameters
    ----------
    exact_users : int
        U at the most.

    Examples
    --------
    >>> users = ActiveUsers(exact_users=10)
    >>> users.update(np.array([7, 7, 9]), np.array([0, 5, 9]), watermark_ms=9)
    >>> users.update(np.array([7]), np.array([30 * HOUR_MS]), watermark_ms=30 * HOUR_MS)
    >>> users.reading(DAY_HOURS), users.reading(WEEK_HOURS)
    (Reading(value=1.0, samples=1), Reading(value=2.0, samples=4))
    """

    def __init__(self, exact_users: int) -> None:
        self._exact_users = exact_users
        self.is_exact = True
        self._newest_hour = 0
        self._visits_H = np.zeros(WEEK_HOURS, np.int64)
        self._register_HR: NDArray[np.uint8] = np.zeros((WEEK_HOURS, N_REGISTERS), np.uint8)
        # Users that are counted, in order, with the hour they were last there; and how many of
        # them were last there in each hour.
        self._user_U: Int64s = np.zeros(0, np.int64)
        self._hour_U: Int64s = np.zeros(0, np.int64)
        self._last_H = np.zeros(WEEK_HOURS, np.int64)

    def update(self, user_N: Int64s, ts_N: Int64s, watermark_ms: int) -> None:
        """Count visits, in any order; users are uniform 64-bit hashes."""
        self._advance(watermark_ms // HOUR_MS)
        hour_N = np.minimum(ts_N // HOUR_MS, self._newest_hour)
        is_in_time_N = hour_N > self._newest_hour - WEEK_HOURS
        user_N, hour_N = user_N[is_in_time_N], hour_N[is_in_time_N]
        if not len(user_N):
            return
        slot_N = hour_N % WEEK_HOURS
        np.add.at(self._visits_H, slot_N, 1)
        register_N, zeros_N = registers_of(user_N)
        np.maximum.at(self._register_HR, (slot_N, register_N), zeros_N)
        if self.is_exact:
            self._count(user_N, hour_N)

    def reading(self, n_hours: int) -> Reading | None:
        """How many users were there in the last hours, out of how many visits; None without."""
        slot_H = (self._newest_hour - np.arange(n_hours)) % WEEK_HOURS
        n_visits = int(self._visits_H[slot_H].sum())
        if not n_visits:
            return None
        if self.is_exact:
            return Reading(float(self._last_H[slot_H].sum()), n_visits)
        return Reading(estimate(self._register_HR[slot_H].max(axis=0)), n_visits)

    def forget(self, forgotten_F: Int64s) -> None:
        """Erase users: they are no longer counted; sketches hold nobody's hash."""
        is_gone_U = np.isin(self._user_U, forgotten_F)
        hour_U = self._hour_U[is_gone_U]
        self._drop_last(hour_U)
        self._user_U, self._hour_U = self._user_U[~is_gone_U], self._hour_U[~is_gone_U]

    def state_dict(self) -> State:
        return {
            "schema_version": _SCHEMA_VERSION,
            "is_exact": self.is_exact,
            "newest_hour": self._newest_hour,
            "visits_H": self._visits_H,
            "register_HR": self._register_HR,
            "user_U": self._user_U,
            "hour_U": self._hour_U,
            "last_H": self._last_H,
        }

    def load_state_dict(self, state: State) -> None:
        self.is_exact = state["is_exact"]
        self._newest_hour = state["newest_hour"]
        self._visits_H[:] = state["visits_H"]
        self._register_HR[:] = state["register_HR"]
        self._user_U = state["user_U"].copy()
        self._hour_U = state["hour_U"].copy()
        self._last_H[:] = state["last_H"]

    def _advance(self, hour: int) -> None:
        n_steps = max(hour - self._newest_hour, 0)
        self._newest_hour += n_steps
        slots = (self._newest_hour - np.arange(min(n_steps, WEEK_HOURS))) % WEEK_HOURS
        if len(slots):
            for counts in (self._visits_H, self._register_HR, self._last_H):
                counts[slots] = 0

    def _count(self, user_N: Int64s, hour_N: Int64s) -> None:
        order = np.lexsort((hour_N, user_N))
        user_N, hour_N = user_N[order], hour_N[order]
        is_last_N = np.append(user_N[1:] != user_N[:-1], True)
        user_D, hour_D = user_N[is_last_N], hour_N[is_last_N]
        place_D = np.searchsorted(self._user_U, user_D)
        is_known_D = np.zeros(len(user_D), np.bool_)
        is_within_D = place_D < len(self._user_U)
        is_known_D[is_within_D] = self._user_U[place_D[is_within_D]] == user_D[is_within_D]
        known, before_D = place_D[is_known_D], self._hour_U[place_D[is_known_D]]
        self._drop_last(before_D)
        self._hour_U[known] = np.maximum(before_D, hour_D[is_known_D])
        new = place_D[~is_known_D]
        if len(new):
            self._user_U = np.insert(self._user_U, new, user_D[~is_known_D])
            self._hour_U = np.insert(self._hour_U, new, hour_D[~is_known_D])
        latest_D = np.concatenate((np.maximum(before_D, hour_D[is_known_D]), hour_D[~is_known_D]))
        np.add.at(self._last_H, latest_D % WEEK_HOURS, 1)
        if len(self._user_U) > self._exact_users:
            self._make_room()

    def _drop_last(self, hour_D: Int64s) -> None:
        """Users are no longer there last in these hours; what is over was dropped with its hour."""
        hour_D = hour_D[hour_D > self._newest_hour - WEEK_HOURS]
        np.subtract.at(self._last_H, hour_D % WEEK_HOURS, 1)

    def _make_room(self) -> None:
        """Forget who was not there within a week; if that is not enough, count no longer."""
        is_kept_U = self._hour_U > self._newest_hour - WEEK_HOURS
        self._user_U, self._hour_U = self._user_U[is_kept_U], self._hour_U[is_kept_U]
        if len(self._user_U) > self._exact_users:
            self.is_exact = False
            self._user_U, self._hour_U = self._user_U[:0], self._hour_U[:0]
            self._last_H[:] = 0
