"""Which shown item a click was made on, or why on none.

# B clicks of the batch, K clicks that name a request whose list waits
"""

from dataclasses import dataclass

import numpy as np

from stream.joining.closed_requests import ClosedRequests
from stream.joining.impressions import PendingLists
from stream.values import Bools, Clicks, Int64s

VERDICTS = (
    "joined_clicks",
    "repeated_clicks",
    "late_clicks",
    "clicks_not_shown",
    "orphan_clicks",
    "organic_clicks",
)
"""What may become of a click; each click is counted under one of them."""

_JOINED, _REPEATED, _LATE, _NOT_SHOWN, _ORPHAN, _ORGANIC = range(len(VERDICTS))


@dataclass(frozen=True, slots=True)
class Matches:
    """What became of each click: a place in `VERDICTS`; and the shown item, -1 if there is none."""

    verdict_B: Int64s
    index_B: Int64s

    @property
    def joined(self) -> Int64s:
        """The shown items that were clicked for the first time, in the order of the clicks."""
        return self.index_B[self.is_joined_B]

    @property
    def is_joined_B(self) -> Bools:
        is_joined: Bools = self.verdict_B == _JOINED
        return is_joined

    def counts(self) -> dict[str, int]:
        """How many clicks came to each verdict."""
        counts = np.bincount(self.verdict_B, minlength=len(VERDICTS))
        return dict(zip(VERDICTS, counts.tolist(), strict=True))


def match(
    lists: PendingLists,
    closed: ClosedRequests,
    clicks: Clicks,
    user_B: Int64s,
    item_B: Int64s,
    matches_unnamed: bool = True,
) -> Matches:
    """Find the shown item of each click, and mark it as clicked.

    A click that names its request is made on that list or on none; one that does not, on the
    latest list of its user that shows the item, or on none if not `matches_unnamed`. Users and
    items are given as hashes.
    """
    n = len(clicks)
    verdict_B, index_B = np.full(n, _ORGANIC), np.full(n, -1, np.int64)
    unnamed = np.arange(n)
    if clicks.request_B is not None:
        named = np.flatnonzero([request is not None for request in clicks.request_B])
        unnamed = np.setdiff1d(unnamed, named, assume_unique=True)
        verdict_B[named], index_B[named] = _of_requests(
            lists, closed, clicks, named, user_B, item_B
        )
    if matches_unnamed:
        index_B[unnamed] = lists.latest_showing(
            user_B[unnamed], item_B[unnamed], clicks.ts_B[unnamed]
        )
    found = np.flatnonzero(index_B >= 0)
    verdict_B[found] = np.where(lists.click(index_B[found]), _JOINED, _REPEATED)
    return Matches(verdict_B, index_B)


def _of_requests(
    lists: PendingLists,
    closed: ClosedRequests,
    clicks: Clicks,
    named: Int64s,
    user_B: Int64s,
    item_B: Int64s,
) -> tuple[Int64s, Int64s]:
    """Verdict and shown item of the clicks that name a request, as if none was clicked before."""
    requests = [str(clicks.request_B[b]) for b in named.tolist()] if clicks.request_B else []
    place_N = lists.places(requests)
    verdict_N, index_N = np.full(len(named), _ORPHAN), np.full(len(named), -1, np.int64)
    for n in np.flatnonzero(place_N < 0).tolist():
        if closed.closing(requests[n]) == "matured":
            verdict_N[n] = _LATE
    waits = np.flatnonzero(place_N >= 0)
    place_K, clicked = place_N[waits], named[waits]
    is_user_K = lists.is_of_user(place_K, user_B[clicked])
    is_late_K = lists.is_over(place_K, clicks.ts_B[clicked])
    index_K = lists.index_of(place_K, item_B[clicked])
    verdict_K = np.where(index_K < 0, _NOT_SHOWN, _JOINED)
    verdict_K = np.where(is_late_K, _LATE, verdict_K)
    verdict_K = np.where(is_user_K, verdict_K, _ORPHAN)
    verdict_N[waits] = verdict_K
    index_N[waits] = np.where(verdict_K == _JOINED, index_K, -1)
    return verdict_N, index_N
