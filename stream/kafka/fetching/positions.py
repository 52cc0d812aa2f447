"""Where the reading of partitions stands, and what lies ahead of them.

A partition is named `topic/number`, as in a `Position`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from stream.errors import GapError, SourceError
from stream.journal import Entry
from stream.values import Position


@dataclass(frozen=True, slots=True)
class Cursor:
    """The first record of a partition that was not read, and the partition's event time there.

    `topic_id` tells a topic from another of the same name; it is empty where the broker, older
    than 2.8, knows none.
    """

    offset: int
    topic_id: str = ""
    ts_ms: int = 0

    def fields(self) -> dict[str, int | str]:
        return {"offset": self.offset, "topic_id": self.topic_id, "ts_ms": self.ts_ms}


@dataclass(frozen=True, slots=True)
class Stretch:
    """Records of a partition that lie side by side, up to `stop`, or for ever without one."""

    topic_id: str
    start: int
    stop: int | None = None

    @property
    def read_to(self) -> int:
        """Its end; where it begins if it has none."""
        return self.start if self.stop is None else self.stop


def topic_of(name: str) -> str:
    """The topic of a partition's name."""
    return name.rpartition("/")[0]


def number_of(name: str) -> int:
    """The number of a partition's name."""
    return int(name.rpartition("/")[2])


def is_same(topic_id: str, other_id: str) -> bool:
    """Whether two ids may be those of one topic: without an id nobody can tell."""
    return not topic_id or not other_id or topic_id == other_id


def in_order(name: str) -> tuple[str, int]:
    """What partitions are sorted by.

    Examples
    --------
    >>> sorted(["clicks/10", "clicks/9", "buys/3"], key=in_order)
    ['buys/3', 'clicks/9', 'clicks/10']
    """
    return topic_of(name), number_of(name)


def cursors_of(position: Position, topics: Sequence[str]) -> dict[str, Cursor]:
    """The cursors of a position, by partition.

    Raises
    ------
    SourceError
        If it is the position of another kind of source, or in a topic that is not read.
    """
    cursors: dict[str, Cursor] = {}
    for name, fields in position.items():
        try:
            number_of(name)
            cursors[name] = Cursor(
                int(fields["offset"]), str(fields["topic_id"]), int(fields["ts_ms"])
            )
        except (KeyError, ValueError) as err:
            raise SourceError(
                f"{name}: the checkpoint's position {dict(fields)} is none of a partition; "
                "use the checkpoint.dir of a run over Kafka, or an empty one"
            ) from err
        _check_named(name, "checkpoint", topics)
    return cursors


def stretches(
    cursors: Mapping[str, Cursor], entries: Iterable[Entry], topics: Sequence[str]
) -> dict[str, tuple[Stretch, ...]]:
    """What is to be read of each partition: first what a journal says, then on without end.

    Two stretches follow one another where records were gone when the journal was written.

    Raises
    ------
    GapError
        If the journal goes back in a partition: its log was shortened, and written anew.
    SourceError
        If the journal goes on in a topic that is not read.

    Examples
    --------
    >>> from stream.journal import Range
    >>> entry = Entry(7, {"clicks/0": Range("9f", 40, 50, 0)}, 0)
    >>> stretches({"clicks/0": Cursor(10, "9f")}, [entry], ["clicks"])["clicks/0"]
    (Stretch(topic_id='9f', start=40, stop=None),)
    """
    found = {
        name: [Stretch(cursor.topic_id, cursor.offset, cursor.offset)]
        for name, cursor in cursors.items()
    }
    for entry in entries:
        for name, part in entry.ranges.items():
            _check_named(name, "journal", topics)
            ahead = found.setdefault(name, [])
            if ahead and (ahead[-1].topic_id, ahead[-1].stop) == (part.topic_id, part.start):
                ahead[-1] = Stretch(part.topic_id, ahead[-1].start, part.stop)
                continue
            if ahead and ahead[-1].start == ahead[-1].stop:
                ahead.pop()
            if ahead and ahead[-1].topic_id == part.topic_id and part.start < ahead[-1].read_to:
                raise rewritten(name, part.start, ahead[-1].read_to)
            ahead.append(Stretch(part.topic_id, part.start, part.stop))
    return {
        name: (*ahead[:-1], Stretch(ahead[-1].topic_id, ahead[-1].start))
        for name, ahead in found.items()
    }


def rewritten(name: str, end: int, read_to: int) -> GapError:
    """The error of a log that was shortened, where the journal's records are others now."""
    return GapError(
        f"{name}: its log was shortened to offset {end}, and the journal says that it was read up "
        f"to {read_to}: what is repeated would be other records; start with an empty checkpoint.dir"
    )


def _check_named(name: str, where: str, topics: Sequence[str]) -> None:
    if topic_of(name) not in topics:
        raise SourceError(
            f"{name}: the {where} goes on in it, but source.kafka.topics names only "
            f"{', '.join(topics)}; name it again, or start with an empty checkpoint.dir"
        )
