"""How a Kafka cluster is reached: addresses, encryption and credentials.

What kafka-python 3.0.12 was seen to do, and what the modules beside this one are built on:

- Every failure to connect ends in the same `KafkaTimeoutError: Unable to bootstrap`, after
  `bootstrap_timeout_ms`: a broker that is absent, a wrong password, a name that nobody knows. The
  cause is only logged, and the broker's "invalid credentials" mostly gets lost: it arrives together
  with the end of the connection, and then the bytes are dropped. So `find_fault` asks the brokers
  itself, step by step, and `connect` does so first.
- A constructor that fails leaves its thread and three to seven file handles behind; `opened` gives
  them back.
- A consumer tells nobody that its broker died, hangs or no longer lets it in: `poll` returns
  nothing, for ever, and so it does for a topic that is missing or may not be described. It goes on
  by itself when the broker is back. Calls that ask for offsets raise after `request_timeout_ms`.
  Whoever polls nothing for long asks `find_fault`.
- An idempotent producer is dead once a message expired (`delivery_timeout_ms`): nothing is sent
  any more, though the broker is back, and `flush` waits for ever. It is to be closed and made anew.
  What expired may have arrived nevertheless. Within the time it survives a silent broker.
- A revoked password is noticed at the next connection, not before.
- At DEBUG it logs passwords, in its settings and as bytes on the wire.
"""

import logging
import os
import re
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from stream.errors import KafkaError
from stream.kafka.cluster.errors_explained import explain, is_temporary

__all__ = [
    "SOURCE_CONNECTION",
    "ConnectionConfig",
    "SaslConfig",
    "TlsConfig",
    "client_settings",
    "explain",
    "is_temporary",
    "private_key_password",
    "sasl_settings",
]

SOURCE_CONNECTION = "source.kafka.connection"
"""Where a connection is configured, unless told otherwise."""

Security = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]

_ADDRESS = re.compile(r"(?P<host>\[[0-9a-fA-F:.%\w]+\]|[^\s:/\[\],]+):(?P<port>\d{1,5})")


class TlsConfig(BaseModel):
    """Encryption, and the certificate by which this client is known.

    Files are read at every connection: certificates may be renewed while the daemon runs.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    ca_file: Path | None = None
    """Certificates (PEM) of the authorities that are trusted. Unset: those of the system."""
    cert_file: Path | None = None
    """This client's certificate (PEM), where the cluster asks for one."""
    key_file: Path | None = None
    """The private key of `cert_file`. Unset: it is in the same file."""
    key_password_file: Path | None = None
    """A file that holds the password of the private key."""
    key_password_env: str | None = None
    """An environment variable that holds the password of the private key."""
    check_hostname: bool = True
    """Whether the broker's certificate must name the address it is reached by."""

    @model_validator(mode="before")
    @classmethod
    def _no_secret_stands_here(cls, values: Any) -> Any:
        return _without_secret(values, "key_password")

    @model_validator(mode="after")
    def _parts_belong_together(self) -> "TlsConfig":
        if self.key_password_file and self.key_password_env:
            raise ValueError("key_password_file and key_password_env are both given; keep one")
        if self.key_file and not self.cert_file:
            raise ValueError("key_file needs cert_file, the certificate it belongs to")
        if (self.key_password_file or self.key_password_env) and not self.cert_file:
            raise ValueError("a password for a key needs cert_file and key_file")
        return self


