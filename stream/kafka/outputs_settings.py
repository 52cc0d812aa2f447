"""Which outputs go to Kafka too, and to which topics."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

from stream.kafka.connection import ConnectionConfig

OutputTopic = Annotated[
    str, StringConstraints(pattern=r"^[a-zA-Z0-9._-]+$", min_length=1, max_length=249)
]
"""The name of a topic that is there already: none is ever made."""


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


class OutputsConfig(BaseModel):
    """Where records go beside the files of the run."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kafka: KafkaOutputsConfig | None = None
