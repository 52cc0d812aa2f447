"""What the brokers say of topics: their partitions, and whether they are still the same topics.

kafka-python asks for records by the topic's name. A topic that is deleted and created again is
read on at the old offset, as if nothing had happened: records of the new topic would be taken for
those of the old one. So records count only once an answer about the topic, asked for after they
had come, still gives the topic the same id.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from kafka.cluster import ClusterMetadata

_NO_ID = UUID(int=0)


@dataclass(frozen=True, slots=True)
class TopicFacts:
    """A topic that exists; `topic_id` is empty where the broker gives none."""

    topic_id: str
    partitions: frozenset[int]


class TopicWatch:
    """The last answer about some topics, and when it came.

    Parameters
    ----------
    cluster : ClusterMetadata
        Asks the brokers, from a thread of its own.
    topics : sequence of str
        The topics to ask about.
    clock : callable
        Seconds that never go back.
    """

    def __init__(
        self, cluster: "ClusterMetadata", topics: Sequence[str], clock: Callable[[], float]
    ) -> None:
        self._cluster = cluster
        self._topics = topics
        self._clock = clock
        self._n_answers = 0
        self._wanted = 0
        self.facts: dict[str, TopicFacts] = {}
        """The topics that exist, as of the last answer."""
        self.heard_s = clock()
        """When the last answer came."""
        cluster.add_listener(self._answered)
        cluster.set_topics(topics)

    @property
    def n_answers(self) -> int:
        """How many answers came so far."""
        return self._n_answers

    @property
    def forbidden(self) -> frozenset[str]:
        """Topics that this client may not see, as of the last answer.

        Of such an answer nobody may be told: a listener of kafka-python's own raises then, and
        those that it would have told after that one hear nothing.
        """
        return frozenset(self._cluster.unauthorized_topics) & frozenset(self._topics)

    def ask(self) -> None:
        """Have the brokers asked from now on; `is_answered` says when they have answered."""
        while True:
            n_answers = self._n_answers
            is_under_way = self._cluster.metadata_refresh_in_progress
            if n_answers == self._n_answers:
                break
        # A question that is under way was asked too early, and its answer may be old.
        self._wanted = n_answers + (2 if is_under_way else 1)
        self._cluster.request_update()

    def is_answered(self) -> bool:
        """Whether an answer came to a question that was sent after `ask`."""
        if self._n_answers >= self._wanted:
            return True
        # An answer that was under way makes kafka-python forget that another one is wanted.
        if not self._cluster.metadata_refresh_in_progress:
            self._cluster.request_update()
        return False

    def _answered(self, cluster: "ClusterMetadata") -> None:
        facts = {}
        for topic in self._topics:
            if (partitions := cluster.partitions_for_topic(topic)) is not None:
                found = cluster.topic_id(topic)
                topic_id = found.hex if isinstance(found, UUID) and found != _NO_ID else ""
                facts[topic] = TopicFacts(topic_id, frozenset(partitions))
        self.facts = facts
        self.heard_s = self._clock()
        self._n_answers += 1  # last: whoever sees it sees the rest
