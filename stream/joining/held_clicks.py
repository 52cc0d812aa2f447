"""Clicks that overtook the list they were made on.

# B clicks of a batch, N clicks that are held
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from stream.id_hash import hash64
from stream.joining.waiting import Waiting
from stream.values import Bools, Clicks, Int64s, State

_COLUMNS = ("user", "item", "session", "origin", "request", "context")
_NOWHERE = "unknown"


class HeldClicks:
    """Clicks that wait for the list that their request names.

    Memory: about 400 bytes a click with ids of ten characters, and what is declared of what its
    request carried; up to four times that: as much again may be gone and not cleared away yet, and
    columns double.

    Parameters
    ----------
    early_wait_ms : int
        How long a click waits, in event time.
    max_held : int
        Clicks held at the most; the oldest are let go first.
    """

    def __init__(self, early_wait_ms: int, max_held: int) -> None:
        self._early_wait_ms = early_wait_ms
        self._max_held = max_held
        self._clicks = Waiting({"arrival": np.int64}, texts=_COLUMNS)
        self._n_arrived = 0
        self._places_of: dict[str, list[int]] = {}

    def __len__(self) -> int:
        return len(self._clicks)

    def hold(self, clicks: Clicks, index_B: Int64s) -> None:
        """Hold some of a batch's clicks; each names its request."""
        chosen = index_B.tolist()
        columns = {
            "user": clicks.user_B,
            "item": clicks.item_B,
            "session": clicks.session_B,
            "origin": clicks.origin_B,
            "request": clicks.request_B,
            "context": clicks.context_B,
        }
        texts: dict[str, list[Any]] = {
            name: [None] * len(chosen) if column is None else [column[b] for b in chosen]
            for name, column in columns.items()
        }
        arrival_B = self._n_arrived + index_B
        places = self._clicks.add(clicks.ts_B[index_B], {"arrival": arrival_B}, texts)
        for place, request in zip(places.tolist(), texts["request"], strict=True):
            self._places_of.setdefault(str(request), []).append(place)

    def release(self, requests: Iterable[str]) -> list[int]:
        """Let go of the clicks that name one of these requests; their places."""
        if not self._places_of:
            return []
        places = [p for request in requests for p in self._places_of.pop(request, ())]
        self._clicks.drop(np.array(places, np.int64))
        return places

    def give_up(self, watermark_ms: int, is_flowing: bool) -> tuple[list[int], list[str]]:
        """Let go of the clicks whose list will not be waited for any longer.

        These are the clicks that have waited long enough, the oldest of too many, and all if no
        lists are flowing; with each go those that name the same request.

        Returns
        -------
        places : list of int
        requests : list of str
            What they named, each once, in the order in which it was given up.
        """
        if is_flowing:
            due = self._clicks.take_until(watermark_ms - self._early_wait_ms)
        else:
            due = self._clicks.take_oldest(len(self._clicks))
        named = self._clicks.texts["request"]
        requests = list(dict.fromkeys(named[place] for place in due.tolist()))
        places = self.release(requests)
        while len(self._clicks) > self._max_held:
            oldest = self._clicks.take_oldest(1).tolist()[0]
            requests.append(named[oldest])
            places += self.release([named[oldest]])
        return places, requests

    def merged(self, places: Sequence[int], clicks: Clicks, is_kept_B: Bools) -> Clicks:
        """Clicks that were let go and those of the batch that are kept, by (time, arrival).

        Ends the batch: clicks that are held from now on arrived after all of it.
        """
        arrived, self._n_arrived = self._n_arrived, self._n_arrived + len(clicks)
        if not places and is_kept_B.all():
            return clicks
        released, kept = np.array(places, np.int64), np.flatnonzero(is_kept_B)
        ts_B = np.concatenate([self._clicks.ts_E[released], clicks.ts_B[kept]])
        arrival_B = np.concatenate([self._clicks.array("arrival")[released], arrived + kept])
        order = np.lexsort((arrival_B, ts_B))

        def column(name: str, new: Sequence[Any] | None) -> list[Any]:
            held = self._clicks.texts[name]
            values = [held[place] for place in places]
            values += [None] * len(kept) if new is None else [new[b] for b in kept.tolist()]
            return [values[i] for i in order.tolist()]

        sessions = column("session", clicks.session_B)
        origins = column("origin", clicks.origin_B)
        requests = column("request", clicks.request_B)
        contexts = column("context", clicks.context_B)
        return Clicks(
            user_B=[str(user) for user in column("user", clicks.user_B)],
            item_B=[str(item) for item in column("item", clicks.item_B)],
            ts_B=ts_B[order],
            session_B=sessions if any(sessions) else None,
            origin_B=[origin or _NOWHERE for origin in origins] if any(origins) else None,
            request_B=requests if any(requests) else None,
            context_B=contexts if any(contexts) else None,
        )

    def forget(self, forgotten_F: Int64s) -> None:
        """Drop the clicks of these users."""
        if not len(forgotten_F) or not len(self._clicks):
            return
        is_gone = set(forgotten_F.tolist())
        waiting, users = self._clicks.waiting(), self._clicks.texts["user"]
        gone = [place for place in waiting.tolist() if hash64(users[place]) in is_gone]
        self._clicks.drop(np.array(gone, np.int64))
        self._index_again()

    def tidy(self) -> None:
        """Clear away what is gone, if that is more than what is held."""
        if self._clicks.is_sparse:
            self._clear_away()

    def state_dict(self) -> State:
        self._clear_away()
        return {
            "schema_version": 2,
            "clicks": self._clicks.state_dict(),
            "n_arrived": self._n_arrived,
        }

    def load_state_dict(self, state: State) -> None:
        self._clicks.load_state_dict(state["clicks"])
        self._n_arrived = state["n_arrived"]
        self._index_again()

    def _clear_away(self) -> None:
        self._clicks.clear_away()
        self._index_again()

    def _index_again(self) -> None:
        self._places_of = {}
        requests = self._clicks.texts["request"]
        for place in self._clicks.waiting().tolist():
            self._places_of.setdefault(requests[place], []).append(place)
