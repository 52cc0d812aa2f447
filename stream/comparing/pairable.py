"""Which settings two configurations may differ by, so that they can be judged on the same clicks.

Both read one stream in the same batches, and their answers are paired click by click and shown
item by shown item. Whatever says which clicks and lists those are must be the same; whatever says
how they are answered may differ.
"""

from collections.abc import Mapping
from typing import Any

from stream.build import fixed_settings
from stream.config import FreshrankConfig
from stream.errors import ConfigError
from stream.run_folder import differing_keys

# Why each of them cannot differ; a key stands for all below it, the longest that fits counts.
_SHARED: Mapping[str, str] = {
    "source": "both read the same records, once",
    "batch.events": "both are asked in the same batches, which this cuts",
    "ranking": "both are judged by the same figures on the same clicks",
    "joiner": "both are told the same answers at the same time",
    "threads": "both run in one process, which has one number of threads",
}
# When lists are learned is a matter of learning: they are judged at the same time in any case.
_FREE = ("joiner.labels",)
# None of them reaches a prediction here.
_IDLE = ("shadows", "checkpoint", "outputs", "watch", "log", "server", "evaluator.emit_events")


def refuse_unpairable(a: FreshrankConfig, b: FreshrankConfig) -> None:
    """Refuse two configurations whose answers cannot be paired.

    Raises
    ------
    ConfigError
        If a setting differs that both must share: names each.
    """
    dumps = (config.model_dump(mode="json") for config in (a, b))
    told_a, told_b = (one | {"source": one["source"] | {"kafka": None}} for one in dumps)
    lines = []
    for key in differing_keys(told_a, told_b):
        reason = _reason(key)
        if reason is not None:
            lines.append(
                f"{key}: {_at(told_a, key)} in A, {_at(told_b, key)} in B: {reason}; set it "
                "alike, or replay each and hold their summaries side by side"
            )
    if lines:
        raise ConfigError("\n".join(lines))


def compared_settings(a: FreshrankConfig, b: FreshrankConfig) -> list[tuple[str, Any, Any]]:
    """The settings that differ and can matter: key, value in A and value in B."""
    one, other = fixed_settings(a), fixed_settings(b)
    keys = [
        key for key in differing_keys(one, other) if not any(_is_below(key, idle) for idle in _IDLE)
    ]
    return [(key, _at(one, key), _at(other, key)) for key in keys]


def _reason(key: str) -> str | None:
    if any(_is_below(key, free) for free in _FREE):
        return None
    return next((why for shared, why in _SHARED.items() if _is_below(key, shared)), None)


def _is_below(key: str, owner: str) -> bool:
    return key == owner or key.startswith(f"{owner}.")


def _at(settings: Mapping[str, Any], key: str) -> Any:
    """The value of a key, None where it is not there."""
    value: Any = settings
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value
