"""Whether the journal can be repeated under the settings of today.

An entry says which records made up a batch, not what was made of them: how a record becomes an
event, and which events are believed, is a matter of settings. Under others the same entry would
be another batch than the one that metrics, weights and messages came of.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from stream.errors import CheckpointError
from stream.journal import Entry
from stream.kafka.settings import KafkaSourceConfig

_PREFIX = "source.kafka."
_TOPICS_PREFIX = "topics."


def reading_settings(config: KafkaSourceConfig) -> dict[str, Any]:
    """The settings that decide what a batch of known offsets holds, by their full key.

    Where a batch ends, and when a partition is waited for no longer, is in the journal itself:
    the settings of those may change at any time.

    Examples
    --------
    >>> config = KafkaSourceConfig.model_validate(
    ...     {"connection": {"bootstrap": "localhost:9092"}, "topics": ["clicks"]}
    ... )
    >>> for key, value in reading_settings(config).items():
    ...     print(key, value)
    source.kafka.max_ahead 86400000
    source.kafka.max_record_bytes 1048576
    source.kafka.isolation read_committed
    source.kafka.topics.clicks.type click
    source.kafka.topics.clicks.map {}
    source.kafka.topics.clicks.format json
    """
    names = ("max_ahead", "max_record_bytes", "isolation")
    source = {name: getattr(config, name) for name in names}
    topics = {
        f"{_TOPICS_PREFIX}{topic.name}.{name}": getattr(topic, name)
        for topic in config.topics
        for name in ("type", "map", "format")
    }
    return {f"{_PREFIX}{key}": value for key, value in {**source, **topics}.items()}


def read_as_then(config: KafkaSourceConfig, told: Mapping[str, Any] | None) -> KafkaSourceConfig:
    """The settings under which a batch holds what it held under those that a journal tells.

    What they do not tell stays as it is; None tells nothing.

    Examples
    --------
    >>> config = KafkaSourceConfig.model_validate(
    ...     {"connection": {"bootstrap": "localhost:9092"}, "topics": ["clicks", "views"]}
    ... )
    >>> told = reading_settings(config) | {"source.kafka.topics.clicks.map": {"user": "visitor"}}
    >>> read_as_then(config, told).topics[0].map
    {'user': 'visitor'}
    """
    values = config.model_dump(mode="json")
    topics: dict[str, dict[str, Any]] = {}
    for key, value in (told or {}).items():
        name = key.removeprefix(_PREFIX)
        if name.startswith(_TOPICS_PREFIX):
            topic, _, field = name.removeprefix(_TOPICS_PREFIX).rpartition(".")
            topics.setdefault(topic, {"name": topic})[field] = value
        else:
            values[name] = value
    if topics:
        values |= {"topics": list(topics.values()), "start": "earliest"}
    return KafkaSourceConfig.model_validate(values)


def refuse_other_settings(entries: Iterable[Entry], now: Mapping[str, Any], out: Path) -> None:
    """Refuse to repeat entries that were read under other settings.

    Parameters
    ----------
    entries : iterable of Entry
        What is to be repeated; entries of a journal that tells no settings are let pass.
    now : mapping
        The `reading_settings` of today.
    out : Path
        The run's folder.

    Raises
    ------
    CheckpointError
        Names each setting that differs, what it was and what it is.
    """
    seqs: list[int] = []
    told: list[Mapping[str, Any]] = []
    for entry in entries:
        seqs.append(entry.seq)
        if entry.settings is not None:
            told.append(entry.settings)
    differing = _differing(told, now)
    if not differing:
        return
    advice = (
        "set them back, start again, let it catch up and stop it in good order; then change them"
    )
    if any(len(values) > 1 for values in differing.values()):
        advice = "no settings repeat all of these batches; start in another --out"
    raise CheckpointError(
        f"{out}: batches {seqs[0]} to {seqs[-1]}, which the journal has after the newest whole "
        f"checkpoint, were read under other settings: {_text(differing, now)}; {advice}"
    )


def changes_text(before: Mapping[str, Any] | None, now: Mapping[str, Any]) -> str:
    """What differs from earlier settings, as people read it; empty if nothing does.

    Examples
    --------
    >>> changes_text({"source.kafka.isolation": "a"}, {"source.kafka.isolation": "b"})
    'source.kafka.isolation was a, is b'
    """
    return _text(_differing([] if before is None else [before], now), now)


def _differing(told: Iterable[Mapping[str, Any]], now: Mapping[str, Any]) -> dict[str, list[Any]]:
    """The values that settings had, by key; those left out that were always what they are.

    A topic that is not read any more is not judged here: no entry names it, or the source refuses.
    """
    values: dict[str, list[Any]] = {}
    for settings in told:
        for key in settings.keys() & now.keys():
            if settings[key] not in values.setdefault(key, []):
                values[key].append(settings[key])
    return {key: values[key] for key in now if values.get(key, [now[key]]) != [now[key]]}


def _text(differing: Mapping[str, list[Any]], now: Mapping[str, Any]) -> str:
    return "; ".join(
        f"{key} was {' and '.join(map(str, values))}, is {now[key]}"
        for key, values in differing.items()
    )
