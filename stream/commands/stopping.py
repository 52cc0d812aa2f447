"""What signals do to a run: the first ends it in good order, Ctrl-C after that at once."""

import os
import signal
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Protocol

# How soon a paced replay notices a signal while it waits for the next event.
_NAP_S = 0.1
_SHOW_CURSOR = "\x1b[?25h\n"


def leave_at_once(status: int, told: str = "a resume goes on from the newest checkpoint") -> None:
    """End the process in the middle of whatever it does."""
    is_terminal = os.isatty(2)
    text = f"aborted; {told}\n"
    # Not through sys.stderr: the signal may have come in the middle of a write to it.
    os.write(2, f"{_SHOW_CURSOR if is_terminal else ''}{text}".encode())
    os._exit(status)


class Stoppable(Protocol):
    """What can be asked to end soon."""

    def stop(self) -> None: ...


class StopSignals:
    """Turns SIGINT and SIGTERM into a request to stop, for the length of a `with` block.

    SIGINT after any of them ends the process: checkpoints on disk are whole at every instant.
    SIGTERM after the first changes nothing, as supervisors send it to a process and its group.

    Parameters
    ----------
    on_stop : callable
        Told of the first signal, inside the handler: it may only set what others read.
    abort : callable
        Ends the process with this exit status.
    """

    def __init__(
        self,
        on_stop: Callable[[], None] = lambda: None,
        abort: Callable[[int], Any] = leave_at_once,
    ) -> None:
        self._on_stop = on_stop
        self._abort = abort
        self._signal: int | None = None
        self._running: Stoppable | None = None
        self._previous: dict[int, Any] = {}

    @property
    def exit_status(self) -> int:
        """128 and the number of the first signal, as shells have it; 0 without a signal."""
        return 128 + self._signal if self._signal else 0

    def attach(self, running: Stoppable) -> None:
        """Whom to stop; at once where a signal came before."""
        self._running = running
        if self._signal:
            running.stop()

    def sleep(self, seconds: float) -> None:
        """Sleep, but no longer than until a signal."""
        end_s = time.monotonic() + seconds
        while not self._signal and (left_s := end_s - time.monotonic()) > 0:
            time.sleep(min(left_s, _NAP_S))

    def __enter__(self) -> "StopSignals":
        for number in (signal.SIGINT, signal.SIGTERM):
            self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        if self._signal is None:
            self._signal = number
            self._on_stop()
            if self._running:
                self._running.stop()
        elif number == signal.SIGINT:
            self._abort(128 + number)


class Operable(Stoppable, Protocol):
    """What else can be asked of a daemon, from a signal handler."""

    def reload(self) -> None: ...

    def checkpoint_soon(self) -> None: ...


class DaemonSignals:
    """SIGTERM and Ctrl-C stop a daemon, SIGHUP has it read its rules again, SIGUSR1 checkpoint."""

    def __init__(self, daemon: Operable) -> None:
        self._stop = StopSignals()
        self._stop.attach(daemon)
        self._orders = {signal.SIGHUP: daemon.reload, signal.SIGUSR1: daemon.checkpoint_soon}
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> "DaemonSignals":
        self._stop.__enter__()
        for number in self._orders:
            self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._stop.__exit__(kind, error, trace)

    def _handle(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        self._orders[signal.Signals(number)]()
