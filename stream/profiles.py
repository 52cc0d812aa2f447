"""What users say of themselves, by their row in the table of users.

# U users with a row, P tokens of a profile, R raw numbers of a profile, N users asked for
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stream.events import User
from stream.field_columns import FieldColumns
from stream.growth import grown
from stream.input_settings import InputsConfig
from stream.tokens import hashed, value_tokens, words
from stream.values import Float64s, Int32s, Int64s, State

_MOST_ROWS = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Profile:
    """A profile as it is after `ts_ms`."""

    ts_ms: int
    token_P: Int32s
    raw_R: Float64s


class ProfileReader:
    """Makes profiles of `user` events.

    Parameters
    ----------
    config : InputsConfig
        What is read.
    """

    def __init__(self, config: InputsConfig) -> None:
        profile = config.profile
        self._words = slice(0, profile.words)
        self._values = slice(profile.words, profile.words + profile.values)
        self._attributes = slice(profile.words + profile.values, config.n_profile_tokens)
        self._declared = profile.attributes
        self._n_buckets = config.token_buckets
        self.fields = FieldColumns(profile.attributes, "profile", config.token_buckets)
        self._blank = Profile(
            -1,
            np.full(config.n_profile_tokens, -1, np.int32),
            np.full(self.fields.n_raw, np.nan),
        )

    def after(self, event: User, before: Profile | None) -> Profile:
        """The profile after an event, which changes what it names: text, or all attributes."""
        profile = before or self._blank
        token_P, raw_R = profile.token_P.copy(), profile.raw_R.copy()
        if event.text is not None:
            n = self._words.stop
            token_P[self._words] = self._padded(list(words(event.text, n)), n)
        if (told := event.attributes) is not None:
            n = self._values.stop - self._values.start
            others = {name: value for name, value in told.items() if name not in self._declared}
            token_P[self._values] = self._padded(list(value_tokens(others)), n)
            token_NJ, raw_NR = self.fields.columns([self.fields.checked(told)])
            token_P[self._attributes], raw_R[:] = token_NJ[0], raw_NR[0]
        return Profile(int(event.ts), token_P, raw_R)

    def _padded(self, tokens: list[str], n_columns: int) -> Int32s:
        row = np.full(n_columns, -1, np.int32)
        found = hashed(tokens, self._n_buckets, n_columns)
        row[: len(found)] = found
        return row


class Profiles:
    """The newest profile of each user who has one, in as few bytes as a model reads of it.

    It leaves with its user's row. Memory: 4 * P + 8 * R + 8 bytes a row.

    Parameters
    ----------
    config : InputsConfig
        What is read.
    """

    def __init__(self, config: InputsConfig) -> None:
        n_raw = FieldColumns(config.profile.attributes, "profile", config.token_buckets).n_raw
        # The first instant at which a profile is known; 0 where there is none.
        self._since_ms_U: Int64s = np.zeros(0, np.int64)
        self._token_UP: Int32s = np.zeros((0, config.n_profile_tokens), np.int32)
        self._raw_UR: Float64s = np.zeros((0, n_raw))
        self._n_rows = 0

    def at(self, row_N: Int32s, ts_N: Int64s) -> tuple[Int32s, Float64s]:
        """Tokens (-1: none) and raw numbers (nan) of the profiles told before these times.

        A row of -1, one without a profile, and one whose profile is not strictly earlier: none.
        """
        token_NP = np.full((len(row_N), self._token_UP.shape[1]), -1, np.int32)
        raw_NR = np.full((len(row_N), self._raw_UR.shape[1]), np.nan)
        known = np.flatnonzero((row_N >= 0) & (row_N < self._n_rows))
        since_ms = self._since_ms_U[row_N[known]]
        known = known[(since_ms > 0) & (since_ms <= ts_N[known])]
        token_NP[known], raw_NR[known] = self._token_UP[row_N[known]], self._raw_UR[row_N[known]]
        return token_NP, raw_NR

    def of(self, row: int) -> Profile | None:
        """The profile of a row, None if it has none."""
        if not 0 <= row < self._n_rows or not self._since_ms_U[row]:
            return None
        since_ms = int(self._since_ms_U[row])
        return Profile(since_ms - 1, self._token_UP[row].copy(), self._raw_UR[row].copy())

    def write(self, row: int, profile: Profile) -> None:
        """Give a row a profile."""
        self._n_rows = max(self._n_rows, row + 1)
        self._since_ms_U = grown(self._since_ms_U, self._n_rows, _MOST_ROWS)
        self._token_UP = grown(self._token_UP, self._n_rows, _MOST_ROWS)
        self._raw_UR = grown(self._raw_UR, self._n_rows, _MOST_ROWS)
        self._since_ms_U[row] = profile.ts_ms + 1
        self._token_UP[row], self._raw_UR[row] = profile.token_P, profile.raw_R

    def erase(self, rows: Int32s) -> None:
        """Leave nothing of the profiles of these rows."""
        rows = rows[(rows >= 0) & (rows < self._n_rows)]
        self._since_ms_U[rows] = 0
        self._token_UP[rows] = 0
        self._raw_UR[rows] = 0

    def state_dict(self) -> State:
        n = self._n_rows
        return {
            "schema_version": 1,
            "since_ms": self._since_ms_U[:n],
            "token": self._token_UP[:n],
            "raw": self._raw_UR[:n],
        }

    def load_state_dict(self, state: State) -> None:
        self._since_ms_U = np.array(state["since_ms"], np.int64)
        self._token_UP = np.array(state["token"], np.int32)
        self._raw_UR = np.array(state["raw"], np.float64)
        self._n_rows = len(self._since_ms_U)


def versions(
    reader: ProfileReader, events: Sequence[User], before: Profile | None
) -> list[Profile]:
    """The profiles that one user had, one after the other: as before, and after each event.

    An event that is earlier than what is known already comes too late to say anything.
    """
    known = [] if before is None else [before]
    for event in events:
        if not known or int(event.ts) >= known[-1].ts_ms:
            known.append(reader.after(event, known[-1] if known else None))
    return known
