"""What is normal for a figure: the mean of its own readings over the stretch before.

# T buckets

Coordinates along the stream are event times (ms) or counts of events, whichever the reference is
measured in. They never decrease.
"""

import numpy as np

from stream.durations import Span
from stream.values import State

# A week in buckets of 80 minutes: the far edge is as coarse as 1 / 127 of the stretch.
REFERENCE_BUCKETS = 128

_SCHEMA_VERSION = 1


class Reference:
    """The level that a drop is measured from.

    While nothing is wrong it is the trailing mean of the readings before. While the rule is
    pending or fires it stands still, so that a drop that lasts does not become the normal it is
    measured from; if the rule then falls silent, what was read meanwhile is left out for good.

    Only a rule that has fired for as long as the reference is long takes the new level for
    normal: the mean of what was read since the drop began takes the place of the old one, goes
    on from there, and the rule resolves unless the figure falls further.

    Memory is fixed: two times 128 buckets of 16 bytes.

    Parameters
    ----------
    span : Span
        Length of the stretch, longer than 0.
    """

    def __init__(self, span: Span) -> None:
        self._size = span.size
        self._normal = TrailingMean(span.size)
        self._incident = TrailingMean(span.size)
        self._held: float | None = None

    def level(self, at: int) -> float | None:
        """The reference of a step at this coordinate; None before readings span the whole of it.

        Coordinates never decrease from call to call.
        """
        return self._held if self._held is not None else self._normal.mean(at)

    def renew(self, at: int, fired_at: int) -> bool:
        """Take what was read of late for normal, if the rule has fired long enough for that."""
        if self._held is None or at - fired_at < self._size:
            return False
        if self._incident.mean(at) is None:  # too little was read: wait for more
            return False
        self._normal = self._incident
        self._incident = TrailingMean(self._size)
        self._held = None
        return True

    def hold(self, level: float) -> None:
        """Stand still at this level: the rule has become pending, or fires at once."""
        self._held = level
        self._incident = TrailingMean(self._size)

    def release(self) -> None:
        """Move again: the rule is inactive."""
        self._held = None

    def absorb(self, at: int, value: float) -> None:
        """Take in the reading of a step, after the step itself."""
        (self._normal if self._held is None else self._incident).add(at, value)

    def state_dict(self) -> State:
        return {
            "schema_version": _SCHEMA_VERSION,
            "normal": self._normal.state_dict(),
            "incident": self._incident.state_dict(),
            "held": self._held,
        }

    def load_state_dict(self, state: State) -> None:
        self._normal.load_state_dict(state["normal"])
        self._incident.load_state_dict(state["incident"])
        self._held = state["held"]


class TrailingMean:
    """The mean of the readings over a trailing stretch, in at most 128 buckets.

    A bucket is a 127th of the stretch wide, rounded up to a whole unit, and starts at a multiple
    of its width. The mean covers the bucket of the coordinate asked for and those before it down
    to the one that the stretch begins in: the whole stretch, and less than a bucket more.

    Parameters
    ----------
    size : int
        Length of the stretch, at least 1.

    Examples
    --------
    >>> trailing = TrailingMean(100)
    >>> for at, value in ((0, 1.0), (60, 2.0), (99, 6.0)):
    ...     trailing.add(at, value)
    >>> trailing.mean(99), trailing.mean(100), trailing.mean(170)
    (None, 3.0, 6.0)
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._width = -(-size // (REFERENCE_BUCKETS - 1))
        n_buckets = -(-size // self._width) + 1
        self._sum_T = np.zeros(n_buckets)
        self._count_T = np.zeros(n_buckets, np.int64)
        self._newest_bucket = 0
        self._first_at: int | None = None

    def add(self, at: int, value: float) -> None:
        """Take in a reading; coordinates never decrease."""
        self._advance(at)
        if self._first_at is None:
            self._first_at = at
        slot = self._newest_bucket % len(self._sum_T)
        self._sum_T[slot] += value
        self._count_T[slot] += 1

    def mean(self, at: int) -> float | None:
        """The mean of the readings up to `at`; None before they span the whole stretch.

        After a gap longer than the stretch they have to span it anew.
        """
        self._advance(at)
        if self._first_at is None or at - self._first_at < self._size:
            return None
        return float(self._sum_T.sum() / self._count_T.sum())

    def state_dict(self) -> State:
        return {
            "sum_T": self._sum_T,
            "count_T": self._count_T,
            "newest_bucket": self._newest_bucket,
            "first_at": self._first_at,
        }

    def load_state_dict(self, state: State) -> None:
        self._sum_T[:] = state["sum_T"]
        self._count_T[:] = state["count_T"]
        self._newest_bucket = state["newest_bucket"]
        self._first_at = state["first_at"]

    def _advance(self, at: int) -> None:
        bucket = at // self._width
        n_passed = min(bucket - self._newest_bucket, len(self._sum_T))
        if n_passed <= 0:
            return
        slot_P = np.arange(bucket - n_passed + 1, bucket + 1) % len(self._sum_T)
        self._sum_T[slot_P] = 0.0
        self._count_T[slot_P] = 0
        self._newest_bucket = bucket
        if not self._count_T.any():
            self._first_at = None
