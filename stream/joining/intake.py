"""What enters a batch: lists that come once and in time, and clicks that do not overtake them.

# B clicks of the batch, N lists of the batch
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from stream.decoding import dead_letter
from stream.joining.closed_requests import ClosedRequests
from stream.joining.held_clicks import HeldClicks
from stream.joining.impressions import PendingLists
from stream.values import Batch, Bools, Clicks, DeadLetter, Impressions, Int64s, State

_REPEATED = "repeated: a list of this request_id came before"
_TOO_LATE = "late: the attribution window of this list had passed when it came"
_GIVEN_UP = "late: a click on this list was let through before the list came"
_ANSWERED = "late: its user had clicked an item of it, naming no request, before the list came"

WasClicked = Callable[[str, Sequence[str], int], bool]
"""Whether a user's click without a request on one of these items, at or soon after this time, has
been learned already."""


class Intake:
    """Puts the events of a batch in their turn, before anything is asked.

    Parameters
    ----------
    lists : PendingLists
        The lists that wait; only asked.
    closed : ClosedRequests
        The requests that were closed; those of clicks let through without a list are added.
    held : HeldClicks
        Where clicks wait for their list.
    window_ms : int
        The attribution window.
    was_clicked : callable
        Asked of lists that are older than what came before them.
    """

    def __init__(
        self,
        lists: PendingLists,
        closed: ClosedRequests,
        held: HeldClicks,
        window_ms: int,
        was_clicked: WasClicked,
    ) -> None:
        self._lists = lists
        self._closed = closed
        self._held = held
        self._window_ms = window_ms
        self._was_clicked = was_clicked
        self._watermark_ms = 0
        self._newest_list_ms = -1
        self.counts = {"repeated_requests": 0, "late_impressions": 0}

    def gather(self, arrived: Batch) -> Batch:
        """The batch without lists that are refused, and with its clicks as far as they are due.

        Refused are lists whose request came before, and lists that come too late. A click that
        names a request of which nothing is known waits, as long as lists are flowing.
        """
        lists, letters = self._accepted(arrived.impressions)
        if len(lists):
            newest_ms = int(lists.ts_N.max())
            self._newest_list_ms = max(self._newest_list_ms, newest_ms)
        clicks = self._in_turn(arrived.clicks, lists.request_N, arrived.watermark_ms)
        self._watermark_ms = arrived.watermark_ms
        if clicks is arrived.clicks and not letters:
            return arrived
        return replace(
            arrived,
            clicks=clicks,
            impressions=lists,
            dead_letters=arrived.dead_letters + letters,
        )

    def state_dict(self) -> State:
        return {
            "schema_version": 1,
            "watermark_ms": self._watermark_ms,
            "newest_list_ms": self._newest_list_ms,
            "counts": dict(self.counts),
        }

    def load_state_dict(self, state: State) -> None:
        self._watermark_ms = state["watermark_ms"]
        self._newest_list_ms = state["newest_list_ms"]
        self.counts = dict(state["counts"])

    def _accepted(self, lists: Impressions) -> tuple[Impressions, tuple[DeadLetter, ...]]:
        kept: dict[str, int] = {}
        letters: list[DeadLetter] = []
        for n, (request, ts) in enumerate(zip(lists.request_N, lists.ts_N.tolist(), strict=True)):
            reason = _REPEATED if request in kept else self._fault(request, ts)
            if reason is None and ts <= self._watermark_ms and self._is_answered(lists, n):
                reason = _ANSWERED
            if reason is None:
                kept[request] = n
                continue
            self.counts["repeated_requests" if reason is _REPEATED else "late_impressions"] += 1
            letters.append(_letter(lists, n, reason))
        if not letters:
            return lists, ()
        return _selected(lists, np.array(list(kept.values()), np.int64)), tuple(letters)

    def _is_answered(self, lists: Impressions, n: int) -> bool:
        items = lists.item_S[int(lists.starts[n]) : int(lists.starts[n + 1])]
        return self._was_clicked(lists.user_N[n], items, int(lists.ts_N[n]))

    def _fault(self, request: str, ts_ms: int) -> str | None:
        """Why a list is refused; None if it is not."""
        closing = self._closed.closing(request)
        if closing == "orphan":
            # its click is in the user's history already: the context would hold its own answer.
            return _GIVEN_UP
        if closing == "matured" or request in self._lists:
            return _REPEATED
        return _TOO_LATE if ts_ms + self._window_ms <= self._watermark_ms else None

    def _in_turn(self, clicks: Clicks, new_requests: Sequence[str], watermark_ms: int) -> Clicks:
        """The clicks whose turn it is, those that waited among them."""
        if clicks.request_B is None and not len(self._held):
            return clicks
        is_early_B = self._is_early(clicks, new_requests)
        newest_ms = self._newest_list_ms
        is_flowing = newest_ms >= 0 and newest_ms + self._window_ms > watermark_ms
        if not is_flowing and not len(self._held):
            self._closed.add(_named(clicks, is_early_B), "orphan")
            return clicks
        places = self._held.release(new_requests)
        self._held.hold(clicks, np.flatnonzero(is_early_B))
        given_up, requests = self._held.give_up(watermark_ms, is_flowing)
        self._closed.add(requests, "orphan")
        clicks = self._held.merged(places + given_up, clicks, ~is_early_B)
        self._held.tidy()
        return clicks

    def _is_early(self, clicks: Clicks, new_requests: Sequence[str]) -> Bools:
        """Whether each click names a request of which nothing is known."""
        if clicks.request_B is None:
            return np.zeros(len(clicks), np.bool_)
        new, waiting, closed = set(new_requests), self._lists, self._closed
        return np.array(
            [
                not (name is None or name in waiting or name in closed or name in new)
                for name in clicks.request_B
            ],
            np.bool_,
        )


def _named(clicks: Clicks, is_chosen_B: Bools) -> list[str]:
    """The requests that these clicks name, each once."""
    if clicks.request_B is None:
        return []
    chosen = [clicks.request_B[b] for b in np.flatnonzero(is_chosen_B).tolist()]
    return [name for name in dict.fromkeys(chosen) if name is not None]


def _selected(lists: Impressions, index_N: Int64s) -> Impressions:
    starts = lists.starts.tolist()
    chosen = index_N.tolist()
    items = [range(starts[n], starts[n + 1]) for n in chosen]
    places = [s for run in items for s in run]
    return Impressions(
        request_N=[lists.request_N[n] for n in chosen],
        user_N=[lists.user_N[n] for n in chosen],
        ts_N=lists.ts_N[index_N],
        starts=np.concatenate([[0], np.cumsum([len(run) for run in items])]).astype(np.int64),
        item_S=[lists.item_S[s] for s in places],
        propensity_S=lists.propensity_S[places],
        policy_N=[lists.policy_N[n] for n in chosen],
        origin_N=None if lists.origin_N is None else [lists.origin_N[n] for n in chosen],
        context_N=None if lists.context_N is None else [lists.context_N[n] for n in chosen],
    )


def _letter(lists: Impressions, n: int, reason: str) -> DeadLetter:
    items = slice(int(lists.starts[n]), int(lists.starts[n + 1]))
    event: dict[str, Any] = {
        "type": "impression",
        "request_id": lists.request_N[n],
        "user": lists.user_N[n],
        "items": lists.item_S[items],
        "ts": int(lists.ts_N[n]),
    }
    propensities = lists.propensity_S[items]
    if not np.isnan(propensities).any():
        event["propensities"] = propensities.tolist()
    if lists.policy_N[n] is not None:
        event["policy"] = lists.policy_N[n]
    origin = lists.origin_N[n] if lists.origin_N is not None else "unknown"
    return dead_letter(origin, reason, event)
