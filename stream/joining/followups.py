"""Clicks that wait for what follows them: conversions and feedback.

# B clicks, N clicks that wait, M clicks that matured
"""

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from stream.conversions import Conversions
from stream.joining.pair_chains import PairChains, pair_keys
from stream.joining.waiting import Waiting
from stream.values import Int64s, State

Joined = Literal["joined", "repeated", "late", "orphan"]


class Followups:
    """Clicks within their conversion window, found by user and item.

    Users and items are compared by a 64-bit hash of the pair. Memory: about 200 bytes a click
    with its request; up to four times that: as much again may be gone and not cleared away yet,
    and columns double.

    Parameters
    ----------
    window_ms : int
        How long after a click its conversion may come.
    max_pending : int
        Clicks that wait at the most; the oldest mature early.
    """

    def __init__(self, window_ms: int, max_pending: int) -> None:
        self._window_ms = window_ms
        self._max_pending = max_pending
        self._clicks = Waiting(
            {
                "user": np.int64,
                "pair": np.int64,
                "number": np.int64,
                "is_converted": np.bool_,
                "converted_ms": np.int64,
                "value": np.float64,
            },
            texts=["request"],
        )
        self._chains = PairChains()

    def __len__(self) -> int:
        return len(self._clicks)

    def add(
        self,
        user_B: Int64s,
        item_B: Int64s,
        ts_B: Int64s,
        request_B: Sequence[str | None] | None,
        number_B: Int64s | int = -1,
    ) -> None:
        """Remember the clicks of a batch; users and items are hashes.

        `number_B` tells clicks apart that are kept as they were scored, see `ScoredClicks`.
        """
        self._clicks.add(
            ts_B,
            {
                "user": user_B,
                "pair": pair_keys(user_B, item_B),
                "number": number_B,
                "is_converted": False,
                "converted_ms": -1,
                "value": 0.0,
            },
            {"request": [None] * len(ts_B) if request_B is None else request_B},
        )

    def convert(
        self, pair: int, ts_ms: int, request: str | None, value: float
    ) -> tuple[Joined, int]:
        """Join a conversion to the latest click of its user and item before it; its number too.

        The conversion and the click must agree on the request where both name one. It is late
        if there are such clicks that still wait, but the window of each had passed before it; and
        repeated if the click's last conversion was of this very instant: delivered twice, it
        counts once.
        """
        self._chain_up()
        agrees = self._agreeing(request)
        place = self._chains.latest(pair, ts_ms - self._window_ms, ts_ms, agrees)
        if place >= 0 and self._clicks.array("converted_ms")[place] == ts_ms:
            return "repeated", -1
        if place >= 0:
            self._clicks.array("is_converted")[place] = True
            self._clicks.array("converted_ms")[place] = ts_ms
            self._clicks.array("value")[place] += value
            return "joined", int(self._clicks.array("number")[place])
        is_late = self._chains.latest(pair, 0, ts_ms, agrees) >= 0
        return "late" if is_late else "orphan", -1

    def has_unnamed_click(self, pair: int, since_ms: int, until_ms: int) -> bool:
        """Whether this user clicked this item within these times, and named no request."""
        self._chain_up()
        requests, is_waiting_E = self._clicks.texts["request"], self._clicks.is_waiting_E

        def is_unnamed(place: int) -> bool:
            return requests[place] is None and bool(is_waiting_E[place])

        return self._chains.latest(pair, since_ms, until_ms, is_unnamed) >= 0

    def has_click(self, pair: int, ts_ms: int) -> bool:
        """Whether there is a click of this user and item within the window before this time."""
        self._chain_up()
        agrees = self._agreeing(None)
        return self._chains.latest(pair, ts_ms - self._window_ms, ts_ms, agrees) >= 0

    def mature(self, watermark_ms: int) -> tuple[Conversions, Int64s, int]:
        """Let go of the clicks whose window has passed, and of the oldest if they are too many.

        Returns
        -------
        matured : Conversions
            By (time of maturity, arrival).
        number_M : int64 array
            Their numbers.
        n_early : int
            How many were too many.
        """
        due = self._clicks.take_until(watermark_ms - self._window_ms)
        early = self._clicks.take_oldest(len(self._clicks) - self._max_pending)
        place_M = np.concatenate([due, early])
        ts_M = np.minimum(self._clicks.ts_E[place_M] + self._window_ms, watermark_ms)
        order = np.lexsort((place_M, ts_M))
        place_M = place_M[order]
        matured = Conversions(
            ts_N=ts_M[order],
            is_converted_N=self._clicks.array("is_converted")[place_M],
            value_N=self._clicks.array("value")[place_M],
        )
        number_M: Int64s = self._clicks.array("number")[place_M]
        if self._clicks.is_sparse:
            self._clear_away()
        return matured, number_M, len(early)

    def forget(self, forgotten_F: Int64s) -> None:
        """Drop the clicks of these users."""
        if len(forgotten_F) and len(self._clicks):
            is_gone_E = np.isin(self._clicks.array("user"), forgotten_F)
            self._clicks.drop(np.flatnonzero(is_gone_E))

    def state_dict(self) -> State:
        self._clear_away()
        return {"schema_version": 2, "clicks": self._clicks.state_dict()}

    def load_state_dict(self, state: State) -> None:
        self._clicks.load_state_dict(state["clicks"])
        self._chains.clear()

    def _agreeing(self, request: str | None) -> Callable[[int], bool]:
        requests, is_waiting_E = self._clicks.texts["request"], self._clicks.is_waiting_E

        def agrees(place: int) -> bool:
            named = requests[place]
            is_same = request is None or named is None or named == request
            return is_same and bool(is_waiting_E[place])

        return agrees

    def _chain_up(self) -> None:
        """Chain the clicks that have come since the last search."""
        first = len(self._chains)
        if first < self._clicks.n_places:
            self._chains.extend(self._clicks.array("pair")[first:], self._clicks.ts_E[first:])

    def _clear_away(self) -> None:
        n_places = self._clicks.n_places
        if len(self._clicks.clear_away()) < n_places:
            self._chains.clear()
