"""Records that were fetched and are on trial until their topic is known to be the same one."""

from dataclasses import dataclass

from stream.kafka.chunks import Chunk
from stream.kafka.positions import is_same
from stream.kafka.reading import Reading
from stream.kafka.topic_watch import TopicWatch


class Trial:
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

    def add(self, reading: Reading, chunk: Chunk) -> None:
        """Hold a chunk back, and what is said of the end of its log."""
        self._new.append(_Held(reading, chunk, reading.end))
        self._count(reading, chunk, +1)

    def held(self, name: str) -> tuple[int, int]:
        """How many records and bytes of a partition are held back."""
        return self._records.get(name, 0), self._bytes.get(name, 0)

    def acquitted(self) -> list[tuple[Reading, Chunk]]:
        """The chunks whose topics are the same still, in the order they came."""
        free: list[_Held] = []
        if self._asked and self._watch.is_answered():
            facts = self._watch.facts
            kept: list[_Held] = []
            for held in self._asked:
                # Of a topic that is gone nothing is known until it, or another, is there.
                found = facts.get(held.reading.topic)
                is_known = found is not None and is_same(found.topic_id, held.chunk.topic_id)
                (free if is_known else kept).append(held)
            self._asked, self._new = [], kept + self._new
        if self._new and not self._asked:
            self._watch.ask()
            self._asked, self._new = self._new, []
        for held in free:
            self._count(held.reading, held.chunk, -1)
            held.reading.proven_end = held.end
        return [(held.reading, held.chunk) for held in free]

    def drop(self, reading: Reading) -> None:
        """Forget what is held back of a partition."""
        self._new = [held for held in self._new if held.reading is not reading]
        self._asked = [held for held in self._asked if held.reading is not reading]
        self._records.pop(reading.name, None)
        self._bytes.pop(reading.name, None)

    def _count(self, reading: Reading, chunk: Chunk, sign: int) -> None:
        n_records, n_bytes = self.held(reading.name)
        self._records[reading.name] = n_records + sign * len(chunk)
        self._bytes[reading.name] = n_bytes + sign * chunk.n_bytes


@dataclass(frozen=True, slots=True)
class _Held:
    reading: Reading
    chunk: Chunk
    end: int | None
