"""Who is told of alerts and incidents over HTTP, and how: `alerts.deliver`."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from stream.durations import DurationMs

Severity = Literal["page", "warning", "info"]
State = Literal["pending", "firing", "resolved", "inactive"]

_NAME = re.compile(r"[a-z0-9_-]{1,60}")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_LABEL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PRINTABLE = re.compile(r"[\x20-\x7e]*")

# What an alert is known by must not depend on who is told.
_OWN_LABELS = ("alertname", "severity")
_OWN_HEADERS = (
    "connection",
    "content-length",
    "content-type",
    "host",
    "idempotency-key",
    "transfer-encoding",
)
_TELLING = re.compile(
    r"auth|cookie|passw|secret|token|api[-_]?key|credential|signature", re.IGNORECASE
)


class AuthConfig(BaseModel):
    """Who the sender is: a bearer token, a user with a password, or the value of a header.

    The secret is in a file or an environment variable, read before each request, so that it may
    be renewed while the daemon runs.

    Attributes
    ----------
    bearer_file, bearer_env : path, str
        A token: `Authorization: Bearer ...`.
    username : str
        With `password_file` or `password_env`: `Authorization: Basic ...`.
    header : str
        With `value_file` or `value_env`: a header of this name, such as `X-Api-Key`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    bearer_file: Path | None = None
    bearer_env: str | None = None
    username: str | None = None
    password_file: Path | None = None
    password_env: str | None = None
    header: str | None = None
    value_file: Path | None = None
    value_env: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _secrets_are_elsewhere(cls, values: Any) -> Any:
        return _without_secrets(values, ("bearer", "password", "value"))

    @model_validator(mode="after")
    def _is_one_of_three(self) -> "AuthConfig":
        given = [
            kind
            for kind in ("bearer", "password", "value")
            if getattr(self, f"{kind}_file") is not None or getattr(self, f"{kind}_env") is not None
        ]
        if len(given) != 1:
            raise ValueError(
                "expected one of bearer_env, password_env (with username) and value_env (with "
                f"header), or the same with _file, got {' and '.join(given) or 'none'}"
            )
        (kind,) = given
        if getattr(self, f"{kind}_file") is not None and getattr(self, f"{kind}_env") is not None:
            raise ValueError(f"expected {kind}_file or {kind}_env, one of the two")
        if (self.username is not None) != (kind == "password"):
            raise ValueError("username and password_env (or password_file) belong together")
        if (self.header is not None) != (kind == "value"):
            raise ValueError("header and value_env (or value_file) belong together")
        if self.username is not None and ":" in self.username:
            raise ValueError("a username with a colon cannot be sent; choose another")
        if self.header is not None:
            _check_header(self.header, "")
        return self


class SignConfig(BaseModel):
    """A signature of the body, by which the receiver knows that it came from here.

    The header holds `sha256=` and the HMAC-SHA-256 of the body's bytes, in hexadecimal digits.

    Attributes
    ----------
    secret_file, secret_env : path, str
        Where the secret is that both sides know.
    header : str
        The name of the header.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    secret_file: Path | None = None
    secret_env: str | None = None
    header: str = "X-Freshrank-Signature"

    @model_validator(mode="before")
    @classmethod
    def _secrets_are_elsewhere(cls, values: Any) -> Any:
        return _without_secrets(values, ("secret",))

    @model_validator(mode="after")
    def _has_a_secret(self) -> "SignConfig":
        if (self.secret_file is None) == (self.secret_env is None):
            raise ValueError("expected secret_file or secret_env, one of the two")
        _check_header(self.header, "")
        return self


class HttpsConfig(BaseModel):
    """What an https connection trusts, and the certificate by which the sender is known.

    The system's authorities are trusted unless there is a `ca_file`. Files are read at every
    request: they may be renewed while the daemon runs.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None

    @model_validator(mode="after")
    def _a_key_has_its_certificate(self) -> "HttpsConfig":
        if self.key_file is not None and self.cert_file is None:
            raise ValueError("key_file needs cert_file, the certificate of that key")
        return self


