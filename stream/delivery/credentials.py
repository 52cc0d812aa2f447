"""Secrets out of files and the environment, read when they are needed and never logged."""

import base64
import hashlib
import hmac
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from stream.delivery.settings import AuthConfig, SignConfig, check_url
from stream.errors import ConfigError

_CONTROLS = re.compile(r"[\x00-\x1f\x7f]|[^\x00-\xff]")


@dataclass(frozen=True, slots=True)
class Signed:
    """Headers, and the secrets in them: to be masked in whatever is said of the request."""

    headers: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()


def read_secret(path: Path | None, variable: str | None, setting: str) -> str:
    """What a file or an environment variable holds, without the line's end.

    Raises
    ------
    ConfigError
        If it cannot be read or is empty: names the setting, and never the secret.
    """
    if path is not None:
        origin = f"{setting}_file: {path}"
        try:
            secret = path.read_text(encoding="utf-8")
        except OSError as err:
            raise ConfigError(f"{origin} cannot be read: {err.strerror}") from err
        except UnicodeDecodeError as err:
            raise ConfigError(f"{origin} is not UTF-8 at byte {err.start}") from None
    else:
        assert variable is not None, "checked when the settings were read"
        origin = f"{setting}_env: the environment variable {variable}"
        secret = os.environ.get(variable, "")
    secret = secret.strip("\r\n\t ")
    if not secret:
        raise ConfigError(f"{origin} is empty or not set; put the secret there")
    return secret


def read_url(path: Path | None, variable: str | None, setting: str) -> str:
    """An address that is a secret.

    Raises
    ------
    ConfigError
        If it cannot be read, or is no address.
    """
    url = read_secret(path, variable, setting)
    try:
        return check_url(url)
    except ValueError:
        # What is wrong with it would tell it.
        raise ConfigError(
            f"{setting}_{'file' if path is not None else 'env'}: holds no address such as "
            "https://example.org/alerts"
        ) from None


def auth_headers(auth: AuthConfig | None, setting: str) -> Signed:
    """The header that says who the sender is.

    Raises
    ------
    ConfigError
        If the secret cannot be read, or no header can hold it.

    Examples
    --------
    >>> auth_headers(None, "alerts.deliver.pager.auth").headers
    {}
    """
    if auth is None:
        return Signed()
    if auth.username is not None:
        path, variable, key = auth.password_file, auth.password_env, "password"
    elif auth.header is not None:
        path, variable, key = auth.value_file, auth.value_env, "value"
    else:
        path, variable, key = auth.bearer_file, auth.bearer_env, "bearer"
    secret = read_secret(path, variable, f"{setting}.{key}")
    if auth.username is not None:
        pair = base64.b64encode(f"{auth.username}:{secret}".encode()).decode()
        return Signed({"Authorization": f"Basic {pair}"}, (secret, pair))
    if _CONTROLS.search(secret):
        raise ConfigError(f"{setting}.{key}: holds what no header may: a line's end, or no Latin-1")
    if auth.header is not None:
        return Signed({auth.header: secret}, (secret,))
    return Signed({"Authorization": f"Bearer {secret}"}, (secret,))


def signature_headers(sign: SignConfig | None, body: bytes, setting: str) -> Signed:
    """The header with the body's signature.

    Raises
    ------
    ConfigError
        If the secret cannot be read.
    """
    if sign is None:
        return Signed()
    secret = read_secret(sign.secret_file, sign.secret_env, f"{setting}.secret")
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return Signed({sign.header: f"sha256={digest}"}, (secret,))
