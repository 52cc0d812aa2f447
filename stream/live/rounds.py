"""A thread that does its rounds: it looks at a few things, every so often."""

import threading
from collections.abc import Callable, Sequence


class Rounds:
    """Calls each step in turn, over and over, in a thread of its own.

    A step that raises ends the rounds: the error is logged by `threading.excepthook`, `is_alive`
    turns false, and what the steps kept up falls away, such as the service manager's watchdog.

    Parameters
    ----------
    every_s : float
        How long it waits from the end of one round to the next.
    steps : sequence of callables
        None of them may take long.
    """

    def __init__(self, every_s: float, steps: Sequence[Callable[[], None]]) -> None:
        self._every_s = every_s
        self._steps = tuple(steps)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="freshrank-watch", daemon=True)

    def start(self) -> None:
        """Begin; the first round is at once."""
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether rounds are done."""
        return self._thread.is_alive()

    def close(self, wait_s: float = 5.0) -> None:
        """End after the round at hand; a step that hangs is not waited for longer than this."""
        self._stop.set()
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join(wait_s)

    def _run(self) -> None:
        while not self._stop.is_set():
            for step in self._steps:
                step()
            self._stop.wait(self._every_s)
