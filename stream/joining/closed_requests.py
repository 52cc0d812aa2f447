"""Requests whose answer is closed: what comes for them now comes too late."""

from collections import OrderedDict
from collections.abc import Iterable
from typing import Literal

import numpy as np

from stream.values import State

Closing = Literal["matured", "orphan"]
"""How a request was closed: its list matured, or a click on it was let through without a list."""


class ClosedRequests:
    """The requests that were closed last.

    Parameters
    ----------
    capacity : int
        The most requests remembered past `trim`; the one closed longest ago is forgotten first.
        Memory: about 250 bytes a request of ten characters.

    Examples
    --------
    >>> closed = ClosedRequests(capacity=1)
    >>> closed.add(["r1", "r2"], "matured")
    >>> closed.trim()
    >>> closed.closing("r1"), closed.closing("r2")
    (None, 'matured')
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._is_orphan: OrderedDict[str, bool] = OrderedDict()

    def __contains__(self, request: str) -> bool:
        return request in self._is_orphan

    def closing(self, request: str) -> Closing | None:
        """How this request was closed; None if it was not, or so long ago that it is forgotten."""
        is_orphan = self._is_orphan.get(request)
        if is_orphan is None:
            return None
        return "orphan" if is_orphan else "matured"

    def add(self, requests: Iterable[str], closing: Closing) -> None:
        """Remember requests as closed; they must not be closed yet."""
        self._is_orphan.update(dict.fromkeys(requests, closing == "orphan"))

    def trim(self) -> None:
        """Forget those past the capacity; once a batch, so that none is lost amid one."""
        while len(self._is_orphan) > self._capacity:
            self._is_orphan.popitem(last=False)

    def state_dict(self) -> State:
        return {
            "schema_version": 1,
            "request": list(self._is_orphan),
            "is_orphan": np.array(list(self._is_orphan.values()), np.bool_),
        }

    def load_state_dict(self, state: State) -> None:
        self._is_orphan = OrderedDict(
            zip(state["request"], state["is_orphan"].tolist(), strict=True)
        )
