"""What a service manager is told: systemd's notify protocol [1]_, without a library.

References
----------
.. [1] sd_notify(3), sd_watchdog_enabled(3).
"""

import contextlib
import os
import socket
import time
from collections.abc import Callable, Mapping

# A manager that does not read is not waited for.
_SEND_S = 1.0

# The manager reads messages of one page.
_TEXT_CHARS = 1_000


class Supervisor:
    r"""Tells whoever started the process how it is; tells nobody where nobody asked.

    No method raises, and none waits for longer than a second: a manager that cannot be reached
    is no reason to stop.

    Parameters
    ----------
    environment : mapping
        `os.environ`, of which NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID are read.
    clock_s : callable
        A clock that nobody sets, in seconds: that of CLOCK_MONOTONIC.

    Examples
    --------
    >>> Supervisor({"NOTIFY_SOCKET": "/run/notify", "WATCHDOG_USEC": "30000000"}).watchdog_s
    30.0
    """

    def __init__(
        self, environment: Mapping[str, str], clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._address = _address(environment.get("NOTIFY_SOCKET", ""))
        self._clock_s = clock_s
        self.watchdog_s = _watchdog_s(environment) if self._address is not None else None
        self._fed_s: float | None = None

    def ready(self) -> None:
        """The start, or a reload, is over."""
        self._send("READY=1")

    def status(self, text: str) -> None:
        """What the process does at present, in a line for people."""
        self._send(f"STATUS={' '.join(text.split())[:_TEXT_CHARS]}")

    def reloading(self) -> None:
        """The configuration is read again; `ready` says when that is over."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={int(self._clock_s() * 1e6)}")

    def stopping(self) -> None:
        """The end has begun."""
        self._send("STOPPING=1")

    def feed(self) -> None:
        """Tell that all is well, if it is time to; to be called while it is, and not else.

        A watchdog is fed when a quarter of its time has passed. Called as often as that, or once
        in `watchdog_s` / 4, no two messages lie further apart than half of it, as is advised.
        """
        if self.watchdog_s is None:
            return
        now_s = self._clock_s()
        if self._fed_s is None or now_s - self._fed_s >= self.watchdog_s / 4:
            self._fed_s = now_s
            self._send("WATCHDOG=1")

    def _send(self, message: str) -> None:
        if self._address is None:
            return
        # ValueError: a path longer than an address can be, or with a null inside.
        with (
            contextlib.suppress(OSError, ValueError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender,
        ):
            sender.settimeout(_SEND_S)
            sender.connect(self._address)
            sender.send(message.encode("utf-8", "replace"))


def _address(name: str) -> str | bytes | None:
    """The address of a socket in the file system, or of an abstract one, written with an @."""
    if name.startswith("@"):
        return b"\0" + os.fsencode(name[1:])
    return name if name.startswith("/") else None


def _watchdog_s(environment: Mapping[str, str]) -> float | None:
    """How often the manager wants to hear of this process; None if not at all."""
    text = environment.get("WATCHDOG_USEC", "")
    pid = environment.get("WATCHDOG_PID", "")
    if not text.isdecimal() or int(text) == 0 or (pid and pid != str(os.getpid())):
        return None
    return int(text) / 1e6
