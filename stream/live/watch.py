"""The wall-clock watch: whether records come, and whether the loop keeps up with them.

What it finds are incidents. They stand apart from the reproducible record: no metric and no
reaction knows of them.
"""

import time
from collections.abc import Callable
from typing import Any, Protocol

from stream.durations import lasted_text
from stream.live.settings import WatchConfig, WatchRule
from stream.notices import Incident

Clock = Callable[[], float]
Report = Callable[[Incident], None]


class Status(Protocol):
    """How a live source stands, at one instant.

    Attributes
    ----------
    is_connected : bool
        Whether the source can be read at present.
    problem : str or None
        Why not.
    lag_records : int or None
        Records that wait to be handed to the loop; None while that is not known.
    last_arrival_s : float or None
        When the last record came, by `time.monotonic`; None before the first.
    newest_ts_ms : int or None
        What the newest record handed to the loop bears as its time on Kafka.
    n_records : int
        Records handed to the loop since the process began.
    is_repeating : bool
        Whether batches of the journal are repeated.
    is_backlog : bool
        Whether much more than a batch waits.
    """

    @property
    def is_connected(self) -> bool: ...

    @property
    def problem(self) -> str | None: ...

    @property
    def lag_records(self) -> int | None: ...

    @property
    def last_arrival_s(self) -> float | None: ...

    @property
    def newest_ts_ms(self) -> int | None: ...

    @property
    def n_records(self) -> int: ...

    @property
    def is_repeating(self) -> bool: ...

    @property
    def is_backlog(self) -> bool: ...


class Watch:
    """Looks at every rule, and reports each time one begins to fire or is resolved.

    All durations are measured on the monotonic clock. The wall clock is asked for one thing, how
    old the newest record is; set back or forth it can make that figure wrong, and nothing else.

    Parameters
    ----------
    config : WatchConfig
        The rules.
    clock_s : callable
        A clock that nobody sets, in seconds: `time.monotonic`, as in `Status.last_arrival_s`.
    status : callable
        How the source stands now.
    report : callable
        Takes the incidents.
    wall_clock_s : callable
        The time of day, in seconds since the epoch.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> status = SimpleNamespace(is_connected=True, problem=None, lag_records=0,
    ...     last_arrival_s=5.0, newest_ts_ms=None, n_records=9, is_repeating=False,
    ...     is_backlog=False)
    >>> times = iter([0.0, 6.0, 604.0, 605.0])
    >>> reported = []
    >>> watch = Watch(WatchConfig(), lambda: next(times), lambda: status, reported.append)
    >>> for _ in range(3):
    ...     watch.step()
    >>> [(incident.kind, incident.text) for incident in reported]
    [('silent', 'no record for 10m')]
    """

    def __init__(
        self,
        config: WatchConfig,
        clock_s: Clock,
        status: Callable[[], Status],
        report: Report,
        wall_clock_s: Clock = time.time,
    ) -> None:
        self._clock_s = clock_s
        self._status = status
        self._report = report
        self._view = _View(clock_s(), wall_clock_s)
        self._cycles = [_Cycle(rule) for rule in config.rules]

    def step(self) -> None:
        """Look once; to be called about every `watch.every`, by one thread."""
        view, status = self._view, self._status()
        view.move(self._clock_s(), status)
        for cycle in self._cycles:
            incident = cycle.step(view)
            if incident is not None:
                self._report(incident)

    @property
    def firing(self) -> list[str]:
        """The names of the rules that fire."""
        return [cycle.rule.name for cycle in self._cycles if cycle.is_firing]


class _View:
    """What the rules look at: the source's status, and since when it has been so."""

    def __init__(self, now_s: float, wall_clock_s: Clock) -> None:
        self.now_s = now_s
        self.status: Status | None = None
        self._wall_clock_s = wall_clock_s
        self.arrival_s = now_s  # when the last record came; the beginning, before the first
        self._n_records: int | None = None
        self._kept_up_s: float | None = None

    def move(self, now_s: float, status: Status) -> None:
        self.now_s, self.status = now_s, status
        # What the loop is handed counts as well: a repeated journal may not come by the network.
        if self._n_records is not None and status.n_records != self._n_records:
            self.arrival_s = now_s
        self._n_records = status.n_records
        if status.last_arrival_s is not None:
            self.arrival_s = max(self.arrival_s, status.last_arrival_s)
        if status.is_connected and status.lag_records == 0:
            self._kept_up_s = now_s

    @property
    def quiet_s(self) -> float:
        """How long no record came; since the watch began where none ever did."""
        return max(0.0, self.now_s - self.arrival_s)

    @property
    def lag_records(self) -> int | None:
        """How many records wait; None while nobody knows."""
        assert self.status is not None, "moved before it is read"
        return self.status.lag_records if self.status.is_connected else None

    @property
    def behind_s(self) -> float | None:
        """How old the newest record read is while others wait; None while nobody knows.

        What waits now came after the last time that nothing waited. So after a quiet night the
        first record in the morning does not look like a night's delay.
        """
        assert self.status is not None, "moved before it is read"
        if self.lag_records == 0:
            return 0.0
        ts_ms = self.status.newest_ts_ms
        if self.lag_records is None or ts_ms is None or ts_ms < 0:  # -1: a record without a time
            return None
        age_s = max(0.0, self._wall_clock_s() - ts_ms / 1000)
        return age_s if self._kept_up_s is None else min(age_s, self.now_s - self._kept_up_s)


