"""What each user did lately.

# U users with a row, H entries kept of each, G users of a batch, B clicks of a batch
# E entries of all groups end to end
"""

from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict, PositiveInt

from stream.durations import DurationMs
from stream.growth import grown
from stream.id_hash import hash64
from stream.id_table import IdTable
from stream.sequences import ragged_indices
from stream.timelines import UNNAMED, Arrivals, Past, Timelines, merge
from stream.values import Clicks, Int32s, Int64s, State

_SIGN = -(2**63)


class HistoriesConfig(BaseModel):
    """How many users are remembered, and how a session ends."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_users: PositiveInt = 200_000
    """Users at the most, those with a profile alone among them; at the cap the one seen longest
    ago is forgotten."""
    session_gap: DurationMs = 30 * 60_000
    """A pause longer than this starts a new session, where clicks do not name theirs."""
    seen_items: PositiveInt = 1_000
    """Last items of a user that are never recommended again, with `ranking.exclude_seen`."""


class Histories:
    """Each user's last entries (item, event time, session), ordered by event time.

    An item is kept as `generation << 32 | row`, so that an entry whose row was recycled is
    recognised when it is read. Memory: 24 bytes an entry, `history_entries` entries a user.

    Parameters
    ----------
    config : HistoriesConfig
    history_entries : int
        H, the entries kept of each user.
    """

    def __init__(self, config: HistoriesConfig, history_entries: int) -> None:
        self._config = config
        self._entries = history_entries
        self._table = IdTable(config.max_users)
        self._item_UH: Int64s = np.zeros((0, history_entries), np.int64)
        self._ts_UH: Int64s = np.zeros((0, history_entries), np.int64)
        self._session_UH: Int64s = np.zeros((0, history_entries), np.int64)
        self._length_U: Int32s = np.zeros(0, np.int32)
        self._key_U: Int64s = np.zeros(0, np.int64)
        self._next_session = 1

    def __len__(self) -> int:
        return len(self._table)

    @property
    def session_gap_ms(self) -> int:
        """The pause after which a user's next click begins a session."""
        return self._config.session_gap

    def merged_with(
        self, clicks: Clicks, item_B: Int64s, onlookers: Sequence[str] = ()
    ) -> tuple[dict[str, int], Timelines]:
        """The users of a batch, numbered, and their histories merged with its clicks.

        `item_B` are the packed items of the clicks (see `stream.timelines.pack_items`).
        `onlookers` are users without a click whose history is wanted as well: users who click
        are numbered first.
        """
        group_of: dict[str, int] = {}
        group_B = np.array([group_of.setdefault(u, len(group_of)) for u in clicks.user_B], np.int64)
        for user in onlookers:
            group_of.setdefault(user, len(group_of))
        users_G = list(group_of)
        row_G = self._table.rows(users_G).astype(np.int64)
        length_G = _at(self._length_U, row_G)
        flat = ragged_indices(row_G * self._entries, length_G)
        past = Past(
            item_E=self._item_UH.reshape(-1)[flat],
            ts_E=self._ts_UH.reshape(-1)[flat],
            session_E=self._session_UH.reshape(-1)[flat],
            length_G=length_G,
        )
        new = Arrivals(item_B, clicks.ts_B, group_B, _named_sessions(clicks))
        return group_of, merge(past, new, self._config.session_gap, self._next_session)

    def advance(self, users_G: list[str], timelines: Timelines, generation_V: Int32s) -> Int32s:
        """Take over merged timelines: the last H live entries of the users in the first groups.

        Returns the rows that were taken from other users for them.
        """
        rows_G, recycled_R = self.admit(users_G)
        row_G = rows_G.astype(np.int64)
        index_E, length_G = timelines.last_entries(len(users_G), self._entries, generation_V)
        has_row_G = row_G >= 0
        source = index_E[np.repeat(has_row_G, length_G)]
        row_G, length_G = row_G[has_row_G], length_G[has_row_G]
        flat = ragged_indices(row_G * self._entries, length_G)
        self._item_UH.reshape(-1)[flat] = timelines.item_E[source]
        self._ts_UH.reshape(-1)[flat] = timelines.ts_E[source]
        self._session_UH.reshape(-1)[flat] = timelines.session_E[source]
        self._length_U[row_G] = length_G
        self._next_session = timelines.next_session
        return recycled_R

    def rows(self, users: Sequence[str]) -> Int32s:
        """The row of each user, -1 where there is none."""
        return self._table.rows(users)

    def admit(self, users_G: list[str]) -> tuple[Int32s, Int32s]:
        """The rows of distinct users, who were seen just now, and rows taken from others for it.

        Of more newcomers than there are rows only the last get one, the others -1.
        """
        rows_G = self._table.rows(users_G)
        self._table.touch(rows_G)
        newcomers = [user for user, row in zip(users_G, rows_G, strict=True) if row < 0]
        if not newcomers:
            return rows_G, np.zeros(0, np.int32)
        new_rows, recycled_R = self._table.assign(newcomers)
        self._grow()
        for array in (self._item_UH, self._ts_UH, self._session_UH):
            array[recycled_R] = 0  # nothing of an evicted user stays behind a shorter history
        self._length_U[recycled_R] = 0
        placed = new_rows >= 0
        self._key_U[new_rows[placed]] = np.array([hash64(u) for u in newcomers], np.int64)[placed]
        # A newcomer may have taken the row of a user of this very batch.
        return self._table.rows(users_G), recycled_R

    def user_hashes(self, users: Sequence[str]) -> Int64s:
        """The fixed 64-bit hash of each user's id."""
        rows = self._table.rows(users)
        hashes = np.zeros(len(users), np.int64)
        known = rows >= 0
        hashes[known] = self._key_U[rows[known]]
        for i in np.flatnonzero(~known).tolist():
            hashes[i] = hash64(users[i])
        return hashes

    def forget(self, user: str) -> int:
        """Erase a user: no entry of theirs stays. Returns the row they had, -1 for none."""
        row = self._table.remove(user)
        if row >= 0:
            for array in (self._item_UH, self._ts_UH, self._session_UH):
                array[row] = 0
            self._length_U[row] = self._key_U[row] = 0
        return row

    def state_dict(self) -> State:
        n = len(self)
        return {
            "schema_version": 1,
            "table": self._table.state_dict(),
            "item": self._item_UH[:n],
            "ts": self._ts_UH[:n],
            "session": self._session_UH[:n],
            "length": self._length_U[:n],
            "key": self._key_U[:n],
            "next_session": self._next_session,
        }

    def load_state_dict(self, state: State) -> None:
        self._table.load_state_dict(state["table"])
        self._item_UH = np.array(state["item"], np.int64)
        self._ts_UH = np.array(state["ts"], np.int64)
        self._session_UH = np.array(state["session"], np.int64)
        self._length_U = np.array(state["length"], np.int32)
        self._key_U = np.array(state["key"], np.int64)
        self._next_session = state["next_session"]

    def _grow(self) -> None:
        n = len(self)
        self._item_UH = grown(self._item_UH, n, self._config.max_users)
        self._ts_UH = grown(self._ts_UH, n, self._config.max_users)
        self._session_UH = grown(self._session_UH, n, self._config.max_users)
        self._length_U = grown(self._length_U, n, self._config.max_users)
        self._key_U = grown(self._key_U, n, self._config.max_users)


def _at(values_U: Int32s | Int64s, row_G: Int64s) -> Int64s:
    """The value of each row, 0 for -1."""
    if not len(values_U):
        return np.zeros(len(row_G), np.int64)
    return np.where(row_G >= 0, values_U[row_G], 0).astype(np.int64)


def _named_sessions(clicks: Clicks) -> Int64s:
    """A negative number for each session that a click names; sessions belong to their user."""
    if clicks.session_B is None:
        return np.full(len(clicks), UNNAMED, np.int64)
    pairs = zip(clicks.user_B, clicks.session_B, strict=True)
    hashes = [
        UNNAMED if name is None else hash64(f"{user}\0{name}") | _SIGN for user, name in pairs
    ]
    return np.array(hashes, np.int64)
