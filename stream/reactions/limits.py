"""How often something may be done: so many times a day, and not too soon after the last time."""

from stream.durations import format_duration_ms
from stream.values import State

_DAY_MS = 86_400_000


class Limits:
    """Remembers when something began and ended, by event time, for as long as that matters.

    Parameters
    ----------
    begun, ended : str
        How people say so.

    Examples
    --------
    >>> limits = Limits("begun", "ended")
    >>> limits.begin(0, at_most_per_day=2)
    >>> limits.end(1_000)
    >>> limits.refusal(60_000, at_most_per_day=2, cool_down_ms=60_000)
    'one ended within the last 1m'
    >>> limits.refusal(61_000, at_most_per_day=1, cool_down_ms=60_000)
    '1 begun within the last day, the most'
    """

    def __init__(self, begun: str, ended: str) -> None:
        self._begun = begun
        self._ended = ended
        self._begun_ms: list[int] = []
        self._ended_ms: int | None = None

    def refusal(self, now_ms: int, at_most_per_day: int, cool_down_ms: int) -> str | None:
        """Why it may not be done now; None if it may."""
        if self.is_cooling(now_ms, cool_down_ms):
            return f"one {self._ended} within the last {format_duration_ms(cool_down_ms)}"
        n_begun = sum(now_ms - begun_ms < _DAY_MS for begun_ms in self._begun_ms)
        if n_begun >= at_most_per_day:
            return f"{n_begun} {self._begun} within the last day, the most"
        return None

    def is_cooling(self, now_ms: int, cool_down_ms: int) -> bool:
        """Whether the last one ended too short a time ago."""
        return self._ended_ms is not None and now_ms - self._ended_ms < cool_down_ms

    def begin(self, now_ms: int, at_most_per_day: int) -> None:
        """It is done now. Of earlier times no more are kept than could ever forbid another one."""
        recent = [ms for ms in self._begun_ms if now_ms - ms < _DAY_MS]
        self._begun_ms = [*recent, now_ms][-at_most_per_day:]

    def end(self, now_ms: int) -> None:
        """It is over now."""
        self._ended_ms = now_ms

    def state_dict(self) -> State:
        return {"schema_version": 1, "begun_ms": list(self._begun_ms), "ended_ms": self._ended_ms}

    def load_state_dict(self, state: State) -> None:
        self._begun_ms = list(state["begun_ms"])
        self._ended_ms = state["ended_ms"]
