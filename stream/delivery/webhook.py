"""A webhook: each transition is posted as a JSON object of its own."""

from collections.abc import Sequence

import msgspec

from stream.delivery.credentials import auth_headers, read_url, signature_headers
from stream.delivery.delivery_queue import Bounds
from stream.delivery.posting import Request
from stream.delivery.settings import WebhookConfig
from stream.delivery.times import iso_time
from stream.delivery.transitions import Transition, Wanted


class Webhook:
    """What is sent to a webhook.

    The body is the same each time a transition is sent, and so is its id: receivers that have seen
    an `Idempotency-Key` before may answer 200 and do nothing.

    Parameters
    ----------
    config : WebhookConfig
        Where to, and how.

    Examples
    --------
    >>> webhook = Webhook(WebhookConfig(kind="webhook", url="http://localhost:9/alerts"))
    >>> told = Transition("7c", "alert:low", "firing", "page", "it is low", {}, {}, {}, 5, 5)
    >>> request = webhook.request(told, now_ms=9)
    >>> request.headers["Idempotency-Key"], msgspec.json.decode(request.body)["text"]
    ('7c', 'it is low')
    """

    resend_interval_s: float | None = None

    def __init__(self, config: WebhookConfig) -> None:
        self.config = config
        self.title = config.title
        self.setting = f"alerts.deliver.{config.title}"
        self.wants = Wanted(config.states, config.severities)
        self.bounds = Bounds(config.queue_bytes)

    @property
    def file_stem(self) -> str:
        """The name of its queue's file."""
        return self.title

    def request(self, told: Transition, now_ms: int) -> Request:  # noqa: ARG002 - when it is sent says nothing
        """What tells a transition.

        Raises
        ------
        ConfigError
            If a secret cannot be read.
        """
        config = self.config
        body = msgspec.json.encode(_content(told), enc_hook=str)
        auth = auth_headers(config.auth, f"{self.setting}.auth")
        signature = signature_headers(config.sign, body, f"{self.setting}.sign")
        url = self.url()
        return Request(
            url=url,
            headers={
                **config.headers,
                "Content-Type": "application/json",
                "User-Agent": "freshrank",
                "Idempotency-Key": told.id,
                **auth.headers,
                **signature.headers,
            },
            body=body,
            secrets=(*auth.secrets, *signature.secrets, *(() if config.url else (url,))),
            tls=config.tls,
        )

    def reminder(self, standing: Sequence[Transition], now_ms: int) -> Request | None:  # noqa: ARG002 - a contract
        """Nothing: who was told once knows it."""
        return None

    def check_secrets(self) -> None:
        """Read every secret.

        Raises
        ------
        ConfigError
            If one cannot be read.
        """
        self.url()
        auth_headers(self.config.auth, f"{self.setting}.auth")
        signature_headers(self.config.sign, b"", f"{self.setting}.sign")

    def url(self) -> str:
        """Where to.

        Raises
        ------
        ConfigError
            If it is a secret that cannot be read.
        """
        config = self.config
        return config.url or read_url(config.url_file, config.url_env, f"{self.setting}.url")


def _content(told: Transition) -> dict[str, object]:
    return {
        "version": 1,
        "id": told.id,
        "alert": told.key,
        "state": told.state,
        "severity": told.severity,
        "text": told.text,
        "labels": told.labels,
        "annotations": told.annotations,
        "told_at": iso_time(told.told_ms),
        "since": iso_time(told.since_ms),
        "record": told.record,
    }
