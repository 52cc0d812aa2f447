"""Labels that rules carry, and what rules are picked out by: matchers, as Alertmanager's [1]_.

References
----------
.. [1] Prometheus, Alertmanager: `pkg/labels/matcher.go`, `inhibit/inhibit.go`.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import AfterValidator

OWN_LABELS = ("alertname", "severity", "kind", "metric", "over", "policy")
"""Labels that every rule has by its other keys: no rule writes them itself."""

MAX_LABELS = 32
MAX_CHARS = 200
_NAME = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")
_OPERATORS = ("=~", "!~", "!=", "=")
_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*):")


def matches(matchers: Mapping[str, str | Sequence[str]], labels: Mapping[str, str]) -> bool:
    """Whether all matchers do; a label that is not there is as one that is empty.

    A value stands for itself, a list for any of its values. `!=` before a value means any other,
    `=~` and `!~` before a regular expression that the whole label does, or does not match it.

    Examples
    --------
    >>> labels = {"alertname": "ctr_drop", "team": "shop"}
    >>> matches({"alertname": "=~ctr_.*", "team": ["shop", "search"]}, labels)
    True
    >>> matches({"severity": "!=page"}, labels), matches({"team": "=~sho"}, labels)
    (True, False)
    """
    return all(_holds(wanted, labels.get(name, "")) for name, wanted in matchers.items())


def matchers_text(matchers: Mapping[str, str | Sequence[str]]) -> str:
    """Matchers as they are written in YAML, on one line.

    Examples
    --------
    >>> matchers_text({"team": ["shop", "search"], "severity": "page"})
    '{team: [shop, search], severity: page}'
    """
    texts = {
        name: wanted if isinstance(wanted, str) else f"[{', '.join(wanted)}]"
        for name, wanted in matchers.items()
    }
    return f"{{{', '.join(f'{name}: {text}' for name, text in texts.items())}}}"


def _holds(wanted: str | Sequence[str], value: str) -> bool:
    if not isinstance(wanted, str):
        return value in wanted
    operator, operand = _split(wanted)
    if operator in ("=~", "!~"):
        return (re.fullmatch(operand, value) is not None) == (operator == "=~")
    return (value == operand) == (operator == "=")


def _split(wanted: str) -> tuple[str, str]:
    operator = next((one for one in _OPERATORS if wanted.startswith(one)), None)
    return ("=", wanted) if operator is None else (operator, wanted[len(operator) :].strip())


def _check_name(name: str) -> str:
    if not _NAME.fullmatch(name) or len(name) > MAX_CHARS:
        raise ValueError(
            f"expected names of letters, digits and _ that begin with a letter, such as team, got "
            f"{name[:MAX_CHARS]!r}"
        )
    return name


def _check_labels(labels: dict[str, str]) -> dict[str, str]:
    _check_number(labels)
    for name, value in labels.items():
        if name in OWN_LABELS:
            raise ValueError(
                f"{name} is a label that every rule has by its own keys; leave it out, got "
                f"{value[:MAX_CHARS]!r}"
            )
        if not value or len(value) > MAX_CHARS or not value.isprintable():
            raise ValueError(
                f"{name}: expected 1 to {MAX_CHARS} characters on one line, got "
                f"{value[:MAX_CHARS]!r}"
            )
    return labels


def _check_matchers(matchers: dict[str, str | list[str]]) -> dict[str, str | list[str]]:
    if not matchers:
        raise ValueError("expected at least one label, such as {severity: page}, got none")
    _check_number(matchers)
    for name, wanted in matchers.items():
        for value in [wanted] if isinstance(wanted, str) else wanted:
            if len(value) > MAX_CHARS:
                raise ValueError(
                    f"{name}: expected at most {MAX_CHARS} characters, got {len(value):,}"
                )
        if not isinstance(wanted, str):
            continue
        operator, operand = _split(wanted)
        if "~" in operator:
            try:
                re.compile(operand)
            except re.error as err:
                raise ValueError(
                    f"{name}: {operand!r} is no regular expression: {err}, got {wanted!r}"
                ) from err
    return matchers


def _check_number(named: Mapping[str, object]) -> None:
    if len(named) > MAX_LABELS:
        raise ValueError(f"expected at most {MAX_LABELS} labels, got {len(named)}")


def _check_runbook(place: str) -> str:
    scheme = _SCHEME.match(place)
    is_link = scheme is not None and scheme[1].lower() in ("http", "https")
    if (scheme is not None and not is_link) or not place.isprintable() or not place.strip():
        raise ValueError(
            "expected an address that begins with https:// or http://, or a path, such as "
            f"docs/recall.md, got {place[:MAX_CHARS]!r}"
        )
    return place


LabelName = Annotated[str, AfterValidator(_check_name)]
Labels = Annotated[dict[LabelName, str], AfterValidator(_check_labels)]
Matchers = Annotated[dict[LabelName, str | list[str]], AfterValidator(_check_matchers)]
Runbook = Annotated[str, AfterValidator(_check_runbook)]