class SaslConfig(BaseModel):
    """Who this client is. Secrets are in a file or in the environment, never in the settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mechanism: Mechanism
    username: str | None = None
    password_file: Path | None = None
    password_env: str | None = None
    """An environment variable that holds the password."""
    token_file: Path | None = None
    """For OAUTHBEARER: a file that holds the token, read at every connection."""
    token_env: str | None = None

    @field_validator("mechanism", mode="before")
    @classmethod
    def _written_large(cls, value: Any) -> Any:
        return value.upper() if isinstance(value, str) else value

    @model_validator(mode="before")
    @classmethod
    def _no_secret_stands_here(cls, values: Any) -> Any:
        return _without_secret(_without_secret(values, "password"), "token")

    @model_validator(mode="after")
    def _has_what_the_mechanism_needs(self) -> "SaslConfig":
        passwords = [key for key in ("password_file", "password_env") if getattr(self, key)]
        tokens = [key for key in ("token_file", "token_env") if getattr(self, key)]
        if self.mechanism == "OAUTHBEARER":
            wanted, foreign, kind = tokens, passwords, "token"
        else:
            wanted, foreign, kind = passwords, tokens, "password"
            if not self.username:
                raise ValueError(f"mechanism {self.mechanism} needs a username")
        if len(wanted) != 1:
            raise ValueError(
                f"mechanism {self.mechanism} needs {kind}_file or {kind}_env, one of the two"
            )
        if foreign:
            raise ValueError(f"{foreign[0]} is of no use with mechanism {self.mechanism}")
        return self


class ConnectionConfig(BaseModel):
    """How a Kafka cluster is reached.

    Examples
    --------
    >>> ConnectionConfig(bootstrap="kafka-1:9092, [::1]:9092").bootstrap
    ('kafka-1:9092', '[::1]:9092')
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    bootstrap: tuple[str, ...]
    """Addresses (`host:port`) of some brokers, as a list or separated by commas; they know the
    others."""
    client_id: str = Field(default="freshrank", min_length=1, max_length=200)
    """The name under which the brokers' logs and quotas know this client."""
    security: Security = "PLAINTEXT"
    """What the brokers call `security.protocol`."""
    tls: TlsConfig = Field(default_factory=TlsConfig)
    sasl: SaslConfig | None = None

    @field_validator("bootstrap", mode="before")
    @classmethod
    def _addresses(cls, value: Any) -> Any:
        parts = value.split(",") if isinstance(value, str) else value
        if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
            raise ValueError("expected host:port, or a list of them")
        addresses = tuple(part.strip() for part in parts if part.strip())
        if not addresses:
            raise ValueError("expected the address of at least one broker, such as localhost:9092")
        for address in addresses:
            _check_address(address)
        return addresses

    @field_validator("security", mode="before")
    @classmethod
    def _written_large(cls, value: Any) -> Any:
        return value.upper() if isinstance(value, str) else value

    @model_validator(mode="after")
    def _security_fits(self) -> "ConnectionConfig":
        if self.uses_sasl and self.sasl is None:
            raise ValueError(
                f"security {self.security} needs the group sasl: mechanism, username, password_file"
            )
        if self.sasl is not None and not self.uses_sasl:
            raise ValueError(
                f"sasl is given, but security is {self.security}: nobody would be told the "
                "username; set security: SASL_SSL, or SASL_PLAINTEXT where nothing is encrypted"
            )
        if self.tls != TlsConfig() and not self.uses_tls:
            raise ValueError(
                f"tls is given, but security is {self.security}: nothing would be encrypted; "
                f"set security: {'SASL_SSL' if self.uses_sasl else 'SSL'}"
            )
        return self

    @property
    def uses_tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.security in ("SSL", "SASL_SSL")

    @property
    def uses_sasl(self) -> bool:
        """Whether the client says who it is."""
        return self.security in ("SASL_PLAINTEXT", "SASL_SSL")


def client_settings(config: ConnectionConfig, setting: str = SOURCE_CONNECTION) -> dict[str, Any]:
    """What `KafkaConsumer`, `KafkaProducer` and `KafkaAdminClient` are all made with.

    Parameters
    ----------
    config : ConnectionConfig
        How the cluster is reached.
    setting : str
        Where it is configured, for the message of an error.

    Raises
    ------
    KafkaError
        If a password cannot be read.

    Examples
    --------
    >>> settings = client_settings(ConnectionConfig(bootstrap="localhost:9092"))
    >>> settings["bootstrap_servers"], settings["security_protocol"]
    (['localhost:9092'], 'PLAINTEXT')
    """
    settings: dict[str, Any] = {
        "bootstrap_servers": list(config.bootstrap),
        "client_id": config.client_id,
        "security_protocol": config.security,
        # A broker that is there answers in a second; the default, 30 s, hides that it is not.
        "bootstrap_timeout_ms": 8_000,
        # A silent broker is given up and asked again over a new connection after this time.
        "request_timeout_ms": 15_000,
        # With the default a client may come back 30 s later than its broker.
        "reconnect_backoff_max_ms": 1_000,
    }
    if config.uses_tls:
        settings |= _tls_settings(config.tls, f"{setting}.tls")
    if config.sasl is not None:
        settings |= sasl_settings(config.sasl, f"{setting}.sasl")
    return settings


