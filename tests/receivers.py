"""A receiver of alerts over HTTP, for tests: it answers as it is told, and remembers what came.

    with Receiver([500, "hang", "reset"]) as receiver:
        ...post to receiver.url...
        assert receiver.bodies() == [...]

The script is what it does with the requests to come, one after the other: a status, `(status,
headers)`, or `hang` (no answer), `reset` (the connection is reset), `drip` (an answer that never
ends). After the script it answers 200, or what a server at `forward_to` answers (502 while that is
down). `stop()` and `start()` keep the port.
"""

import contextlib
import http.client
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

Step = int | str | tuple[int, dict[str, str]]


@dataclass(frozen=True)
class Came:
    """A request; `status` is what it was answered, None if it was not."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    status: int | None

    def json(self) -> Any:
        return json.loads(self.body)


class Receiver:
    """A server in threads of its own, on 127.0.0.1."""

    def __init__(
        self, script: Sequence[Step] = (), answer: bytes = b"thanks", forward_to: str = ""
    ) -> None:
        self._forward_to = forward_to
        self.came: list[Came] = []
        self.answer = answer
        self._script = list(script)
        self._lock = threading.Lock()
        self._is_over = threading.Event()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/alerts"

    @property
    def accepted(self) -> list[Came]:
        """What it answered with 2xx, in the order it came."""
        return [one for one in self.came if one.status is not None and 200 <= one.status < 300]

    def bodies(self) -> list[Any]:
        """What was accepted, decoded."""
        return [one.json() for one in self.accepted]

    def script(self, *steps: Step) -> None:
        """What to do next."""
        with self._lock:
            self._script = list(steps)

    def start(self) -> "Receiver":
        self._is_over.clear()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                receiver._handle(self)

            do_GET = do_POST

            def log_message(self, *args: object) -> None:
                pass

        ThreadingHTTPServer.allow_reuse_address = True
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def stop(self) -> None:
        self._is_over.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def __enter__(self) -> "Receiver":
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _handle(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        with self._lock:
            step: Step = self._script.pop(0) if self._script else self._otherwise(handler, body)
            status, headers = step if isinstance(step, tuple) else (step, {})
            is_answered = isinstance(status, int)
            came = Came(
                handler.command,
                handler.path,
                dict(handler.headers.items()),
                body,
                status if is_answered else None,
            )
            self.came.append(came)
        handler.close_connection = True
        if is_answered:
            with contextlib.suppress(OSError):  # who asked may have been killed
                self._answer(handler, status, headers)
        elif status == "hang":
            self._is_over.wait(30.0)
        elif status == "drip":
            self._drip(handler)
        else:
            handler.connection.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
            handler.connection.close()

    def _answer(
        self, handler: BaseHTTPRequestHandler, status: int, headers: dict[str, str]
    ) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(self.answer)))
        handler.end_headers()
        handler.wfile.write(self.answer)

    def _otherwise(self, handler: BaseHTTPRequestHandler, body: bytes) -> int:
        """What to answer after the script."""
        if not self._forward_to:
            return 200
        kind = {"Content-Type": handler.headers.get("Content-Type", "")}
        connection = http.client.HTTPConnection(self._forward_to, timeout=5.0)
        try:
            connection.request(handler.command, handler.path, body, kind)
            return connection.getresponse().status
        except OSError:
            return 502
        finally:
            connection.close()

    def _drip(self, handler: BaseHTTPRequestHandler) -> None:
        try:
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
            while not self._is_over.wait(0.02):
                handler.wfile.write(b"x")
                handler.wfile.flush()
        except OSError:
            handler.close_connection = True


def wait_until(is_so: Callable[[], object], timeout_s: float = 20.0) -> None:
    """Return when it is so; fail if it takes longer."""
    give_up_s = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < give_up_s, "it did not come to be"
        time.sleep(0.005)
