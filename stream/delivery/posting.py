"""One request over HTTP, and what its answer means.

Requests go straight to their address: proxies of the environment are not asked, and redirects are
not followed, as they would turn a POST into something else.
"""

import contextlib
import http.client
import socket
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from stream.delivery.settings import HttpsConfig

# Of what is answered, this much is read: Alertmanager's status holds its whole configuration.
_ANSWER_BYTES = 256 << 10
_REASON_CHARS = 300

# A receiver may ask for patience, but not for ever.
_LONGEST_WAIT_S = 600.0

Outcome = Literal["accepted", "later", "stranger", "refused"]
"""`later`: the other side cannot take it now. `stranger`: it takes nothing from us, or not there.
`refused`: it will never take this."""

_LATER = (408, 425, 429)
_STRANGER = (401, 403, 407)


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent; `secrets` must not be told of it."""

    url: str
    headers: Mapping[str, str]
    body: bytes = b""
    method: str = "POST"
    secrets: tuple[str, ...] = ()
    tls: HttpsConfig = field(default_factory=HttpsConfig)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a request: `reason` says so in words, `wait_s` is what the receiver asks for.

    `status` is None where nobody answered; `content` is the beginning of what came.
    """

    outcome: Outcome
    reason: str
    status: int | None = None
    wait_s: float = 0.0
    content: bytes = b""


class Poster:
    """Sends requests, one at a time; `abort`, from another thread, ends the one under way.

    Parameters
    ----------
    timeout_s : float
        For a request, from the connection to the last byte of the answer.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._connection: http.client.HTTPConnection | None = None

    def send(self, request: Request) -> Answer:
        """Send a request and read the answer; never raises for what the other side does."""
        try:
            connection = self._connection = _connection(request, self._timeout_s)
        except OSError as err:  # a certificate that is not there
            return Answer("later", f"tls: {err.filename or ''} {err.strerror or err}".strip())
        is_late = threading.Event()
        watch = threading.Timer(self._timeout_s, self._cut_off, [is_late])
        watch.daemon = True
        watch.start()
        try:
            parts = urlsplit(request.url)
            target = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
            connection.request(request.method, target, request.body, dict(request.headers))
            response = connection.getresponse()
            content = response.read(_ANSWER_BYTES)
            if is_late.is_set():  # what was cut off may look like an end
                return Answer("later", self._too_late())
            return _meaning(response, content, request.secrets)
        except TimeoutError:
            return Answer("later", self._too_late())
        except (OSError, http.client.HTTPException, UnicodeError) as err:
            return Answer("later", self._too_late() if is_late.is_set() else _trouble(err))
        finally:
            watch.cancel()
            connection.close()
            self._connection = None

    def abort(self) -> None:
        """End the request under way, if there is one."""
        connection = self._connection
        sock = None if connection is None else connection.sock
        if sock is not None:
            with contextlib.suppress(OSError):  # it has just ended by itself
                # Not the method of a TLS socket: that would take it from under who reads it.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def _cut_off(self, is_late: threading.Event) -> None:
        is_late.set()
        self.abort()

    def _too_late(self) -> str:
        return f"no whole answer within {self._timeout_s:g} s"


def masked(text: str, secrets: tuple[str, ...]) -> str:
    """A text without secrets, on one line, and short.

    Examples
    --------
    >>> masked("bad token: hunter2", ("hunter2",))
    'bad token: ***'
    """
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return " ".join(text.split())[:_REASON_CHARS]


def ssl_context(tls: HttpsConfig) -> ssl.SSLContext:
    """What an https connection trusts, and shows.

    Raises
    ------
    OSError
        If a file cannot be read, or is no certificate.
    """
    context = ssl.create_default_context(cafile=tls.ca_file)
    if tls.cert_file is not None:
        # A function: without one, OpenSSL would ask the terminal for a password and wait.
        context.load_cert_chain(tls.cert_file, tls.key_file, password=lambda: "")
    return context


def _connection(request: Request, timeout_s: float) -> http.client.HTTPConnection:
    parts = urlsplit(request.url)
    assert parts.hostname is not None, "checked when the settings were read"
    if parts.scheme == "https":
        return http.client.HTTPSConnection(
            parts.hostname, parts.port, timeout=timeout_s, context=ssl_context(request.tls)
        )
    return http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout_s)


def _meaning(
    response: http.client.HTTPResponse, content: bytes, secrets: tuple[str, ...]
) -> Answer:
    status = response.status
    said = masked(content.decode("utf-8", "replace"), secrets)
    reason = f"answered {status} {response.reason}".strip() + (f": {said}" if said else "")
    outcome: Outcome
    if 200 <= status < 300:
        outcome = "accepted"
    elif status in _STRANGER or 300 <= status < 400:
        outcome = "stranger"
    elif status >= 500 or status in _LATER:
        outcome = "later"
    else:
        outcome = "refused"
    if 300 <= status < 400:
        reason += "; redirects are not followed: write the address it leads to"
    wait_s = _asked_for_s(response.headers.get("Retry-After")) if outcome == "later" else 0.0
    return Answer(outcome, reason, status, wait_s, content)


def _asked_for_s(retry_after: str | None) -> float:
    """Seconds of `Retry-After`; a date is passed by, our own waits will do."""
    is_number = retry_after is not None and retry_after.strip().isdecimal()
    return min(float(retry_after or 0), _LONGEST_WAIT_S) if is_number else 0.0


def _trouble(err: Exception) -> str:
    """What went wrong before there was an answer."""
    if isinstance(err, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {err.verify_message}"
    if isinstance(err, ConnectionRefusedError):
        return "connection refused: nobody listens there"
    if isinstance(err, http.client.RemoteDisconnected):
        return "closed the connection without an answer"
    if isinstance(err, ConnectionError):
        return "broke the connection"
    if isinstance(err, OSError) and err.strerror:
        return err.strerror
    return f"{type(err).__name__}: {masked(str(err), ())}" if str(err) else type(err).__name__
