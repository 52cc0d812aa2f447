"""Where the messages of one output go."""

from dataclasses import dataclass

from stream.kafka.connection import SOURCE_CONNECTION, ConnectionConfig


@dataclass(frozen=True, slots=True)
class Destination:
    """A topic, and who writes to it.

    `output` is the name of the setting under `outputs.kafka`; messages of a run and output are
    numbered. `connection_setting` says where the connection is configured.
    """

    topic: str
    output: str
    run_id: str
    connection: ConnectionConfig
    connection_setting: str = SOURCE_CONNECTION

    @property
    def setting(self) -> str:
        """The setting to name in an error."""
        return f"outputs.kafka.{self.output}"


@dataclass(frozen=True, slots=True)
class Place:
    """A place on a topic: `offset` is the first message of `partition` not looked at yet.

    `topic_id` is another one once the topic was deleted and made again; empty where the broker
    is too old to tell.
    """

    topic_id: str
    partition: int
    offset: int