class DestinationConfig(BaseModel):
    """What all destinations have in common.

    Attributes
    ----------
    name : str
        Names the destination in the log, in `/status` and in the run's folder; its kind unless
        told.
    headers : mapping
        Further headers. What is secret goes into `auth`.
    auth : AuthConfig, optional
        Who the sender is.
    tls : HttpsConfig
        For https alone.
    severities : tuple of str
        What is told: all unless told otherwise.
    timeout : duration
        For one request, from the connection to the last byte of the answer.
    retry_at_most : duration
        Between two tries. The first wait is a second, each further one twice as long.
    queue_bytes : int
        Of what waits on disk. When it is full, alerts that came and went are dropped, the oldest
        first.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = ""
    headers: dict[str, str] = {}
    auth: AuthConfig | None = None
    tls: HttpsConfig = HttpsConfig()
    severities: Annotated[tuple[Severity, ...], Field(min_length=1)] = ("page", "warning", "info")
    timeout: Annotated[DurationMs, Field(ge=100, le=300_000)] = 10_000
    retry_at_most: Annotated[DurationMs, Field(ge=100, le=3_600_000)] = 60_000
    queue_bytes: Annotated[int, Field(ge=1 << 16, le=1 << 30)] = 8 << 20

    @field_validator("name")
    @classmethod
    def _is_a_name(cls, name: str) -> str:
        if name and not _NAME.fullmatch(name):
            raise ValueError("expected 1 to 60 of a-z, 0-9, _ and -, such as pager")
        return name

    @field_validator("headers")
    @classmethod
    def _headers_can_be_sent(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            _check_header(name, value)
            if _TELLING.search(name):
                raise ValueError(
                    f"{name} looks like a credential, and settings are shown, copied and shared; "
                    f"write auth: {{header: {name}, value_env: SOME_VARIABLE}}"
                )
        return headers


class WebhookConfig(DestinationConfig):
    """Posts each transition as a JSON object of its own.

    Attributes
    ----------
    url, url_env, url_file : str, str, path
        Where to. An address that is a secret itself, as those of chats are, comes from the
        environment or a file.
    states : tuple of str
        What is told: firing and resolved unless told otherwise.
    sign : SignConfig, optional
        How the body is signed.
    """

    kind: Literal["webhook"]
    url: str | None = None
    url_env: str | None = None
    url_file: Path | None = None
    states: Annotated[tuple[State, ...], Field(min_length=1)] = ("firing", "resolved")
    sign: SignConfig | None = None

    @field_validator("url")
    @classmethod
    def _is_a_url(cls, url: str | None) -> str | None:
        return None if url is None else check_url(url)

    @model_validator(mode="after")
    def _has_one_url(self) -> "WebhookConfig":
        if sum(given is not None for given in (self.url, self.url_env, self.url_file)) != 1:
            raise ValueError("expected one of url, url_env and url_file")
        return self

    @property
    def title(self) -> str:
        """What it is called."""
        return self.name or self.kind


def _as_list(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


class AlertmanagerConfig(DestinationConfig):
    """Posts to Alertmanager's API v2.

    Attributes
    ----------
    url : tuple of str
        Each instance of a cluster; a single one as it is. All of them are told, as Alertmanager
        asks of its clients: instances sort out themselves who sends the notification.
    labels : mapping
        Added to the labels of every alert.
    generator_url : str, optional
        Where a person is led from the alert, such as a dashboard.
    resend_interval : duration
        How often alerts that fire are told again. They would resolve by themselves after four
        times as long.
    """

    kind: Literal["alertmanager"]
    url: Annotated[tuple[str, ...], BeforeValidator(_as_list), Field(min_length=1)]
    labels: dict[str, str] = {}
    generator_url: str | None = None
    resend_interval: Annotated[DurationMs, Field(ge=100, le=3_600_000)] = 60_000

    @field_validator("url")
    @classmethod
    def _are_urls(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        places = [place_of(check_url(url)) for url in urls]
        for place in places:
            if places.count(place) > 1:
                raise ValueError(f"{place} is named more than once")
        for url in urls:
            if "/api/" in url or "?" in url:
                raise ValueError(
                    f"expected the address of Alertmanager alone, such as http://localhost:9093, "
                    f"got {url}"
                )
        return urls

    @field_validator("generator_url")
    @classmethod
    def _leads_somewhere(cls, url: str | None) -> str | None:
        return None if url is None else check_url(url)

    @field_validator("labels")
    @classmethod
    def _labels_can_be_told(cls, labels: dict[str, str]) -> dict[str, str]:
        for name in labels:
            if not _LABEL_NAME.fullmatch(name) or name in _OWN_LABELS:
                raise ValueError(
                    f"expected labels of letters, digits and _ other than "
                    f"{' and '.join(_OWN_LABELS)}, got {name!r}"
                )
        return labels

    @property
    def title(self) -> str:
        """What it is called; each instance adds its address."""
        return self.name or self.kind


Delivery = Annotated[WebhookConfig | AlertmanagerConfig, Field(discriminator="kind")]


def check_titles(destinations: tuple[WebhookConfig | AlertmanagerConfig, ...]) -> None:
    """Refuse two destinations of one name.

    Raises
    ------
    ValueError
        If there are any.
    """
    titles = [one.title for one in destinations]
    for title in titles:
        if titles.count(title) > 1:
            raise ValueError(
                f"deliver: two destinations are called {title!r}; give each a name of its own, "
                f"such as name: {title}_2"
            )


def check_url(url: str) -> str:
    """The address, if requests can be sent there and it holds no secret.

    Raises
    ------
    ValueError
        If not.

    Examples
    --------
    >>> check_url("http://localhost:9093")
    'http://localhost:9093'
    """
    example = "expected an address such as https://example.org/alerts"
    if not _PRINTABLE.fullmatch(url) or " " in url:
        raise ValueError(f"{example}, got one with blanks or letters that no URL has")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as err:
        raise ValueError(f"{example}, got one that cannot be read: {err}") from None
    if parts.username is not None or parts.password is not None:
        raise ValueError(
            "credentials do not belong into an address, got one with some; write them as auth"
        )
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise ValueError(f"{example}, got {url}")
    if _TELLING.search(parts.query):
        raise ValueError(
            "got an address with a credential in it, and settings are shown, copied and shared; "
            "put the address into an environment variable and name that as url_env, or write auth"
        )
    return url


def place_of(url: str) -> str:
    """An address as a part of a file's name.

    Examples
    --------
    >>> place_of("http://am-1:9093/prefix/")
    'am-1_9093_prefix'
    """
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    text = f"{parts.hostname}_{port}{parts.path.rstrip('/')}"
    return re.sub(r"[^A-Za-z0-9.-]+", "_", text)[:120]


def _check_header(name: str, value: str) -> None:
    if not _HEADER_NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a header")
    if name.lower() in _OWN_HEADERS:
        raise ValueError(f"the header {name} is set by freshrank itself; leave it out")
    if not _PRINTABLE.fullmatch(value):
        raise ValueError(f"the value of {name} holds what no header may")


def _without_secrets(values: Any, keys: tuple[str, ...]) -> Any:
    for key in keys:
        if isinstance(values, dict) and key in values:
            raise ValueError(
                f"a {key} does not belong into settings, which are shown, copied and shared; put "
                f"it into a file and name that as {key}_file, or an environment variable as "
                f"{key}_env"
            )
    return values
