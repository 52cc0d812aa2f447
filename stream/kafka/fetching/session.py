"""One open consumer: what it fetches, and what it finds to be gone."""

import sys
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kafka import TopicPartition
from kafka.errors import (
    KafkaTimeoutError,
    LogTruncationError,
    OffsetOutOfRangeError,
    TopicAuthorizationFailedError,
)

from stream.kafka.fetching.bounds import Bounds
from stream.kafka.fetching.chunks import Chunk, nothing
from stream.kafka.fetching.consuming import Opened
from stream.kafka.fetching.gaps import Gap, Gaps, n_offsets
from stream.kafka.fetching.handover import Handover
from stream.kafka.fetching.held_back import HeldBack
from stream.kafka.fetching.partitions import Partition, Partitions
from stream.kafka.fetching.positions import Cursor, Stretch, rewritten
from stream.kafka.fetching.starting import OFFSETS_TIMEOUT_MS, await_topics, first_cursors
from stream.kafka.fetching.topic_watch import TopicWatch
from stream.kafka.settings import KafkaSourceConfig

_POLL_TIMEOUT_MS = 200
_HELD_TIMEOUT_MS = 20
# Whoever takes a part of what was fetched leaves the broker without anything to do meanwhile.
_ALL = sys.maxsize
_SOME_POSITIONS = 8
_MANY_POSITIONS = 64
_ENDS_EVERY_S = 5.0
_ENDS_TIMEOUT_MS = 2_000

Delivery = list[tuple[str, Chunk]]


@dataclass(frozen=True, slots=True)
class _Suspicion:
    """A partition could not be read where it stood; it differs from its log behind `common_end`."""

    common_end: int | None = None


