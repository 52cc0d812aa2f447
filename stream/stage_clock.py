"""Where the time of the loop goes, stage by stage."""

import time
from collections.abc import Callable, Mapping


class StageClock:
    """Sums up how long each stage took: all time since the last lap belongs to the one named.

    What it reads is told beside the record of a run and is no part of it: no figure, reaction or
    state depends on it.

    Parameters
    ----------
    clock_s : callable
        Seconds that pass, such as those of the wall or those of the processor.

    Examples
    --------
    >>> seconds = iter([10.0, 10.5, 12.5, 13.0])
    >>> stages = StageClock(lambda: next(seconds))
    >>> for stage in ("read", "predict", "read"):
    ...     stages.lap(stage)
    >>> dict(stages.seconds)
    {'read': 1.0, 'predict': 2.0}
    """

    def __init__(self, clock_s: Callable[[], float] = time.perf_counter) -> None:
        self._clock_s = clock_s
        self._seconds: dict[str, float] = {}
        self._last_s = clock_s()

    def start(self) -> None:
        """Begin the next lap now: what went before belongs to no stage."""
        self._last_s = self._clock_s()

    def lap(self, stage: str) -> None:
        """A stage has ended now."""
        now_s = self._clock_s()
        self._seconds[stage] = self._seconds.get(stage, 0.0) + now_s - self._last_s
        self._last_s = now_s

    @property
    def seconds(self) -> Mapping[str, float]:
        """Seconds by stage, in order of first appearance."""
        return self._seconds
