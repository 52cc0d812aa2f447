"""Whether the loop still comes round: it beats, and somebody listens."""

import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable

from stream.durations import format_duration_ms, lasted_text
from stream.live.settings import WatchConfig
from stream.notices import Incident

LOGGER = logging.getLogger("freshrank.watch")

# The innermost frames: where it hangs, and how it came there.
_STACK_FRAMES = 60


class Heartbeat:
    """Listens to the loop, and reports when it has fallen silent and when it beats again.

    `beat` costs next to nothing and belongs to the loop; `step` is called now and then by another
    thread; whoever wants to know `is_stuck` may ask from anywhere, and gets an answer that does
    not depend on that thread. The loop has its full time from the start to its first beat.

    Time in which `step` was not called either does not count: the whole process was suspended
    then, and the loop is no more stuck than the one who would report it.

    Parameters
    ----------
    config : WatchConfig
        `stuck_after` is how long the loop may take from one beat to the next, `every` about how
        often `step` is called.
    report : callable
        Takes the incidents.
    clock_s : callable
        A clock that nobody sets, in seconds.
    thread : Thread, optional
        The one that runs the loop; the main thread unless told.

    Examples
    --------
    >>> now_s = [0.0]
    >>> heart = Heartbeat(WatchConfig(stuck_after=10_000), print, clock_s=lambda: now_s[0])
    >>> heart.beat()
    >>> now_s[0] = 4.0
    >>> heart.step()
    >>> heart.is_stuck
    False
    """

    def __init__(
        self,
        config: WatchConfig,
        report: Callable[[Incident], None],
        clock_s: Callable[[], float] = time.monotonic,
        thread: threading.Thread | None = None,
    ) -> None:
        self._stuck_after_ms = config.stuck_after
        # So long without a step is no delay of a thread that takes one so often.
        self._suspension_ms = max(config.stuck_after / 2, 5 * config.every)
        self._report = report
        self._clock_s = clock_s
        self._thread = thread or threading.main_thread()
        self._beat_s = self._stepped_s = clock_s()
        self._suspended_s = 0.0  # since the last beat
        self._heard_s = self._beat_s
        self._reported_beat_s: float | None = None

    def beat(self) -> None:
        """Tell that the loop has come round."""
        self._beat_s = self._clock_s()

    @property
    def is_stuck(self) -> bool:
        """Whether the loop has not come round for too long."""
        return self._beat_s == self._reported_beat_s or self.silent_s * 1000 >= self._stuck_after_ms

    @property
    def silent_s(self) -> float:
        """How long ago the last beat was, less the time that the process was suspended."""
        beat_s = self._beat_s
        suspended_s = self._suspended_s if beat_s == self._heard_s else 0.0
        return max(0.0, self._clock_s() - beat_s - suspended_s)

    def step(self) -> None:
        """Look whether it beats; report a change once."""
        self._notice_suspension()
        if self._reported_beat_s is None:
            if self.is_stuck:
                self._reported_beat_s = self._beat_s
                self._tell_stuck()
        elif self._beat_s != self._reported_beat_s:
            lasted_ms = round((self._beat_s - self._reported_beat_s) * 1000)
            self._reported_beat_s = None
            text = f"the loop comes round again, after {lasted_text(lasted_ms)}"
            self._report(Incident("stuck", "loop", text, "page", is_resolved=True))

    def _notice_suspension(self) -> None:
        now_s, beat_s = self._clock_s(), self._beat_s
        if beat_s != self._heard_s:
            self._heard_s, self._suspended_s = beat_s, 0.0
        gap_s = now_s - self._stepped_s
        self._stepped_s = now_s
        if gap_s * 1000 >= self._suspension_ms:
            self._suspended_s += min(gap_s, now_s - beat_s)

    def _tell_stuck(self) -> None:
        limit = format_duration_ms(self._stuck_after_ms)
        text = f"the loop has not come round for {limit}; the log holds its stack"
        LOGGER.error("the loop hangs here", extra={"stack": self._stack()})
        details = {"silent_ms": round(self.silent_s * 1000), "thread": self._thread.name}
        self._report(Incident("stuck", "loop", text, "page", details=details))

    def _stack(self) -> str:
        frame = sys._current_frames().get(self._thread.ident or 0)
        if frame is None:
            return "the thread is gone"
        return "".join(traceback.format_stack(frame, limit=_STACK_FRAMES))
