"""A headless Chromium, driven through its DevTools protocol over a pipe: no port, no driver."""

import base64
import contextlib
import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_DEADLINE_S = 60.0
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
# The browser reads commands from descriptor 3 and writes to 4.
_LAUNCH = (
    "import os, sys; r, w = int(sys.argv[1]), int(sys.argv[2]); "
    "os.dup2(r, 3); os.dup2(w, 4); os.execvp(sys.argv[3], sys.argv[3:])"
)


def find_chromium() -> str | None:
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@contextlib.contextmanager
def chromium(program: str) -> Iterator["Browser"]:
    """A browser of its own profile, ended with the block."""
    to_read, writing = os.pipe()
    reading, to_write = os.pipe()
    # Clear of 3 and 4, which they become in the child.
    given = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, 10) for descriptor in (to_read, to_write)]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [
                *(sys.executable, "-c", _LAUNCH, *map(str, given), program, *_FLAGS),
                *(f"--user-data-dir={profile}", "about:blank"),
            ],
            pass_fds=given,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for descriptor in (*given, to_read, to_write):
            os.close(descriptor)
        try:
            yield Browser(reading, writing)
        finally:
            os.close(writing)
            os.close(reading)
            process.terminate()
            process.wait(timeout=30)


class Browser:
    """One page, and everything that it complained of or asked for.

    `problems` holds errors and warnings of the console, exceptions and refused or failed
    requests; `requests` every address that was asked for.
    """

    def __init__(self, reading: int, writing: int) -> None:
        self._reading, self._writing = reading, writing
        self._buffer = b""
        self._n_sent = 0
        self._session: str | None = None
        self._is_loaded = False
        self.problems: list[str] = []
        self.requests: list[str] = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        attached = self.send("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def open(self, path: Path, width: int = 1280, height: int = 900, is_dark: bool = False) -> None:
        """Load a file in a window of this size and wait until it is there."""
        self.resize(width, height)
        self.set_scheme(is_dark)
        self.problems.clear()
        self.requests.clear()
        self._is_loaded = False
        self.send("Page.navigate", url=path.resolve().as_uri())
        deadline = time.monotonic() + _DEADLINE_S
        while not self._is_loaded:
            self._take(self._next(deadline))
        self.settle()

    def resize(self, width: int, height: int) -> None:
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )

    def set_scheme(self, is_dark: bool) -> None:
        feature = {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[feature])

    def settle(self) -> None:
        """Wait until the page has drawn what it was about to draw."""
        frame = "new Promise(done => setTimeout(() => requestAnimationFrame(() => done(1)), 250))"
        self.evaluate(frame)

    def evaluate(self, expression: str) -> Any:
        """A JavaScript expression's value; a promise is waited for."""
        found = self.send(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in found:
            raise AssertionError(f"{expression}: {found['exceptionDetails']}")
        return found["result"].get("value")

    def screenshot(self, path: Path) -> None:
        """The whole page, however long it is."""
        shot = self.send("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def pdf(self) -> bytes:
        """The page as it is printed."""
        return base64.b64decode(self.send("Page.printToPDF", printBackground=True)["data"])

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """Order something and wait for the answer."""
        self._n_sent += 1
        order: dict[str, Any] = {"id": self._n_sent, "method": method, "params": params}
        if self._session is not None:
            order["sessionId"] = self._session
        data = json.dumps(order).encode() + b"\0"
        while data:
            data = data[os.write(self._writing, data) :]
        deadline = time.monotonic() + _DEADLINE_S
        while True:
            message = self._next(deadline)
            if message.get("id") == self._n_sent:
                assert "error" not in message, f"{method}: {message['error']}"
                result: dict[str, Any] = message["result"]
                return result
            self._take(message)

    def _next(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            left_s = deadline - time.monotonic()
            ready = select.select([self._reading], [], [], max(left_s, 0.0))[0]
            assert ready, f"chromium did not answer within {_DEADLINE_S:.0f} s"
            chunk = os.read(self._reading, 1 << 20)
            assert chunk, "chromium has ended"
            self._buffer += chunk
        raw, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(raw)
        return message

    def _take(self, message: dict[str, Any]) -> None:
        params = message.get("params", {})
        match message.get("method"):
            case "Page.loadEventFired":
                self._is_loaded = True
            case "Runtime.consoleAPICalled" if params["type"] in ("error", "warning", "assert"):
                self.problems.append(f"console: {json.dumps(params['args'])[:500]}")
            case "Runtime.exceptionThrown":
                self.problems.append(f"exception: {json.dumps(params)[:500]}")
            case "Log.entryAdded" if params["entry"]["level"] in ("error", "warning"):
                self.problems.append(f"log: {params['entry']['text'][:500]}")
            case "Network.loadingFailed":
                self.problems.append(f"request failed: {json.dumps(params)[:500]}")
            case "Network.requestWillBeSent":
                self.requests.append(params["request"]["url"])
