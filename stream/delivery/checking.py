"""Whether destinations of alerts can be reached; nobody is sent an alert."""

import socket
from urllib.parse import urlsplit

import msgspec

from stream.delivery.alertmanager import Alertmanager
from stream.delivery.deliveries import DestinationsConfig, endpoints_of
from stream.delivery.posting import Poster, ssl_context
from stream.delivery.webhook import Webhook
from stream.errors import ConfigError
from stream.kafka.checking import Check

_TIMEOUT_S = 3.0


def check_destinations(destinations: DestinationsConfig) -> list[Check]:
    """Try each destination, within some seconds each.

    An Alertmanager is asked how it is. To a webhook a connection is made, encrypted where its
    address says so, and ended without a request: no receiver says what it would answer.

    Examples
    --------
    >>> check_destinations([])
    []
    """
    return [_check(endpoint) for endpoint in endpoints_of(destinations)]


def _check(endpoint: Webhook | Alertmanager) -> Check:
    subject = f"destination {endpoint.title}"
    try:
        endpoint.check_secrets()
        if isinstance(endpoint, Alertmanager):
            return _check_alertmanager(endpoint, subject)
        return _check_webhook(endpoint, subject)
    except ConfigError as err:
        return Check(subject, "failed", str(err))


def _check_alertmanager(endpoint: Alertmanager, subject: str) -> Check:
    answer = Poster(_TIMEOUT_S).send(endpoint.status_request())
    if answer.outcome != "accepted":
        return Check(subject, "failed", f"{endpoint.setting}: {answer.reason}")
    try:
        told = msgspec.json.decode(answer.content, type=_Status)
    except msgspec.MsgspecError:
        text = (
            f"{endpoint.setting}.url: something answers there, and not as Alertmanager's API v2 "
            "does; write the address of Alertmanager, with its prefix if it has one"
        )
        return Check(subject, "failed", text)
    return Check(subject, "ok", f"Alertmanager {told.versionInfo.version}")


def _check_webhook(endpoint: Webhook, subject: str) -> Check:
    parts = urlsplit(endpoint.url())
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        with socket.create_connection((parts.hostname or "", port), _TIMEOUT_S) as plain:
            if parts.scheme == "https":
                context = ssl_context(endpoint.config.tls)
                with context.wrap_socket(plain, server_hostname=parts.hostname):
                    return Check(subject, "ok", "can be reached, and is who it says it is")
    except (OSError, UnicodeError) as err:
        reason = getattr(err, "strerror", None) or str(err) or type(err).__name__
        return Check(subject, "failed", f"{endpoint.setting}.url: cannot be reached: {reason}")
    return Check(subject, "ok", "can be reached")


class _Version(msgspec.Struct):
    version: str


class _Status(msgspec.Struct):
    """As far as it is read of `GET /api/v2/status`."""

    versionInfo: _Version
