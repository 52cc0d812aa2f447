"""Records that were fetched and are held back until their topic is known to be the same one."""

from dataclasses import dataclass

from stream.kafka.fetching.chunks import Chunk
from stream.kafka.fetching.partitions import Partition
from stream.kafka.fetching.positions import is_same
from stream.kafka.fetching.topic_watch import TopicWatch


class HeldBack:
    """Holds chunks back until the brokers have answered a question asked after they came.

    Parameters
    ----------
    watch : TopicWatch
        Asks about the topics.
    """

    def __init__(self, watch: TopicWatch) -> None:
        self._watch = watch
        self._new: list[_Held] = []
        self._asked: list[_Held] = []
        self._records: dict[str, int] = {}
        self._bytes: dict[str, int] = {}

    def __bool__(self) -> bool:
        return bool(self._new or self._asked)

    def add(self, partition: Partition, chunk: Chunk) -> None:
        """Hold a chunk back, and what is said of the end of its log."""
        self._new.append(_Held(partition, chunk, partition.end))
        self._count(partition, chunk, +1)

    def held(self, name: str) -> tuple[int, int]:
        """How many records and bytes of a partition are held back."""
        return self._records.get(name, 0), self._bytes.get(name, 0)

    def released(self) -> list[tuple[Partition, Chunk]]:
        """The chunks whose topics are the same still, in the order they came."""
        free: list[_Held] = []
        if self._asked and self._watch.is_answered():
            facts = self._watch.facts
            kept: list[_Held] = []
            for held in self._asked:
                # Of a topic that is gone nothing is known until it, or another, is there.
                found = facts.get(held.partition.topic)
                is_known = found is not None and is_same(found.topic_id, held.chunk.topic_id)
                (free if is_known else kept).append(held)
            self._asked, self._new = [], kept + self._new
        if self._new and not self._asked:
            self._watch.ask()
            self._asked, self._new = self._new, []
        for held in free:
            self._count(held.partition, held.chunk, -1)
            held.partition.proven_end = held.end
        return [(held.partition, held.chunk) for held in free]

    def drop(self, partition: Partition) -> None:
        """Forget what is held back of a partition."""
        self._new = [held for held in self._new if held.partition is not partition]
        self._asked = [held for held in self._asked if held.partition is not partition]
        self._records.pop(partition.name, None)
        self._bytes.pop(partition.name, None)

    def _count(self, partition: Partition, chunk: Chunk, sign: int) -> None:
        n_records, n_bytes = self.held(partition.name)
        self._records[partition.name] = n_records + sign * len(chunk)
        self._bytes[partition.name] = n_bytes + sign * chunk.n_bytes


@dataclass(frozen=True, slots=True)
class _Held:
    partition: Partition
    chunk: Chunk
    end: int | None
