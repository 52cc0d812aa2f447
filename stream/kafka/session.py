"""One open consumer: what it fetches, and what it finds to be gone."""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from kafka import TopicPartition
from kafka.errors import KafkaError as ClientError
from kafka.errors import LogTruncationError, OffsetOutOfRangeError, TopicAuthorizationFailedError

from stream.errors import GapError
from stream.kafka.chunks import Chunk, nothing
from stream.kafka.consuming import Opened
from stream.kafka.gaps import Gap, Gaps, n_offsets
from stream.kafka.handover import Handover
from stream.kafka.positions import Cursor, Stretch
from stream.kafka.reading import Reading
from stream.kafka.roll import Roll
from stream.kafka.settings import KafkaSourceConfig
from stream.kafka.starting import OFFSETS_TIMEOUT_MS, await_topics, first_cursors
from stream.kafka.topic_watch import TopicWatch
from stream.kafka.trial import Trial

_POLL_TIMEOUT_MS = 200
_TRIAL_TIMEOUT_MS = 20
_SOME = 2_000
_ALL = sys.maxsize
_ENDS_EVERY_S = 5.0
_ENDS_TIMEOUT_MS = 2_000

Delivery = list[tuple[str, Chunk]]


class Session:
    """Reads every partition of a roll through one consumer.

    It belongs to one thread. What it holds back when it is given up is fetched again by the next.

    Parameters
    ----------
    config : KafkaSourceConfig
        What is read, and how far ahead.
    opened : Opened
        The consumer.
    roll : Roll
        The partitions.
    gaps : Gaps
        Is told of records that are gone.
    handover : Handover
        Knows how much waits to be used.
    clock : callable
        Seconds that never go back.

    Attributes
    ----------
    arrived_s : float or None
        When a record last came.
    """

    def __init__(
        self,
        config: KafkaSourceConfig,
        opened: Opened,
        roll: Roll,
        gaps: Gaps,
        handover: Handover,
        clock: Callable[[], float],
    ) -> None:
        self._config = config
        self._consumer = opened.consumer
        self._roll = roll
        self._gaps = gaps
        self._handover = handover
        self._clock = clock
        self._watch = TopicWatch(opened.cluster, [topic.name for topic in config.topics], clock)
        self._trial = Trial(self._watch)
        self._suspects: dict[str, int | None] = {}
        self._paused: set[str] = set()
        self._to_pause: set[str] = set()
        self._n_answers_seen = 0
        self.arrived_s: float | None = None
        self._ends_due_s = clock() + _ENDS_EVERY_S
        for reading in roll:
            reading.go_to(reading.delivered)
            reading.is_new = True
            reading.highwater = None
            reading.is_full = False

    @property
    def heard_s(self) -> float:
        """When a broker last answered."""
        return max(self._watch.heard_s, self.arrived_s or 0.0)

    def begin(self, pause: Callable[[float], bool]) -> dict[str, Cursor] | None:
        """Find the partitions and go to where they were left; the cursors of topics never read.

        None if `pause` ended the waiting for the brokers.
        """
        roll, watch = self._roll, self._watch
        if not await_topics(self._config, self._consumer, watch, roll.topics, pause):
            return None
        new = {topic: found for topic, found in watch.facts.items() if topic not in roll.topics}
        started = first_cursors(self._config, self._consumer, new)
        roll.start(started)
        return started

    def turn(self) -> Delivery:
        """Fetch what is there, wait shortly if nothing is, and hand out what may be."""
        delivery = self._follow_topics()
        if self._suspects and self._watch.is_answered():
            suspects, self._suspects = self._suspects, {}
            self._settle([self._roll.readings[name] for name in suspects], suspects)
        self._make_room()
        try:
            self._fetch()
        except OffsetOutOfRangeError as err:
            self._suspect(dict.fromkeys(err.args[0]))
        except LogTruncationError as err:
            ends = err.divergent_offsets
            self._suspect({part: end and end.offset for part, end in ends.items()})
        for reading, chunk in self._trial.acquitted():
            reading.delivered = chunk.stop
            delivery.append((reading.name, chunk))
        self._look_at_ends()
        return delivery

    def refresh_ends(self) -> bool:
        """Ask where the partitions end; whether an answer came."""
        parts = {_part(reading): reading for reading in self._roll.present()}
        try:
            ends = self._consumer.end_offsets(list(parts), timeout_ms=_ENDS_TIMEOUT_MS)
        except ClientError:
            return False
        for part, end in ends.items():
            parts[part].end = end
        return True

    def _follow_topics(self) -> Delivery:
        """See what changed about the topics; jumps that the loop is to be told of at once."""
        if self._watch.forbidden:
            raise TopicAuthorizationFailedError(set(self._watch.forbidden))
        n_answers = self._watch.n_answers
        if n_answers == self._n_answers_seen:
            return []
        restarted, appeared = self._roll.compare(self._watch.facts)
        self._n_answers_seen = n_answers
        if restarted or appeared:
            self._assign()
        for reading in restarted:
            self._trial.drop(reading)
            self._suspects.pop(reading.name, None)
        self._settle([r for r in {*restarted, *appeared} if not r.is_missing])
        return [(reading.name, self._jump(reading)) for reading in restarted]

    def _assign(self) -> None:
        """Fetch the partitions that exist, and none of them paused, as a new one is not."""
        parts = [_part(reading) for reading in self._roll.present()]
        self._consumer.assign(parts)
        self._consumer.resume(*parts)
        self._paused.clear()
        self._to_pause.clear()

    def _settle(
        self, readings: Iterable[Reading], suspects: Mapping[str, int | None] | None = None
    ) -> None:
        """Go to where these are to be read, or behind what is gone there.

        `suspects` are those that could not be read where they stood, and the end of what they
        have in common with their log, where known.
        """
        parts = {_part(reading): reading for reading in sorted(readings, key=lambda r: r.name)}
        if not parts:
            return
        first = self._consumer.beginning_offsets(list(parts), timeout_ms=OFFSETS_TIMEOUT_MS)
        last = self._consumer.end_offsets(list(parts), timeout_ms=OFFSETS_TIMEOUT_MS)
        for part, reading in parts.items():
            reading.end = last[part]
            is_suspect = suspects is not None
            common_end = (suspects or {}).get(reading.name)
            end = last[part] if common_end is None else min(common_end, last[part])
            if reading.delivered < reading.open_start and end < reading.open_start:
                raise GapError(
                    f"{reading.name}: its log ends at {end}, and the journal says that it was read "
                    f"up to {reading.open_start}: what is repeated would be other records; start "
                    "with an empty checkpoint.dir"
                )
            if is_suspect and reading.offset > end:
                self._shortened(reading, end)
            elif reading.offset < first[part]:
                self._deleted(reading, first[part])
            self._consumer.seek(part, reading.offset)

    def _shortened(self, reading: Reading, end: int) -> None:
        """The log ends before what was fetched of it."""
        self._trial.drop(reading)
        if reading.delivered <= end:  # nobody was handed what is no longer there
            reading.go_to(reading.delivered)
            return
        self._gaps.met(Gap(reading.name, "shortened", reading.delivered, end, 0, is_bound=True))
        reading.restart((Stretch(reading.topic_id, end),))
        self._trial.add(reading, self._jump(reading))

    def _deleted(self, reading: Reading, first: int) -> None:
        """Retention, or somebody, was faster than we were."""
        before = reading.offset
        n_lost = n_offsets(reading.ahead, before, first, reading.topic_id)
        reading.go_to(first)
        if n_lost:
            self._gaps.met(Gap(reading.name, "retention", before, reading.offset, n_lost))
        self._trial.add(reading, self._jump(reading))

    def _jump(self, reading: Reading) -> Chunk:
        return nothing(reading.topic_id, reading.offset, reading.offset, self._clock())

    def _suspect(self, ends: Mapping[TopicPartition, int | None]) -> None:
        """Something is wrong with these: first see whether the topic is still the same."""
        found = {f"{part.topic}/{part.partition}": end for part, end in ends.items()}
        if not found.keys() <= self._suspects.keys():
            self._watch.ask()
        self._suspects.update(found)

    def _make_room(self) -> None:
        """Stop fetching what waits to be used, and go on when half of it is."""
        present = self._roll.present()
        config = self._config
        for reading in present:
            waiting, held = self._handover.waiting(reading.name), self._trial.held(reading.name)
            filled = len(present) * max(
                (waiting[0] + held[0]) / config.buffer_records,
                (waiting[1] + held[1]) / config.buffer_bytes,
            )
            reading.is_full = filled >= 1 or (reading.is_full and filled >= 0.5)
            if reading.is_full or reading.name in self._suspects:
                self._to_pause.add(reading.name)
            else:
                self._to_pause.discard(reading.name)
                if reading.name in self._paused:
                    self._consumer.resume(_part(reading))
                    self._paused.discard(reading.name)

    def _fetch(self) -> None:
        """Take what was fetched of every partition, decoded, on trial."""
        consumer = self._consumer
        present = self._roll.present()
        timeout_ms = _TRIAL_TIMEOUT_MS if self._trial or self._suspects else _POLL_TIMEOUT_MS
        if all(reading.name in self._paused for reading in present):
            self._handover.wait_for_change(timeout_ms / 1000)
            return
        is_to_pause = not self._to_pause <= self._paused
        fetched = consumer.poll(timeout_ms, max_records=_ALL if is_to_pause else _SOME)
        now_s = self._clock()
        if is_to_pause:
            self._pause()
        if fetched:
            self.arrived_s = now_s
        for reading in present:
            if records := fetched.get(_part(reading)):
                self._take(reading, records, records[-1].offset + 1, now_s)
        for reading in present:
            if _part(reading) not in fetched and reading.offset < (reading.end or 0):
                # What a transaction leaves behind has offsets too, and no records.
                position = consumer.position(_part(reading), timeout_ms=0)
                if position is not None and position > reading.offset:
                    self._take(reading, (), position, now_s)

    def _pause(self) -> None:
        """Stop fetching what must wait, right after all that was fetched was taken.

        Of what came with one fetch kafka-python 3.0.12 loses sight if its partition is paused
        when some of it was taken and some not: after `resume` that stays away, for ever.
        """
        for name in self._to_pause - self._paused:
            self._consumer.pause(_part(self._roll.readings[name]))
        self._paused |= self._to_pause

    def _take(self, reading: Reading, records: Sequence[Any], position: int, now_s: float) -> None:
        self._trial.add(reading, reading.chunk(records, position, now_s))
        if reading.offset != position:
            self._consumer.seek(_part(reading), reading.offset)

    def _look_at_ends(self) -> None:
        """Take over the ends that came with records; ask for those of partitions that wait.

        Of a paused partition no record comes, and with it no end; and what an open transaction
        wrote counts as the end there, though nobody may read it yet.
        """
        is_due = self._clock() >= self._ends_due_s
        waits = False
        for reading in self._roll.present():
            highwater = self._consumer.highwater(_part(reading))
            if highwater is not None and highwater != reading.highwater:
                reading.highwater = reading.end = highwater
            waits = waits or reading.end is None or reading.offset < reading.end
        if is_due:
            self._ends_due_s = self._clock() + _ENDS_EVERY_S
            if waits:
                self.refresh_ends()


def _part(reading: Reading) -> TopicPartition:
    return TopicPartition(reading.topic, reading.number)
