"""Keeping credentials out of the log.

Three nets, one behind the other: records of the Kafka client that hold its credentials never go
on; values that stand beside a telling name, such as `sasl_plain_password`, are masked; and so is
every secret that is known.
"""

import json
import logging
import re
from collections.abc import Iterable, Mapping
from typing import Any

from structlog.typing import EventDict

MASK = "***"

# Shorter ones would mask half the log; nothing but such a name of theirs gives them away.
_SHORTEST = 4

# Of a text and of nested values: more than this is no line of a log.
_MAX_CHARS = 20_000
_MAX_DEPTH = 8

_TELLING = r"\w*(?:password|passwd|passphrase|secret|token|api_?key|credentials?)"
_TELLING_KEY = re.compile(_TELLING, re.IGNORECASE)

# name=value and 'name': 'value', as in a URL and in the text of a dict. What follows a name and a
# colon alone is more often a sentence about a setting than its value.
_TELLING_PAIR = re.compile(
    rf"(?P<before>\b{_TELLING}(?:['\"]\s*:|['\"]?\s*=)\s*b?)"
    r"(?P<value>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|[^\s,;&)}\]]+)",
    re.IGNORECASE,
)

# scheme://user:password@host
_IN_URL = re.compile(r"(?P<before>\b[a-z][a-z0-9+.-]*://[^\s/:@]*:)[^\s/@]+(?=@)", re.IGNORECASE)


def bears_credentials(record: logging.LogRecord) -> bool:
    """Whether a record is about an exchange of credentials between the Kafka client and a broker.

    At debug level the client logs each request as it is, and with PLAIN and OAUTHBEARER the
    password or the token is in one of them.
    """
    if not record.name.startswith("kafka.") or record.levelno >= logging.INFO:
        return False
    values = record.args.values() if isinstance(record.args, Mapping) else record.args or ()
    return any(type(value).__name__.startswith("Sasl") for value in values)


class Redaction:
    """Masks secrets in the fields of a line.

    Parameters
    ----------
    secrets : iterable of str
        Passwords and tokens, as they are.

    Examples
    --------
    >>> redaction = Redaction(["hunter2"])
    >>> redaction.text("sent b'alice hunter2'")
    "sent b'alice ***'"
    >>> redaction.text("{'sasl_plain_password': 'other', 'client_id': 'freshrank'}")
    "{'sasl_plain_password': ***, 'client_id': 'freshrank'}"
    >>> redaction.text("through http://alice:other@proxy:3128")
    'through http://alice:***@proxy:3128'
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        written = {
            form
            for secret in secrets
            if len(secret) >= _SHORTEST
            # As it is, as in the text of a str or bytes object, and as in JSON.
            for form in (
                secret,
                repr(secret)[1:-1],
                repr(secret.encode())[2:-1],
                json.dumps(secret)[1:-1],
            )
        }
        # The longest first: one may be a part of another.
        longest_first = sorted(written, key=lambda form: (-len(form), form))
        self._known = re.compile("|".join(map(re.escape, longest_first))) if written else None

    def __call__(self, logger: Any, method: str, event: EventDict) -> EventDict:  # noqa: ARG002
        """As a processor of structlog: the event with everything masked."""
        return {key: self._field(key, value, 0) for key, value in event.items()}

    def text(self, text: str) -> str:
        """A text with everything masked; one that is very long is cut."""
        if len(text) > _MAX_CHARS:
            text = f"{text[:_MAX_CHARS]} ... ({len(text)} characters)"
        if self._known is not None:
            text = self._known.sub(MASK, text)
        text = _TELLING_PAIR.sub(rf"\g<before>{MASK}", text)
        return _IN_URL.sub(rf"\g<before>{MASK}", text)

    def _field(self, key: object, value: Any, depth: int) -> Any:
        if isinstance(key, str) and _TELLING_KEY.fullmatch(key) and value is not None:
            return MASK
        return self._value(value, depth)

    def _value(self, value: Any, depth: int) -> Any:
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, str):
            return self.text(value)
        if depth < _MAX_DEPTH:
            if isinstance(value, Mapping):
                return {str(k): self._field(k, v, depth + 1) for k, v in value.items()}
            if isinstance(value, list | tuple):
                return [self._value(entry, depth + 1) for entry in value]
        return self.text(str(value))
