"""How a run goes, while it goes: two live lines on a terminal, a line now and then elsewhere."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

_LINE_EVERY_S = 10.0
_FRAME_EVERY_S = 0.5
# Long enough to be calm, short enough to show that a run has become slower.
_RATE_OVER_S = 10.0
# Before that, the time left is a guess.
_LEFT_AFTER_S = 3.0
_BAR_CHARS = 40


class Running(Protocol):
    """What is asked of a run."""

    @property
    def n_events(self) -> int: ...

    @property
    def n_records(self) -> int: ...

    def metrics(self) -> dict[str, Any]: ...


class Sized(Protocol):
    """What is read; `total_bytes` is None where nobody knows it."""

    @property
    def total_bytes(self) -> int | None: ...

    @property
    def bytes_read(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a run stands; None is what nobody knows (yet)."""

    n_events: int
    events_per_second: float | None = None
    figure: str = ""
    total: float | None = None
    window: float | None = None
    window_samples: int = 0
    done_ratio: float | None = None
    left_s: float | None = None


class Progress:
    """Shows a run on a console, from `start` to the end of the `with` block.

    Parameters
    ----------
    console : Console
        A quiet one is left alone.
    figure : str
        The champion's figure to show, such as `recall@20`.
    done_ratio : callable
        How much of the input is done after so many records, in [0, 1]; None if nobody knows.
    clock_s : callable
        A monotonic clock, in seconds.
    name : str
        What is going on.
    """

    def __init__(
        self,
        console: Console,
        figure: str,
        done_ratio: Callable[[int], float | None],
        clock_s: Callable[[], float] = time.monotonic,
        name: str = "replay",
    ) -> None:
        self._name = name
        self._console = console
        self._figure = figure
        self._done_ratio = done_ratio
        self._clock_s = clock_s
        self._is_live = console.is_interactive and not console.quiet
        self._standing = Standing(0)
        self._is_stopping = False
        self._is_stop_told = False
        # (seconds, events) of the last seconds, oldest first.
        self._recent: deque[tuple[float, int]] = deque()
        self._began: tuple[float, float | None] = clock_s(), None
        self._shown_s = clock_s()
        self._live = Live(
            console=console, get_renderable=self._frame, transient=True, refresh_per_second=4
        )

    def start(self, running: Running) -> None:
        """The run is about to begin, or to go on where a checkpoint left it."""
        now_s = self._clock_s()
        self._began = now_s, None
        self._shown_s = now_s
        self._recent.append((now_s, running.n_events))
        self._standing = Standing(running.n_events)
        if running.n_events:
            self._print(f"resuming after {running.n_events:,} events")

    def update(self, running: Running) -> None:
        """Another batch is done; most calls only look at the clock."""
        if self._is_stopping and not self._is_stop_told:
            self._is_stop_told = True
            if not self._is_live:
                self._print("stopping after this batch")
        now_s = self._clock_s()
        if self._began[1] is None:
            self._began = self._began[0], self._done_ratio(running.n_records)
        due_s = _FRAME_EVERY_S if self._is_live else _LINE_EVERY_S
        if now_s - self._shown_s < due_s:
            return
        self._shown_s = now_s
        self._standing = self._stand(running, now_s)
        if not self._is_live:
            self._print(_line(self._standing))

    def stopping(self) -> None:
        """Say that the run ends with the batch in hand; may be called from a signal handler."""
        self._is_stopping = True

    def __enter__(self) -> "Progress":
        if self._is_live:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def _stand(self, running: Running, now_s: float) -> Standing:
        n_events = running.n_events
        self._recent.append((now_s, n_events))
        while len(self._recent) > 2 and self._recent[0][0] < now_s - _RATE_OVER_S:
            self._recent.popleft()
        then_s, n_then = self._recent[0]
        judged = running.metrics()["metrics"].get(self._figure, {})
        done_ratio = self._done_ratio(running.n_records)
        return Standing(
            n_events=n_events,
            events_per_second=(n_events - n_then) / (now_s - then_s) if now_s > then_s else None,
            figure=self._figure,
            total=judged.get("total"),
            window=judged.get("events"),
            window_samples=judged.get("samples", {}).get("events", 0),
            done_ratio=done_ratio,
            left_s=self._left_s(now_s, done_ratio),
        )

    def _left_s(self, now_s: float, done_ratio: float | None) -> float | None:
        began_s, done_before = self._began
        if done_ratio is None or done_before is None or now_s - began_s < _LEFT_AFTER_S:
            return None
        # A file's last block is read some time before its events are done: nobody knows then.
        if not done_before < done_ratio < 1:
            return None
        return (1 - done_ratio) / (done_ratio - done_before) * (now_s - began_s)

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, emoji=False, soft_wrap=True)

    def _frame(self) -> RenderableType:
        """In the thread that draws; it reads one reference, which is never half-written."""
        standing = self._standing
        ratio = standing.done_ratio
        bar = ProgressBar(total=1, completed=ratio or 0, width=_BAR_CHARS, pulse=ratio is None)
        first = Table.grid(padding=(0, 1))
        left = f"{_left_text(standing.left_s)} left" if standing.left_s is not None else ""
        first.add_row(self._name, bar, "" if ratio is None else f"{ratio:.0%} read", left)
        second = ", ".join(_facts(standing))
        if self._is_stopping:
            second = "stopping after this batch; Ctrl-C again to abort at once"
        return Group(first, Text(f"       {second}", no_wrap=True, overflow="ellipsis"))


def done_ratio(source: Sized, n_done: int, n_records: int | None) -> float | None:
    """How much of the input is done; by records where their number is known.

    A file may end before a limit.
    """
    by_records = n_done / n_records if n_records else 0.0
    if n_records or not source.total_bytes:
        return min(by_records, 1.0) if n_records else None
    return min(source.bytes_read / source.total_bytes, 1.0)


def _line(standing: Standing) -> str:
    parts = _facts(standing)
    if standing.done_ratio is not None:
        parts.append(f"{standing.done_ratio:.0%} read")
    if standing.left_s is not None:
        parts.append(f"{_left_text(standing.left_s)} left")
    return ", ".join(parts)


def _facts(standing: Standing) -> list[str]:
    parts = [f"{standing.n_events:,} events"]
    if standing.events_per_second is not None:
        parts.append(f"{standing.events_per_second:,.0f} events/s")
    if standing.total is not None:
        judged = f"{standing.figure} {standing.total:.3f}"
        if standing.window is not None:
            judged += f" (last {standing.window_samples:,}: {standing.window:.3f})"
        parts.append(judged)
    return parts


def _left_text(seconds: float) -> str:
    """A short text of a time to wait.

    Examples
    --------
    >>> [_left_text(seconds) for seconds in (0.4, 42, 80, 7500)]
    ['1s', '42s', '1m20s', '2h05m']
    """
    whole = max(round(seconds), 1)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02}m"
