"""Freed memory goes back to the system every so often, instead of never.

glibc keeps what a process frees for later use, and where large and small blocks alternate, as in
a loop of predictions and optimizer steps, it keeps ever more: the process seems to grow for days
although nothing is held. Asking it to let go costs some milliseconds.
"""

import ctypes
import time
from collections.abc import Callable

_EVERY_S = 60.0


class FreedMemory:
    """Gives freed memory back, once a minute.

    Parameters
    ----------
    clock_s : callable
        A clock that nobody sets, in seconds.
    trim : callable or None
        Gives back what it can; by default glibc's `malloc_trim`, and nothing with another libc.
    """

    def __init__(
        self,
        clock_s: Callable[[], float] = time.monotonic,
        trim: Callable[[], object] | None = None,
    ) -> None:
        self._clock_s = clock_s
        self._trim = trim or _glibc_trim()
        self._due_s = clock_s() + _EVERY_S

    def step(self) -> None:
        """Give back, if it is time to."""
        if self._clock_s() >= self._due_s:
            self._trim()
            self._due_s = self._clock_s() + _EVERY_S


def _glibc_trim() -> Callable[[], object]:
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError):
        return lambda: None
    return lambda: trim(0)