class Session:
    """Reads every partition through one consumer.

    It belongs to one thread. What it holds back when it is given up is fetched again by the next.

    Parameters
    ----------
    config : KafkaSourceConfig
        Names the topics, and says how far ahead they are read.
    opened : Opened
        The consumer.
    partitions : Partitions
        What is read, and how far it was.
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
        partitions: Partitions,
        gaps: Gaps,
        handover: Handover,
        clock: Callable[[], float],
    ) -> None:
        self._config = config
        self._consumer = opened.consumer
        self._share_among = opened.share_among
        self._partitions = partitions
        self._gaps = gaps
        self._handover = handover
        self._clock = clock
        self._watch = TopicWatch(opened.cluster, [topic.name for topic in config.topics], clock)
        self._held_back = HeldBack(self._watch)
        self._suspects: dict[str, _Suspicion] = {}
        self._bounds = Bounds(opened.consumer, clock)
        self._unsettled: dict[str, _Suspicion | None] = {}
        self._settle_due_s = 0.0
        self._is_settled = False
        self._paused: set[str] = set()
        self._to_pause: set[str] = set()
        self._resumed: set[str] = set()
        self._sent_s = 0.0
        self._n_asked = 0
        self._n_answers_seen = 0
        self.arrived_s: float | None = None
        self._ends_due_s = clock() + _ENDS_EVERY_S
        for partition in partitions:
            partition.go_to(partition.delivered)
            partition.is_new = True
            partition.highwater = None
            partition.is_full = False

    @property
    def problem(self) -> str | None:
        """Which partitions cannot be read at present; None if there is none."""
        return self._bounds.problem

    @property
    def answered_s(self) -> float:
        """When a broker last answered a question."""
        return self._watch.heard_s

    @property
    def heard_s(self) -> float:
        """When a broker last answered, or records came from it."""
        return max(self._watch.heard_s, self._sent_s)

    def begin(self, pause: Callable[[float], bool]) -> dict[str, Cursor] | None:
        """Find the partitions and go to where they were left; the cursors of topics never read.

        None if `pause` ended the waiting for the brokers.
        """
        partitions, watch = self._partitions, self._watch
        if not await_topics(self._config, self._consumer, watch, partitions.topics, pause):
            return None
        new = {
            topic: found for topic, found in watch.facts.items() if topic not in partitions.topics
        }
        started = first_cursors(self._config, self._consumer, new)
        partitions.start(started)
        return started

    def turn(self) -> Delivery:
        """Fetch what is there, wait shortly if nothing is, and hand out what may be."""
        delivery = self._follow_topics()
        if self._suspects and self._watch.is_answered():
            suspects, self._suspects = self._suspects, {}
            self._settle(suspects)
        if self._unsettled and self._clock() >= self._settle_due_s:
            self._settle(self._unsettled)
        self._make_room()
        try:
            self._fetch()
        except OffsetOutOfRangeError as err:
            self._suspect(dict.fromkeys(err.args[0], _Suspicion()))
        except LogTruncationError as err:
            ends = err.divergent_offsets
            self._suspect({part: _Suspicion(end and end.offset) for part, end in ends.items()})
        for partition, chunk in self._held_back.released():
            partition.delivered = chunk.stop
            delivery.append((partition.name, chunk))
        self._look_at_ends()
        return delivery

    def refresh_ends(self) -> bool:
        """Ask where the partitions end; whether an answer came."""
        parts = {_part(partition): partition for partition in self._partitions.present()}
        ends = self._bounds.ends(list(parts), _ENDS_TIMEOUT_MS)
        if not ends:
            return False
        for part, partition in parts.items():
            partition.end = ends.get(part)
        return True

    def _follow_topics(self) -> Delivery:
        """See what changed about the topics; jumps that the loop is to be told of at once."""
        if self._watch.forbidden:
            raise TopicAuthorizationFailedError(set(self._watch.forbidden))
        n_answers = self._watch.n_answers
        if n_answers == self._n_answers_seen:
            return []
        restarted, appeared = self._partitions.compare(self._watch.facts)
        self._n_answers_seen = n_answers
        if restarted or appeared:
            self._assign()
        for partition in restarted:
            self._held_back.drop(partition)
            self._suspects.pop(partition.name, None)
        self._settle({r.name: None for r in (*restarted, *appeared) if not r.is_missing})
        return [(partition.name, self._jump(partition)) for partition in restarted]

    def _assign(self) -> None:
        """Fetch the partitions that exist, and none of them paused, as a new one is not."""
        parts = [_part(partition) for partition in self._partitions.present()]
        self._share_among(len(parts))
        self._consumer.assign(parts)
        self._consumer.resume(*parts)
        self._paused.clear()
        self._to_pause.clear()
        self._bounds.keep(parts)
        names = {partition.name for partition in self._partitions.present()}
        self._unsettled = {name: one for name, one in self._unsettled.items() if name in names}
        self._hold_unsettled()

    def _settle(self, wanted: Mapping[str, _Suspicion | None]) -> None:
        """Go to where these are to be read, or behind what is gone there.

        One that nobody answers for is not read until somebody does; it is tried again.
        """
        parts = {_part(self._partitions.by_name[name]): name for name in sorted(wanted)}
        if not parts:
            return
        bounds = self._bounds.both(list(parts), OFFSETS_TIMEOUT_MS)
        if not (bounds or self._is_settled):
            raise KafkaTimeoutError("nobody told where the partitions begin and end")
        self._is_settled = True
        for part, name in parts.items():
            partition, suspicion = self._partitions.by_name[name], wanted[name]
            if part in bounds:
                self._unsettled = {n: one for n, one in self._unsettled.items() if n != name}
                self._settle_within(partition, bounds[part], suspicion)
            else:
                self._unsettled = {**self._unsettled, name: suspicion}
                partition.end = None
            self._consumer.seek(part, partition.offset)
        self._settle_due_s = self._clock() + _ENDS_EVERY_S
        self._hold_unsettled()

    def _hold_unsettled(self) -> None:
        self._consumer.pause(*(_part(self._partitions.by_name[name]) for name in self._unsettled))
        self._paused |= self._unsettled.keys()

    def _settle_within(
        self, partition: Partition, bounds: tuple[int, int], suspicion: _Suspicion | None
    ) -> None:
        """Have it read on between where its log begins and where it ends."""
        first, partition.end = bounds
        end = bounds[1]
        if suspicion is not None and suspicion.common_end is not None:
            end = min(suspicion.common_end, end)
        if partition.delivered < partition.open_start and end < partition.open_start:
            raise rewritten(partition.name, end, partition.open_start)
        if suspicion is not None and partition.offset > end:
            self._shortened(partition, end)
        elif partition.offset < first:
            self._deleted(partition, first)

    def _shortened(self, partition: Partition, end: int) -> None:
        """The log ends before what was fetched of it."""
        self._held_back.drop(partition)
        if partition.delivered <= end:  # nobody was handed what is no longer there
            partition.go_to(partition.delivered)
            return
        self._gaps.met(Gap(partition.name, "shortened", partition.delivered, end, 0, is_bound=True))
        partition.restart((Stretch(partition.topic_id, end),))
        self._held_back.add(partition, self._jump(partition))

    def _deleted(self, partition: Partition, first: int) -> None:
        """Retention, or somebody, was faster than we were."""
        before = partition.offset
        n_lost = n_offsets(partition.ahead, before, first, partition.topic_id)
        partition.go_to(first)
        if n_lost:
            self._gaps.met(Gap(partition.name, "retention", before, partition.offset, n_lost))
        self._held_back.add(partition, self._jump(partition))

    def _jump(self, partition: Partition) -> Chunk:
        return nothing(partition.topic_id, partition.offset, partition.offset, self._clock())

    def _suspect(self, suspicions: Mapping[TopicPartition, _Suspicion]) -> None:
        """Something is wrong with these: first see whether the topic is still the same."""
        found = {f"{part.topic}/{part.partition}": one for part, one in suspicions.items()}
        if not found.keys() <= self._suspects.keys():
            self._watch.ask()
        self._suspects.update(found)

    def _make_room(self) -> None:
        """Stop fetching what waits to be used, and go on when half of it is.

        A partition stops at its share. While there is enough in all, so does every one of which
        anything waits; the others, for which the loop may be waiting, go on.
        """
        present = self._partitions.present()
        waiting = {partition.name: self._waiting(partition.name) for partition in present}
        in_all = max((sum(part) for part in zip(*waiting.values(), strict=True)), default=0.0)
        for partition in present:
            filled = len(present) * max(waiting[partition.name])
            is_above = filled >= 1 or (partition.is_full and filled >= 0.5)
            partition.is_full = is_above or (in_all >= 1 and filled > 0)
            is_held = partition.name in self._suspects or partition.name in self._unsettled
            if partition.is_full or is_held:
                self._to_pause.add(partition.name)
            else:
                self._to_pause.discard(partition.name)
                if partition.name in self._paused:
                    self._consumer.resume(_part(partition))
                    self._paused.discard(partition.name)
                    self._resumed.add(partition.name)

    def _waiting(self, name: str) -> tuple[float, float]:
        """How much of what may wait of all partitions is this one's: in records, and in bytes."""
        (n_records, n_bytes), held = self._handover.waiting(name), self._held_back.held(name)
        return (
            (n_records + held[0]) / self._config.buffer_records,
            (n_bytes + held[1]) / self._config.buffer_bytes,
        )

    def _fetch(self) -> None:
        """Take what was fetched of every partition, decoded, and hold it back."""
        consumer = self._consumer
        present = self._partitions.present()
        timeout_ms = _HELD_TIMEOUT_MS if self._held_back or self._suspects else _POLL_TIMEOUT_MS
        if all(partition.name in self._paused for partition in present):
            self._handover.wait_for_change(timeout_ms / 1000)
            return
        fetched: Mapping[TopicPartition, Sequence[Any]] = consumer.poll(
            timeout_ms, max_records=_ALL
        )
        now_s = self._clock()
        self._pause()
        if fetched:
            self.arrived_s = now_s
        # What a pause ended for may have waited on our side, while the broker fell silent.
        if any(f"{part.topic}/{part.partition}" not in self._resumed for part in fetched):
            self._sent_s = now_s
        self._resumed.clear()
        for partition in present:
            if records := fetched.get(_part(partition)):
                self._take(partition, records, records[-1].offset + 1, now_s)
        self._pass_without_record(fetched, now_s)

    def _pass_without_record(self, fetched: Container[TopicPartition], now_s: float) -> None:
        """Go on behind what a transaction leaves: it has offsets too.

        Each position takes kafka-python 3.0.12 the longer the more partitions there are, 3 ms of
        500: they are asked for in turn.
        """
        waits = [
            partition
            for partition in self._partitions.present()
            if _part(partition) not in fetched
            and partition.name not in self._paused
            and partition.offset < (partition.end or 0)
        ]
        first = self._n_asked % max(1, len(waits))
        n_positions = _SOME_POSITIONS if fetched else _MANY_POSITIONS
        for partition in (waits[first:] + waits[:first])[:n_positions]:
            self._n_asked += 1
            position = self._consumer.position(_part(partition), timeout_ms=0)
            if position is not None and position > partition.offset:
                self._take(partition, (), position, now_s)

    def _pause(self) -> None:
        """Stop fetching what must wait, right after all that was fetched was taken.

        Of what came with one fetch kafka-python 3.0.12 loses sight if its partition is paused
        when some of it was taken and some not: after `resume` that stays away, for ever.
        """
        for name in self._to_pause - self._paused:
            self._consumer.pause(_part(self._partitions.by_name[name]))
        self._paused |= self._to_pause

    def _take(
        self, partition: Partition, records: Sequence[Any], position: int, now_s: float
    ) -> None:
        self._held_back.add(partition, partition.chunk(records, position, now_s))
        if partition.offset != position:
            self._consumer.seek(_part(partition), partition.offset)

    def _look_at_ends(self) -> None:
        """Take over the ends that came with records; ask for those of partitions that wait.

        Of a paused partition no record comes, and with it no end; and what an open transaction
        wrote counts as the end there, though nobody may read it yet.
        """
        is_due = self._clock() >= self._ends_due_s
        waits = False
        for partition in self._partitions.present():
            highwater = self._consumer.highwater(_part(partition))
            if highwater is not None and highwater != partition.highwater:
                partition.highwater = partition.end = highwater
            waits = waits or partition.end is None or partition.offset < partition.end
        if is_due:
            self._ends_due_s = self._clock() + _ENDS_EVERY_S
            if waits:
                self.refresh_ends()


def _part(partition: Partition) -> TopicPartition:
    return TopicPartition(partition.topic, partition.number)
