"""Every partition that is read, and what becomes of them as topics change."""

from collections.abc import Iterator, Mapping

from stream.kafka.chunks import ChunkDecoder
from stream.kafka.gaps import Gap, Gaps
from stream.kafka.handover import Mark
from stream.kafka.positions import Cursor, Stretch, in_order
from stream.kafka.reading import Reading
from stream.kafka.settings import KafkaSourceConfig
from stream.kafka.topic_watch import TopicFacts


class Roll:
    """The readings by partition; it lives on when a consumer is closed and another one opened.

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
        self.readings: dict[str, Reading] = {}

    def __iter__(self) -> Iterator[Reading]:
        return iter(self.readings.values())

    @property
    def topics(self) -> set[str]:
        """Topics that are read, or were."""
        return {reading.topic for reading in self}

    def add(self, ahead: Mapping[str, tuple[Stretch, ...]]) -> None:
        """Read these partitions too."""
        for name in sorted(ahead, key=in_order):
            topic = name.rpartition("/")[0]
            self.readings[name] = Reading(name, ahead[name], self._decoders[topic])

    def start(self, cursors: Mapping[str, Cursor]) -> None:
        """Read partitions from these cursors on."""
        self.add({n: (Stretch(c.topic_id, c.offset),) for n, c in cursors.items()})

    def present(self) -> list[Reading]:
        """The readings whose partitions exist."""
        return [reading for reading in self if not reading.is_missing]

    def compare(self, facts: Mapping[str, TopicFacts]) -> tuple[list[Reading], list[Reading]]:
        """Follow what the brokers say of the topics.

        Parameters
        ----------
        facts : mapping
            The topics that exist.

        Returns
        -------
        restarted, appeared : lists of Reading
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
            fresh = {f"{topic}/{number}" for number in found.partitions} - self.readings.keys()
            # Nobody wrote to a partition before it was there: all of it is unread.
            self.add({name: (Stretch(found.topic_id, 0),) for name in fresh})
            for reading in self:
                if reading.topic != topic or reading.topic_id == found.topic_id:
                    continue
                if not reading.topic_id:
                    reading.adopt(found.topic_id)
                elif found.topic_id:
                    self._recreated(reading, found.topic_id)
                    restarted.append(reading)
        for reading in self:
            found = facts.get(reading.topic)
            was_missing = reading.is_missing
            reading.is_missing = found is None or reading.number not in found.partitions
            if (was_missing and not reading.is_missing) or reading.is_new:
                appeared.append(reading)
                reading.is_new = False
        return restarted, appeared

    def marks(self, are_ends_known: bool) -> dict[str, Mark]:
        """Where every partition stands."""
        return {
            reading.name: Mark(
                topic_id=reading.topic_id,
                delivered=reading.delivered,
                end=reading.end if are_ends_known else None,
                is_missing=reading.is_missing,
                is_full=reading.is_full,
            )
            for reading in self
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

    def _recreated(self, reading: Reading, topic_id: str) -> None:
        """Go on in the new topic: where a journal says so, else at its beginning."""
        later = tuple(stretch for stretch in reading.ahead if stretch.topic_id == topic_id)
        n_lost = 0
        for stretch in reading.ahead:
            stop = stretch.stop if stretch.stop is not None else reading.proven_end
            if stretch.topic_id != topic_id and stop is not None:
                n_lost += max(0, stop - max(reading.delivered, stretch.start))
        before = reading.delivered
        reading.restart(later or (Stretch(topic_id, 0),))
        if n_lost or not later:
            gap = Gap(reading.name, "recreated", before, reading.offset, n_lost, not later)
            self._gaps.met(gap)
        reading.end = reading.proven_end = None
