"""The configuration of a run: what differs from the defaults, and all of it."""

from collections.abc import Mapping
from typing import Any

import yaml

from stream.reporting.formatting import NOTHING, printable
from stream.reporting.markup import Html, element, table


def settings_block(
    settings: Mapping[str, Any], text: str | None, defaults: Mapping[str, Any]
) -> Html:
    """A table of the keys that were set to another value than the default, and the whole file."""
    if text is None:
        return element("p", "The run's folder holds no settings.")
    changed = changed_settings(settings, defaults)
    if changed:
        told = table(
            "Settings that differ from the defaults",
            ["key", "value", "default"],
            [[element("code", key), value, default] for key, value, default in changed],
            n_text_columns=3,
        )
    else:
        told = element("p", "Every key has its default.")
    whole = element(
        "details", element("summary", "All settings"), element("pre", element("code", text))
    )
    return element("div", told, whole)


def changed_settings(
    settings: Mapping[str, Any], defaults: Mapping[str, Any]
) -> list[tuple[str, str, str]]:
    """Key, value and default of each key whose value is not the default.

    Examples
    --------
    >>> changed_settings({"batch": {"events": 64}}, {"batch": {"events": 256, "age": 1}})
    [('batch.events', '64', '256')]
    """
    known = _flat(defaults)
    return [
        (key, setting_text(value), setting_text(known[key]) if key in known else NOTHING)
        for key, value in _flat(settings).items()
        if key not in known or known[key] != value
    ]


def _flat(settings: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        name = f"{path}.{key}" if path else str(key)
        if isinstance(value, dict) and value:
            flat |= _flat(value, name)
        elif isinstance(value, list) and any(isinstance(one, dict) for one in value):
            flat |= {f"{name}.{place}": one for place, one in enumerate(value)}
        else:
            flat[name] = value
    return flat


def setting_text(value: Any) -> str:
    """A value as it stands in a file of settings, on one line."""
    if value is None:
        return "unset"
    text: str = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10**6)
    return printable(text.removesuffix("\n...\n").rstrip("\n"))
