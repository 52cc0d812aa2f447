"""Answers over HTTP how the daemon is, to whoever starts, restarts and watches it.

GET /healthz    200, or 503 while the loop is stuck: restart it
GET /readyz     200, or 503 with the reasons: leave it alone, it is not there yet
GET /status     200: what it does at present, as JSON
"""

import asyncio
import logging
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import msgspec

from stream.errors import ConfigError
from stream.live.settings import ServerConfig
from stream.live.watch import Status

LOGGER = logging.getLogger("freshrank.health")

# Probes are short and few: more than this is no probe.
_MAX_CONNECTIONS = 32
_HEAD_BYTES = 16 << 10
_TOO_MANY = f"more than {_MAX_CONNECTIONS} connections"
# From the first byte to the last of a question and its answer.
_EXCHANGE_S = 5.0

_PATHS = ("/healthz", "/readyz", "/status")


@dataclass(frozen=True, slots=True)
class Answers:
    """Whom the server asks; each is called in the server's thread and must answer at once.

    Attributes
    ----------
    problem : callable
        Why the process should be restarted; None while it is well.
    reasons_to_wait : callable
        Why it is not ready; empty when it is.
    status : callable
        What it does, as plain JSON.
    """

    problem: Callable[[], str | None]
    reasons_to_wait: Callable[[], Sequence[str]]
    status: Callable[[], Mapping[str, Any]]


class HealthServer:
    """A small server in one thread of its own: however many ask, the loop is not held up.

    It listens from its construction on. Each connection is one question, of bounded size and
    time; too many at once are turned away.

    Parameters
    ----------
    config : ServerConfig
        Where it listens; its port is not None.
    answers : Answers
        What it tells.

    Raises
    ------
    ConfigError
        If the address cannot be listened on: names `server.port` or `server.host`.
    """

    def __init__(self, config: ServerConfig, answers: Answers) -> None:
        self._answers = answers
        self._socket = _listening(config)
        self._loop = asyncio.new_event_loop()
        self._closing = asyncio.Event()
        self._n_connections = 0
        self._thread = threading.Thread(target=self._run, name="freshrank-health", daemon=True)

    @property
    def address(self) -> tuple[str, int]:
        """The host and the port it listens on."""
        host, port = self._socket.getsockname()[:2]
        return host, port

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()
        LOGGER.info("answering on http://%s:%d", *self.address)

    def close(self) -> None:
        """Let go of the port; who is being answered is cut off."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._closing.set)
            self._thread.join(_EXCHANGE_S)
        if not self._thread.is_alive():
            self._socket.close()
            self._loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._handle, sock=self._socket, limit=_HEAD_BYTES)
        await self._closing.wait()
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._n_connections += 1
        try:
            async with asyncio.timeout(_EXCHANGE_S):
                if self._n_connections <= _MAX_CONNECTIONS:
                    writer.write(self._answer(await reader.readuntil(b"\r\n\r\n")))
                else:
                    writer.write(_response(HTTPStatus.SERVICE_UNAVAILABLE, {"error": _TOO_MANY}))
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            LOGGER.debug("a connection ended without a question")
        finally:
            self._n_connections -= 1
            writer.close()

    def _answer(self, head: bytes) -> bytes:
        line = head.split(b"\r\n", 1)[0].decode("latin-1")
        method, _, rest = line.partition(" ")
        target, _, version = rest.partition(" ")
        if not version.startswith("HTTP/1."):
            return _response(HTTPStatus.BAD_REQUEST, {"error": "expected HTTP/1.1"})
        path = _path(target)
        if method not in ("GET", "HEAD"):
            error = f"expected GET or HEAD, got {method[:20]}"
            return _response(HTTPStatus.METHOD_NOT_ALLOWED, {"error": error})
        status, body = self._told(path)
        LOGGER.debug("%s %.100r: %d", method, path, status)
        return _response(status, body, has_body=method == "GET")

    def _told(self, path: str) -> tuple[HTTPStatus, Mapping[str, Any]]:
        answers = self._answers
        if path == "/healthz":
            problem = answers.problem()
            if problem is None:
                return HTTPStatus.OK, {"status": "ok"}
            return HTTPStatus.SERVICE_UNAVAILABLE, {"status": "stuck", "reason": problem}
        if path == "/readyz":
            reasons = list(answers.reasons_to_wait())
            if not reasons:
                return HTTPStatus.OK, {"status": "ready"}
            return HTTPStatus.SERVICE_UNAVAILABLE, {"status": "not ready", "reasons": reasons}
        if path == "/status":
            return HTTPStatus.OK, answers.status()
        return HTTPStatus.NOT_FOUND, {"error": "unknown path", "paths": _PATHS}


def reasons_to_wait(status: Status | None) -> list[str]:
    """Why a daemon with a source in this state is not ready; None is one that still starts.

    A backlog is no reason: who catches up with one does all that it is there for, and may do so
    for hours; the watch tells how far behind it is.
    """
    if status is None:
        return ["starting"]
    reasons = []
    if not status.is_connected:
        reasons.append(f"not connected{f': {status.problem}' if status.problem else ''}")
    elif status.problem:
        reasons.append(status.problem)
    if status.is_repeating:
        reasons.append("repeating the journal after the newest checkpoint")
    return reasons


def _listening(config: ServerConfig) -> socket.socket:
    assert config.port is not None, "no server without a port"
    try:
        family = socket.getaddrinfo(config.host, config.port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((config.host, config.port), family=family)
    except socket.gaierror as err:
        raise ConfigError(
            f"server.host: {config.host} is no address of this machine: {err.strerror}; write "
            "127.0.0.1 for this machine alone, or 0.0.0.0 for every network"
        ) from err
    except OSError as err:
        raise ConfigError(
            f"server.port: {config.host}:{config.port} cannot be listened on: "
            f"{_reason(err)}; write another port (0 for any free one), or server.port: null for "
            "no server"
        ) from err


def _reason(err: OSError) -> str:
    """What the system says; `create_server` appends the address to it, in brackets."""
    return (err.strerror or str(err)).partition(" (while")[0]


def _path(target: str) -> str:
    """The path of a request's target, with or without a host in front."""
    try:
        return urlsplit(target).path
    except ValueError:
        return ""


def _response(status: HTTPStatus, body: Mapping[str, Any], has_body: bool = True) -> bytes:
    content = msgspec.json.encode(body, enc_hook=str) + b"\n"
    lines = [
        f"HTTP/1.1 {status.value} {status.phrase}",
        "Content-Type: application/json",
        f"Content-Length: {len(content)}",
        "Cache-Control: no-store",
        "Connection: close",
    ]
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        lines.append("Allow: GET, HEAD")
    head = "\r\n".join(lines).encode() + b"\r\n\r\n"
    return head + content if has_body else head
