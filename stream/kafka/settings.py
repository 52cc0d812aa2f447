"""Which topics of Kafka are read and how, and which outputs go to topics too."""

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveInt,
    StringConstraints,
    model_validator,
)

from stream.decoding import event_fields, ts_ms
from stream.durations import DurationMs
from stream.kafka.cluster.connection import ConnectionConfig

_DAY_MS = 86_400_000

OutputTopic = Annotated[
    str, StringConstraints(pattern=r"^[a-zA-Z0-9._-]+$", min_length=1, max_length=249)
]
"""The name of a topic that is there already: none is ever made."""


def _known_fields(columns: dict[str, str]) -> dict[str, str]:
    for name in columns:
        if name not in event_fields():
            raise ValueError(f"{name!r} is no event field; known are {', '.join(event_fields())}")
    return columns


class TopicConfig(BaseModel):
    """One topic; in a file its name alone is enough.

    `type` is the type of a record that names none, `map` names the key that holds an event's
    field. Examples are `clicks` and `{name: views, type: impression, map: {user: visitor}}`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,249}$")]
    type: Literal["click", "impression", "conversion", "feedback", "item", "user", "forget"] = (
        "click"
    )
    map: Annotated[dict[str, str], AfterValidator(_known_fields)] = {}
    format: Literal["json", "msgpack"] = "json"

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value


def _instant(value: Any) -> Any:
    """Milliseconds of a time as people write it; YAML makes a date of some of those texts."""
    if isinstance(value, date):  # a datetime is one too
        return ts_ms(value.isoformat())
    if isinstance(value, str) and value not in ("earliest", "latest"):
        try:
            return ts_ms(value)
        except ValueError as err:
            raise ValueError(
                f"expected earliest, latest, a time such as 2024-05-01T00:00:00Z, or an offset "
                f"for each topic/partition, got {value!r}"
            ) from err
    return value


Start = Annotated[
    Literal["earliest", "latest"] | NonNegativeInt | dict[str, NonNegativeInt],
    BeforeValidator(_instant),
]
"""Where the very first run begins: a time is in milliseconds."""


class KafkaSourceConfig(BaseModel):
    """How topics are read.

    `start` counts once, where no checkpoint says how far a topic was read; partitions that appear
    later are read from their beginning. `on_gap` says what to do when records are gone that were
    not read yet. Offsets are committed for `group` after each checkpoint, for tools that show lag;
    nothing reads them back. A partition that has been silent for `idle_after` no longer holds back
    event time. A time more than `max_ahead` ahead of the stream is not believed. A batch is part
    of a backlog while more than `backlog_records` are unread behind it. Reading ahead stops when
    `buffer_records` records or `buffer_bytes` bytes wait, in about equal shares of the partitions;
    what was on its way by then comes on top. A value longer than `max_record_bytes` is a dead
    letter.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    connection: ConnectionConfig
    topics: Annotated[tuple[TopicConfig, ...], Field(min_length=1)]
    start: Start = "earliest"
    on_gap: Literal["fail", "earliest"] = "fail"
    group: Annotated[str, Field(min_length=1)] | None = "freshrank"
    idle_after: DurationMs = 30_000
    max_ahead: DurationMs = _DAY_MS
    backlog_records: PositiveInt = 10_000
    buffer_records: PositiveInt = 100_000
    buffer_bytes: PositiveInt = 64 << 20
    max_record_bytes: PositiveInt = 1 << 20
    isolation: Literal["read_committed", "read_uncommitted"] = "read_committed"

    @model_validator(mode="after")
    def _topics_differ(self) -> "KafkaSourceConfig":
        names = [topic.name for topic in self.topics]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"topics: {name} is named more than once")
        return self

    @model_validator(mode="after")
    def _start_is_within_topics(self) -> "KafkaSourceConfig":
        names = {topic.name for topic in self.topics}
        for key in self.start if isinstance(self.start, dict) else ():
            topic, _, number = key.rpartition("/")
            if topic not in names or not number.isdecimal():
                raise ValueError(
                    f"start: expected an offset for each topic/partition, such as "
                    f"{self.topics[0].name}/0, got {key!r}"
                )
        return self


class KafkaOutputsConfig(BaseModel):
    """A topic for each output that is to be one; the files are written in any case.

    Without a `connection` it is the source's.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    connection: ConnectionConfig | None = None
    metrics: OutputTopic | None = None
    alerts: OutputTopic | None = None
    dead_letters: OutputTopic | None = None
    incidents: OutputTopic | None = None

    def topics(self) -> dict[str, str]:
        """The topics that are given, by the name of the output."""
        named = {
            "metrics": self.metrics,
            "alerts": self.alerts,
            "dead_letters": self.dead_letters,
            "incidents": self.incidents,
        }
        return {name: topic for name, topic in named.items() if topic is not None}
