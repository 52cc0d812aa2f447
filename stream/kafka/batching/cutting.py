"""When a batch of a live stream is cut, and how much of each partition goes into it."""

from collections.abc import Mapping, Sequence

import numpy as np

from stream.kafka.batching.aligning import NO_BOUND, merged
from stream.kafka.batching.lanes import Lane
from stream.kafka.fetching.handover import Mark
from stream.sources.batching import BatchConfig
from stream.values import Int32s


class Cutter:
    """Cuts at a number of records, or when the first of them has waited for long enough.

    Records go in the order of their event time. While a partition that is behind has more to
    come, those of the others that are ahead of it wait, but no longer than a batch may.

    Parameters
    ----------
    config : BatchConfig
        The number and the time.

    Attributes
    ----------
    wait_s : float
        After `counts` found that nothing is due: when to ask again, if nothing comes before.
    """

    def __init__(self, config: BatchConfig) -> None:
        self._n_records = config.events
        self._max_age_s = config.max_age_ms / 1000
        self._asked_s: float | None = None
        self._lanes: list[str] = []
        self._order_M: Int32s = np.zeros(0, np.int32)
        self.wait_s = self._max_age_s

    def counts(
        self, lanes: Sequence[Lane], marks: Mapping[str, Mark], now_s: float, is_forced: bool
    ) -> list[int] | None:
        """How many records to take of each lane; None while no batch is due.

        Parameters
        ----------
        lanes : sequence of Lane
            Every partition, in a fixed order.
        marks : mapping
            Where they stand.
        now_s : float
            The time.
        is_forced : bool
            Whether to cut in any case, and be it nothing.
        """
        if self._asked_s is None:
            self._asked_s = now_s
        self.wait_s = self._max_age_s
        if not self._has_order_for(lanes):
            order_M = self._new_order(lanes, marks, now_s, is_forced)
            if order_M is None:
                return None
            self._order_M = order_M
        cut_M, self._order_M = np.split(self._order_M, [self._n_records])
        self._asked_s = None
        counts: list[int] = np.bincount(cut_M, minlength=len(lanes)).tolist()
        return counts

    def _new_order(
        self, lanes: Sequence[Lane], marks: Mapping[str, Mark], now_s: float, is_forced: bool
    ) -> Int32s | None:
        """The order of the records that may be taken now; None if it is better to wait."""
        bound_ms, can_grow = _bound(lanes, marks)
        keys_LN = [lane.keys() for lane in lanes]
        order_M = merged(keys_LN, bound_ms)
        if len(order_M) >= self._n_records:
            return order_M
        oldest_s = min((s for lane in lanes if (s := lane.oldest_s) is not None), default=None)
        if oldest_s is not None:
            if bound_ms != NO_BOUND and self._asked_s is not None:
                oldest_s = max(oldest_s, self._asked_s)  # it waits for others from now on
            self.wait_s = oldest_s + self._max_age_s - now_s
        if is_forced or self.wait_s <= 0:
            return merged(keys_LN)[: self._n_records]
        return order_M if len(order_M) and not can_grow else None

    def _has_order_for(self, lanes: Sequence[Lane]) -> bool:
        """Whether the order of the records that come next is known from before."""
        names = [lane.name for lane in lanes]
        is_known = names == self._lanes and len(self._order_M) >= self._n_records
        self._lanes = names
        return is_known


def _bound(lanes: Sequence[Lane], marks: Mapping[str, Mark]) -> tuple[int, bool]:
    """Up to which event time every record is here, and whether it helps to wait for more."""
    bound_ms, can_grow = NO_BOUND, True
    for lane in lanes:
        mark = marks.get(lane.name)
        has_more = mark is None or mark.has_more or lane.n_waiting > lane.n_ready
        if has_more and lane.last_key < bound_ms:
            bound_ms = lane.last_key
            can_grow = mark is None or not (mark.is_full or lane.n_waiting > lane.n_ready)
    return bound_ms, can_grow
