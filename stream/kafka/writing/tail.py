"""The end of a topic, read to learn which messages of a run are on it already."""

import time
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.errors import (
    KafkaTimeoutError,
    LeaderNotAvailableError,
    TopicAuthorizationFailedError,
    for_code,
)
from kafka.partitioner import murmur2

from stream.kafka.cluster.connecting import connect
from stream.kafka.writing.messages import Destination, Place, number_of

# A broker that says nothing for so long is away; the reading begins again.
_ANSWER_S = 20.0
_POLL_MS = 200
_NEEDED = ("READ", "WRITE")
_CONSUMER_SETTINGS: dict[str, Any] = {
    "group_id": None,
    "enable_auto_commit": False,
    "auto_offset_reset": "earliest",
    "allow_auto_create_topics": False,
}


@dataclass(frozen=True, slots=True)
class Tail:
    """What was found: the highest number of the run, -1 for none, and the place after it all."""

    number: int
    place: Place


def read_tail(
    destination: Destination, place: Place | None, is_new: bool, settle: Callable[[], object]
) -> Tail:
    """Where a sink stands on its topic, and where it goes on.

    All messages of a run and output lie in one partition, in the order of their numbers. They are
    looked for from `place` on; without one, or on a topic that was made again since, everywhere.
    A run that is new has none: its partition follows from its id, as for any keyed message.

    The end is read twice, with `settle` called between: what a process that was killed had under
    way is appended a moment later.

    Raises
    ------
    KafkaError
        If no broker lets us in.
    kafka.errors.KafkaError
        If the broker does not answer, or refuses.
    """
    topic = destination.topic
    topic_id, partitions = _described(destination)
    by_key = partitions[(murmur2(destination.run_id.encode()) & 0x7FFFFFFF) % len(partitions)]
    with closing(_connected(KafkaConsumer, destination, **_CONSUMER_SETTINGS)) as consumer:
        if place is None and is_new:
            end = _ends(consumer, [TopicPartition(topic, by_key)])
            return Tail(-1, Place(topic_id, by_key, *end.values()))
        scan = _Scan(consumer, destination)
        is_same = place is not None and place.topic_id == topic_id
        if place is not None and is_same and place.partition in partitions:
            scan.begin({place.partition: place.offset})
        else:
            scan.begin(dict.fromkeys(partitions, 0))
        scan.read_to_end()
        settle()
        scan.read_to_end()
    if scan.partition is None:
        scan.partition = place.partition if place and place.partition in partitions else by_key
    offset = scan.position_of[TopicPartition(topic, scan.partition)]
    return Tail(scan.number, Place(topic_id, scan.partition, offset))


class _Scan:
    """Reads partitions up to what was their end when it looked."""

    def __init__(self, consumer: KafkaConsumer, destination: Destination) -> None:
        self._consumer = consumer
        self._destination = destination
        self.position_of: dict[TopicPartition, int] = {}
        self.number = -1
        self.partition: int | None = None

    def begin(self, offset_of: dict[int, int]) -> None:
        """Go to an offset of each partition: not before what retention left, nor past the end."""
        topic = self._destination.topic
        wanted = {TopicPartition(topic, partition): at for partition, at in offset_of.items()}
        firsts = self._consumer.beginning_offsets(list(wanted), timeout_ms=_ANSWER_S * 1000)
        ends = _ends(self._consumer, wanted)
        for one, offset in wanted.items():
            # Past the end: the log is shorter than it was. All that is left of it is looked at.
            inside = firsts[one] <= offset <= ends[one]
            self.position_of[one] = offset if inside else firsts[one]

    def read_to_end(self) -> None:
        ends = _ends(self._consumer, self.position_of)
        missing = {one for one, end in ends.items() if self.position_of[one] < end}
        self._consumer.assign(sorted(missing))
        for one in missing:
            self._consumer.seek(one, self.position_of[one])
        give_up_s = time.monotonic() + _ANSWER_S
        while missing:
            fetched = self._consumer.poll(timeout_ms=_POLL_MS)
            for one, messages in fetched.items():
                self._look_at(one, messages)
            for one in tuple(missing):
                # The position, not the last message's: markers of transactions have offsets too.
                position = self._consumer.position(one, timeout_ms=_ANSWER_S * 1000)
                if position is not None and position > self.position_of[one]:
                    self.position_of[one] = position
                    give_up_s = time.monotonic() + _ANSWER_S
                if self.position_of[one] >= ends[one]:
                    missing.discard(one)
            if missing and time.monotonic() > give_up_s:
                raise KafkaTimeoutError(f"no message was read for {_ANSWER_S:.0f} s")

    def _look_at(self, one: TopicPartition, messages: Iterable[Any]) -> None:
        run_id, output = self._destination.run_id, self._destination.output
        for message in messages:
            number = number_of(message.headers, run_id, output)
            if number is not None and number > self.number:
                self.number, self.partition = number, one.partition


def _described(destination: Destination) -> tuple[str, list[int]]:
    """The id of the topic and its partitions."""
    with closing(_connected(KafkaAdminClient, destination)) as admin:
        (topic,) = admin.describe_topics([destination.topic])
    if topic["error_code"]:
        raise for_code(topic["error_code"])(destination.topic)
    # A broker before Kafka 2.3 says nothing of what is allowed.
    allowed = topic.get("authorized_operations") or _NEEDED
    if not set(_NEEDED) <= set(allowed):
        raise TopicAuthorizationFailedError(destination.topic)
    partitions = sorted(partition["partition_index"] for partition in topic["partitions"])
    if not partitions:
        raise LeaderNotAvailableError(destination.topic)
    return str(topic["topic_id"] or "").replace("-", ""), partitions


def _connected(make: Callable[..., Any], destination: Destination, **settings: Any) -> Any:
    return connect(make, destination.connection, destination.connection_setting, **settings)


def _ends(consumer: KafkaConsumer, ones: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
    ends: dict[TopicPartition, int] = consumer.end_offsets(list(ones), timeout_ms=_ANSWER_S * 1000)
    return ends
