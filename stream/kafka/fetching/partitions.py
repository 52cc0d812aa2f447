"""The partitions that are fetched: how far each of them is, and what becomes of them.

On the loop's side each of them has a lane, which knows how far batches have come.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from stream.kafka.fetching.chunks import Chunk, ChunkDecoder, event_times
from stream.kafka.fetching.gaps import Gap, Gaps
from stream.kafka.fetching.handover import Mark
from stream.kafka.fetching.positions import Cursor, Stretch, in_order, number_of, topic_of
from stream.kafka.fetching.topic_watch import TopicFacts
from stream.kafka.settings import KafkaSourceConfig


class Partition:
    """One partition on its way to the loop.

    Parameters
    ----------
    name : str
        The partition, such as `clicks/0`.
    ahead : tuple of Stretch
        What is to be read; the last stretch has no end.
    decoder : ChunkDecoder
        Decodes the topic's values.

    Attributes
    ----------
    delivered : int
        The first offset that was not handed over; what was fetched beyond it is held back.
    offset : int
        The offset to be fetched next.
    end : int or None
        The offset that the next record to be written gets, where known.
    proven_end : int or None
        The end as of the last records that were handed over: surely that of this topic.
    highwater : int or None
        The end that came with the records last fetched.
    is_missing : bool
        Whether its topic, or the partition itself, is not there.
    is_new : bool
        Whether nobody has asked the brokers for it yet.
    is_full : bool
        Whether as much of it waits to be used as may.
    """

    def __init__(self, name: str, ahead: tuple[Stretch, ...], decoder: ChunkDecoder) -> None:
        self.name = name
        self.topic = topic_of(name)
        self.number = number_of(name)
        self.ahead = ahead
        self.topic_id = ahead[0].topic_id
        self.delivered = self.offset = ahead[0].start
        self.end: int | None = None
        self.highwater: int | None = None
        self.proven_end: int | None = None
        self.is_missing = False
        self.is_new = True
        self.is_full = False
        self._decoder = decoder
        self._ts_ms = 0

    @property
    def open_start(self) -> int:
        """Where it goes on without end; what lies before was read once already."""
        return self.ahead[-1].start

    def adopt(self, topic_id: str) -> None:
        """Take the id of a topic that had none, as its brokers were older than 2.8."""
        self.topic_id = topic_id
        self.ahead = tuple(replace(s, topic_id=s.topic_id or topic_id) for s in self.ahead)

    def go_to(self, offset: int) -> None:
        """Fetch on from this offset, or from the next one that is to be read at all."""
        self.offset = max(offset, self._stretch(offset).start)

    def restart(self, ahead: tuple[Stretch, ...]) -> None:
        """Read something else from now on."""
        self.ahead = ahead
        self.topic_id = ahead[0].topic_id
        self.delivered = self.offset = ahead[0].start

    def chunk(self, records: Sequence[Any], position: int, arrived_s: float) -> Chunk:
        """What was fetched up to this position, as far as it is to be read."""
        stop = self._stretch(self.offset).stop
        offsets = [record.offset for record in records]
        if stop is not None and position >= stop:
            records = records[: bisect_left(offsets, stop)]
            offsets = offsets[: len(records)]
        else:
            stop = position
        raws = [record.value for record in records]
        entries = self._decoder.decode(self.number, offsets, raws)
        ts_N = event_times(entries, self._ts_ms)
        if len(ts_N):
            self._ts_ms = int(ts_N[-1])
        values = [raw or b"" for raw in raws] if None in raws else raws
        chunk = Chunk(
            topic_id=self.topic_id,
            start=self.offset,
            stop=stop,
            entries=entries,
            values=values,
            offsets=offsets,
            timestamps=[record.timestamp for record in records],
            ts_N=ts_N,
            n_bytes=sum(map(len, values)),
            arrived_s=arrived_s,
        )
        self.go_to(stop)
        return chunk

    def _stretch(self, offset: int) -> Stretch:
        return next(
            stretch for stretch in self.ahead if stretch.stop is None or offset < stretch.stop
        )


class Partitions:
    """Every partition; they live on when a consumer is closed and another one opened.

    Parameters
    ----------
    config : KafkaSourceConfig
        Names the topics.
    gaps : Gaps
        Is told of records that are gone.
    """

    def __init__(self, config: KafkaSourceConfig, gaps: Gaps) -> None:
        self._gaps = gaps
        self._decoders = {
            topic.name: ChunkDecoder(topic, config.max_record_bytes) for topic in config.topics
        }
        self._missing: set[str] = set()
        self.by_name: dict[str, Partition] = {}

    def __iter__(self) -> Iterator[Partition]:
        return iter(self.by_name.values())

    @property
    def topics(self) -> set[str]:
        """Topics that are read, or were."""
        return {partition.topic for partition in self}

    def add(self, ahead: Mapping[str, tuple[Stretch, ...]]) -> None:
        """Read these partitions too."""
        for name in sorted(ahead, key=in_order):
            topic = name.rpartition("/")[0]
            self.by_name[name] = Partition(name, ahead[name], self._decoders[topic])

    def start(self, cursors: Mapping[str, Cursor]) -> None:
        """Read partitions from these cursors on."""
        self.add({n: (Stretch(c.topic_id, c.offset),) for n, c in cursors.items()})

    def present(self) -> list[Partition]:
        """Those that exist."""
        return [partition for partition in self if not partition.is_missing]

    def compare(self, facts: Mapping[str, TopicFacts]) -> tuple[list[Partition], list[Partition]]:
        """Follow what the brokers say of the topics.

        Parameters
        ----------
        facts : mapping
            The topics that exist.

        Returns
        -------
        restarted, appeared : lists of Partition
            Those that go on in another topic of the same name, and those that go on as they were
            or are new.

        Raises
        ------
        GapError
            If a topic was created again and the reading must not go on in it.
        """
        restarted, appeared = [], []
        for topic in self._decoders:
            found = facts.get(topic)
            self._tell(topic, found is not None)
            if found is None:
                continue
            fresh = {f"{topic}/{number}" for number in found.partitions} - self.by_name.keys()
            # Nobody wrote to a partition before it was there: all of it is unread.
            self.add({name: (Stretch(found.topic_id, 0),) for name in fresh})
            for partition in self:
                if partition.topic != topic or partition.topic_id == found.topic_id:
                    continue
                if not partition.topic_id:
                    partition.adopt(found.topic_id)
                elif found.topic_id:
                    self._recreated(partition, found.topic_id)
                    restarted.append(partition)
        for partition in self:
            found = facts.get(partition.topic)
            was_missing = partition.is_missing
            partition.is_missing = found is None or partition.number not in found.partitions
            if (was_missing and not partition.is_missing) or partition.is_new:
                appeared.append(partition)
                partition.is_new = False
        return restarted, appeared

    def marks(self, are_ends_known: bool) -> dict[str, Mark]:
        """Where every partition stands."""
        return {
            partition.name: Mark(
                topic_id=partition.topic_id,
                delivered=partition.delivered,
                end=partition.end if are_ends_known else None,
                is_missing=partition.is_missing,
                is_full=partition.is_full,
            )
            for partition in self
        }

    @property
    def problem(self) -> str | None:
        """What is wrong with the topics; None if nothing is."""
        if not self._missing:
            return None
        return f"source.kafka.topics: {', '.join(sorted(self._missing))} does not exist any more"

    def _tell(self, topic: str, is_there: bool) -> None:
        if not is_there and topic in self.topics - self._missing:
            self._missing.add(topic)
            self._gaps.topic_lost(topic)
        elif is_there and topic in self._missing:
            self._missing.remove(topic)
            self._gaps.topic_found(topic)

    def _recreated(self, partition: Partition, topic_id: str) -> None:
        """Go on in the new topic: where a journal says so, else at its beginning."""
        later = tuple(stretch for stretch in partition.ahead if stretch.topic_id == topic_id)
        n_lost = 0
        for stretch in partition.ahead:
            stop = stretch.stop if stretch.stop is not None else partition.proven_end
            if stretch.topic_id != topic_id and stop is not None:
                n_lost += max(0, stop - max(partition.delivered, stretch.start))
        before = partition.delivered
        partition.restart(later or (Stretch(topic_id, 0),))
        if n_lost or not later:
            gap = Gap(partition.name, "recreated", before, partition.offset, n_lost, not later)
            self._gaps.met(gap)
        partition.end = partition.proven_end = None