def _tls_settings(tls: TlsConfig, setting: str) -> dict[str, Any]:
    key_file = tls.key_file or tls.cert_file
    return {
        "ssl_check_hostname": tls.check_hostname,
        "ssl_cafile": str(tls.ca_file) if tls.ca_file else None,
        "ssl_certfile": str(tls.cert_file) if tls.cert_file else None,
        "ssl_keyfile": str(key_file) if key_file else None,
        # A function: without one, OpenSSL would ask the terminal for a password and wait.
        "ssl_password": lambda: private_key_password(tls, setting),
    }


def private_key_password(tls: TlsConfig, setting: str) -> str:
    """The password of the private key; asked for only if the key is encrypted.

    Raises
    ------
    KafkaError
        If none is given, or it cannot be read.
    """
    if tls.key_password_file is None and tls.key_password_env is None:
        raise KafkaError(
            f"{setting}.key_file: {tls.key_file or tls.cert_file} is encrypted; name a file with "
            "its password as key_password_file, or an environment variable as key_password_env"
        )
    return _secret(tls.key_password_file, tls.key_password_env, f"{setting}.key_password")


def sasl_settings(sasl: SaslConfig, setting: str) -> dict[str, Any]:
    """What kafka-python needs to say who this client is.

    Raises
    ------
    KafkaError
        If the password or token cannot be read.
    """
    _keep_secrets_out_of_logs()
    if sasl.mechanism == "OAUTHBEARER":
        # Here, so that settings can be read without loading kafka-python.
        from kafka.net.sasl.oauth import AbstractTokenProvider  # noqa: PLC0415

        # kafka-python asks for its own class; a file needs nothing of it.
        AbstractTokenProvider.register(_Token)
        token = _Token(sasl, f"{setting}.token")
        token.token()
        return {"sasl_mechanism": sasl.mechanism, "sasl_oauth_token_provider": token}
    return {
        "sasl_mechanism": sasl.mechanism,
        "sasl_plain_username": sasl.username,
        "sasl_plain_password": _secret(
            sasl.password_file, sasl.password_env, f"{setting}.password"
        ),
    }


class _Token:
    """An OAuth token that somebody else renews: read anew at every connection."""

    def __init__(self, sasl: SaslConfig, setting: str) -> None:
        self._sasl = sasl
        self._setting = setting

    def token(self) -> str:
        return _secret(self._sasl.token_file, self._sasl.token_env, self._setting)

    def extensions(self) -> dict[str, str]:
        return {}


def _secret(path: Path | None, variable: str | None, setting: str) -> str:
    """What a file or an environment variable holds, without the line's end."""
    if path is not None:
        try:
            secret = path.read_text(encoding="utf-8")
        except OSError as err:
            raise KafkaError(f"{setting}_file: {path} cannot be read: {err.strerror}") from err
        except UnicodeDecodeError as err:
            raise KafkaError(f"{setting}_file: {path} is not UTF-8 at byte {err.start}") from None
        origin = f"{setting}_file: {path}"
    else:
        assert variable is not None, "checked when the settings were read"
        secret = os.environ.get(variable, "")
        origin = f"{setting}_env: the environment variable {variable}"
    secret = secret.rstrip("\r\n")
    if not secret:
        raise KafkaError(f"{origin} is empty or not set; put the secret there")
    return secret


def _keep_secrets_out_of_logs() -> None:
    """Whatever is logged elsewhere: kafka-python's lines at DEBUG hold passwords."""
    log = logging.getLogger("kafka")
    if log.getEffectiveLevel() < logging.INFO:
        log.setLevel(logging.INFO)


def _without_secret(values: Any, key: str) -> Any:
    if isinstance(values, dict) and key in values:
        raise ValueError(
            f"a {key} does not belong into settings, which are shown, copied and shared; put it "
            f"into a file and name that as {key}_file, or an environment variable as {key}_env"
        )
    return values


def _check_address(address: str) -> None:
    match = _ADDRESS.fullmatch(address)
    if match is None:
        if "://" in address:
            advice = f"write it without {address.partition('://')[0]}://"
        elif address.count(":") > 1 and not address.startswith("["):
            advice = "write an IPv6 address in brackets: [::1]:9092"
        elif ":" not in address or address.endswith("]"):
            advice = f"the port is missing; write {address}:9092 if it is Kafka's usual one"
        else:
            advice = "write it as host:port, such as localhost:9092"
        raise ValueError(f"{address} is no address of a broker: {advice}")
    if not 0 < int(match["port"]) < 65_536:
        raise ValueError(f"{address}: a port is a number from 1 to 65535, got {match['port']}")
