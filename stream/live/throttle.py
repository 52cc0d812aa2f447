"""Holding down what is logged over and over: a line now and then, with a count of the others."""

import logging
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

_EVERY_S = 60.0

# Different lines that are remembered; past this the one seen first is forgotten.
_MAX_KINDS = 256

# What differs between lines that say the same: how long is waited this time, the port that this
# end of a connection happens to have, and where an object lies in memory.
_VARYING = re.compile(
    r"(?<![\w.])\d+(?:\.\d+(?![\w.])|(?:\.\d+)?(?=\s*(?:ms|secs?)\b))"
    r"|(?<=<-)\d+|(?<=\bat )0x[0-9a-f]+"
)


@dataclass(slots=True)
class _Seen:
    passed_s: float
    n_held: int = 0


class Throttle:
    """A filter that lets one of many like lines of a library pass each minute.

    A Kafka client whose broker is away logs several lines at every attempt. Lines are alike that
    differ only in decimal fractions, times to wait, own ports and addresses in memory. The next
    that passes says how many were held back. Debug and info lines are left alone: who turned those
    on wants all of them.

    Parameters
    ----------
    name : str
        The logger whose lines are held down, with everything below it.
    clock_s : callable
        A clock that nobody sets, in seconds.

    Examples
    --------
    >>> times = iter([0.0, 1.0, 70.0])
    >>> throttle = Throttle("kafka", clock_s=lambda: next(times))
    >>> lines = [
    ...     logging.LogRecord("kafka.net", logging.ERROR, "", 0, f"waiting {s} secs", (), None)
    ...     for s in (0.1, 0.4, 25)
    ... ]
    >>> [throttle.filter(line) for line in lines]
    [True, False, True]
    >>> lines[2].getMessage()
    'waiting 25 secs (and 1 more like it since)'
    """

    def __init__(self, name: str, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._clock_s = clock_s
        self._lock = threading.Lock()
        self._seen: dict[tuple[str, int, str], _Seen] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record passes; one that ends a pause is told how many did not."""
        if record.levelno < logging.WARNING or not f"{record.name}.".startswith(f"{self._name}."):
            return True
        message = record.getMessage()
        kind = (record.name, record.levelno, _VARYING.sub("#", message))
        with self._lock:
            n_held = self._pass(kind, self._clock_s())
        if n_held:
            record.msg, record.args = f"{message} (and {n_held} more like it since)", ()
        return n_held is not None

    def _pass(self, kind: tuple[str, int, str], now_s: float) -> int | None:
        """How many like it were held back since the last that passed; None to hold it back."""
        seen = self._seen.get(kind)
        if seen is not None and now_s - seen.passed_s < _EVERY_S:
            seen.n_held += 1
            return None
        self._seen.pop(kind, None)
        if len(self._seen) >= _MAX_KINDS:
            del self._seen[next(iter(self._seen))]
        self._seen[kind] = _Seen(now_s)
        return 0 if seen is None else seen.n_held
