"""One instance of Alertmanager, told through its API v2 [1]_.

Alertmanager keeps no alert on disk and takes one that it no longer hears of for resolved. So an
alert that fires is told again every `resend_interval`, each time with an end that lies four
intervals ahead, as Prometheus does. What has ended is told again for a while too: an instance that
was restarted right after it heard of the end would not tell it to anybody else.

Times are those of the wall clock, at which a transition was first told: Alertmanager compares them
with its own. Event time stands in the annotations.

References
----------
.. [1] Alertmanager, api/v2/openapi.yaml, `postAlerts`.
"""

import re
from collections.abc import Sequence

import msgspec

from stream.delivery.credentials import auth_headers
from stream.delivery.delivery_queue import Bounds
from stream.delivery.posting import Request
from stream.delivery.settings import AlertmanagerConfig, place_of
from stream.delivery.times import iso_time
from stream.delivery.transitions import Transition, Wanted

# As Prometheus has it, rules/alerting.go: an end is told for 15 minutes, and lies this far ahead.
_ENDS_AFTER_INTERVALS = 4
_END_TOLD_FOR_MS = 15 * 60_000


class Alertmanager:
    """What is sent to one instance.

    Parameters
    ----------
    config : AlertmanagerConfig
        How it is told.
    url : str
        Which instance.

    Examples
    --------
    >>> url = "http://localhost:9093"
    >>> instance = Alertmanager(AlertmanagerConfig(kind="alertmanager", url=url), url)
    >>> told = Transition("7c", "alert:low", "firing", "page", "it is low", {"alertname": "low"},
    ...     {"summary": "it is low"}, {}, told_ms=5_000, since_ms=5_000)
    >>> (alert,) = msgspec.json.decode(instance.request(told, now_ms=60_000).body)
    >>> alert["labels"], alert["startsAt"], alert["endsAt"]
    ({'alertname': 'low'}, '1970-01-01T00:00:05.000Z', '1970-01-01T00:05:00.000Z')
    """

    def __init__(self, config: AlertmanagerConfig, url: str) -> None:
        self.config = config
        self._url = url.rstrip("/")
        self.title = config.title if len(config.url) == 1 else f"{config.title}@{place_of(url)}"
        self.setting = f"alerts.deliver.{config.title}"
        self.wants = Wanted(("firing", "resolved"), config.severities)
        self.bounds = Bounds(config.queue_bytes, _END_TOLD_FOR_MS)
        self.resend_interval_s: float | None = config.resend_interval / 1000

    @property
    def file_stem(self) -> str:
        """The name of its queue's file: the same if further instances are added."""
        return f"{self.config.title}@{place_of(self._url)}"

    def request(self, told: Transition, now_ms: int) -> Request:
        """What tells a transition.

        Raises
        ------
        ConfigError
            If a secret cannot be read.
        """
        return self._post([told], now_ms, {"Idempotency-Key": told.id})

    def reminder(self, standing: Sequence[Transition], now_ms: int) -> Request | None:
        """What tells again how alerts stand; None where there is nothing to tell.

        Raises
        ------
        ConfigError
            If a secret cannot be read.
        """
        return self._post(standing, now_ms, {}) if standing else None

    def check_secrets(self) -> None:
        """Read every secret.

        Raises
        ------
        ConfigError
            If one cannot be read.
        """
        auth_headers(self.config.auth, f"{self.setting}.auth")

    def status_request(self) -> Request:
        """What asks how the instance is, and changes nothing.

        Raises
        ------
        ConfigError
            If a secret cannot be read.
        """
        config = self.config
        auth = auth_headers(config.auth, f"{self.setting}.auth")
        return Request(
            url=f"{self._url}/api/v2/status",
            headers={**config.headers, "User-Agent": "freshrank", **auth.headers},
            method="GET",
            secrets=auth.secrets,
            tls=config.tls,
        )

    def _post(
        self, transitions: Sequence[Transition], now_ms: int, headers: dict[str, str]
    ) -> Request:
        config = self.config
        auth = auth_headers(config.auth, f"{self.setting}.auth")
        return Request(
            url=f"{self._url}/api/v2/alerts",
            headers={
                **config.headers,
                "Content-Type": "application/json",
                "User-Agent": "freshrank",
                **headers,
                **auth.headers,
            },
            body=msgspec.json.encode([self._alert(told, now_ms) for told in transitions]),
            secrets=auth.secrets,
            tls=config.tls,
        )

    def _alert(self, told: Transition, now_ms: int) -> dict[str, object]:
        if told.state == "firing":
            ends_ms = now_ms + round(_ENDS_AFTER_INTERVALS * self.config.resend_interval)
        else:
            ends_ms = told.told_ms
        # A clock that was set back must not end an alert before it began: that is refused.
        starts_ms = min(told.since_ms, ends_ms)
        alert: dict[str, object] = {
            "labels": self.config.labels | _texts(told.labels),
            "annotations": _texts(told.annotations) | _circumstances(told),
            "startsAt": iso_time(starts_ms),
            "endsAt": iso_time(ends_ms),
        }
        if self.config.generator_url is not None:
            alert["generatorURL"] = self.config.generator_url
        return alert


def _circumstances(told: Transition) -> dict[str, str]:
    """What a notice says beside its sentence, as far as a person wants to know it."""
    record = told.record
    found = {"freshrank_id": told.id}
    if record.get("value") is not None:
        found["value"] = f"{record['value']:.6g}"
    if isinstance(record.get("since"), int):
        found["event_time_since"] = iso_time(record["since"])
        found["event_time"] = iso_time(record["ts"])
    return found


def _texts(texts: dict[str, str]) -> dict[str, str]:
    """What Alertmanager takes: names of letters, digits and _; Unicode, and nothing empty."""
    return {
        re.sub(r"\A(?=\d)|[^A-Za-z0-9_]", "_", name): text.encode("utf-8", "replace").decode()
        for name, text in texts.items()
        if name and text
    }