class _Cycle:
    """One rule: inactive, firing once its condition has lasted, and resolved again."""

    def __init__(self, rule: WatchRule) -> None:
        self.rule = rule
        self.is_firing = False
        self._since_s: float | None = None  # when what is not yet told began
        self._began_s = 0.0

    def step(self, view: _View) -> Incident | None:
        """Move on; what to report, if there is anything."""
        if self.rule.kind == "silent":
            return self._step_silent(view)
        return self._step_lagging(view)

    def _step_silent(self, view: _View) -> Incident | None:
        is_silent = view.quiet_s * 1000 >= self.rule.for_ms
        if is_silent == self.is_firing:
            return None
        self.is_firing = is_silent
        if is_silent:
            self._began_s = view.arrival_s
            return self._incident(view, f"no record for {_lasted(view.quiet_s)}{_why(view)}")
        lasted = _lasted(view.arrival_s - self._began_s)
        return self._incident(view, f"records come again, after {lasted} without one")

    def _step_lagging(self, view: _View) -> Incident | None:
        is_lagging = self._is_lagging(view)
        if is_lagging is None:
            return None  # not known, as while it is not connected: what was known stands
        if is_lagging == self.is_firing:
            self._since_s = None
            return None
        self._since_s = view.now_s if self._since_s is None else self._since_s
        if (view.now_s - self._since_s) * 1000 < self.rule.for_ms:
            return None
        began_s, self._since_s, self.is_firing = self._since_s, None, is_lagging
        if is_lagging:
            self._began_s = began_s
            return self._incident(view, _lag_text(view))
        lasted = _lasted(began_s - self._began_s)
        return self._incident(view, f"keeps up again, after {lasted}: {_lag_text(view)}")

    def _is_lagging(self, view: _View) -> bool | None:
        """Whether it lags by either bound; None where neither says so and one is not known."""
        found: list[bool | None] = []
        if self.rule.records is not None:
            lag = view.lag_records
            found.append(None if lag is None else lag > self.rule.records)
        if self.rule.behind is not None:
            behind_s = view.behind_s
            found.append(None if behind_s is None else behind_s * 1000 > self.rule.behind)
        if any(found):
            return True
        return None if None in found else False

    def _incident(self, view: _View, text: str) -> Incident:
        rule, status = self.rule, view.status
        assert status is not None, "moved before it is read"
        behind_s = view.behind_s
        details: dict[str, Any] = {
            "quiet_ms": round(view.quiet_s * 1000),
            "lag_records": view.lag_records,
            "behind_ms": None if behind_s is None else round(behind_s * 1000),
        }
        if rule.description:
            details["description"] = rule.description
        if status.is_repeating or status.is_backlog:
            details["catching_up"] = True
            text = f"{text} (catching up with a backlog)"
        return Incident(rule.kind, rule.name, text, rule.severity, not self.is_firing, details)


def _why(view: _View) -> str:
    """What is known of why nothing comes."""
    status = view.status
    assert status is not None, "moved before it is read"
    if not status.is_connected:
        return f": not connected{f', {status.problem}' if status.problem else ''}"
    return f" although {_waiting(view.lag_records)}" if view.lag_records else ""


def _lag_text(view: _View) -> str:
    behind_s = view.behind_s
    age = f", the newest one read is {_lasted(behind_s)} old" if behind_s else ""
    return f"{_waiting(view.lag_records or 0)}{age}"


def _waiting(n_records: int) -> str:
    return "1 record waits" if n_records == 1 else f"{n_records:,} records wait"


def _lasted(span_s: float) -> str:
    """A span as people say it; below a second in milliseconds."""
    return lasted_text(round(span_s) * 1000) if span_s >= 1 else f"{round(span_s * 1000)}ms"
