"""Where the logs of partitions begin and end, as far as anybody answers.

kafka-python answers for all partitions at once, or not at all: one without a leader would keep
every other one from being read.
"""

from collections.abc import Callable, Mapping, Sequence

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError as ClientError

from stream.kafka.cluster.connection import is_temporary

# While somebody is waited for, nothing is read.
_ONE_TIMEOUT_MS = 300
_ONE_BY_ONE_S = 2.0
_NAMED = 5


class Bounds:
    """Asks for all at once, and where that fails one by one, for two seconds at most.

    Parameters
    ----------
    consumer : KafkaConsumer
        Asks the brokers.
    clock : callable
        Seconds that never go back.
    """

    def __init__(self, consumer: KafkaConsumer, clock: Callable[[], float]) -> None:
        self._consumer = consumer
        self._clock = clock
        self._unanswered: dict[TopicPartition, None] = {}

    @property
    def problem(self) -> str | None:
        """For which partitions nobody answers; None if there is none."""
        if not self._unanswered:
            return None
        names = [f"{part.topic}/{part.partition}" for part in sorted(self._unanswered)]
        named = ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
        return f"source.kafka.topics: nobody answers for {named}: they may have no leader"

    def keep(self, parts: Sequence[TopicPartition]) -> None:
        """Forget the partitions that are not among these."""
        self._unanswered = {part: None for part in self._unanswered if part in parts}

    def both(
        self, parts: Sequence[TopicPartition], timeout_ms: int
    ) -> dict[TopicPartition, tuple[int, int]]:
        """Where these begin and end, those that nobody answers for left out."""
        first = self._ask(self._consumer.beginning_offsets, parts, timeout_ms)
        last = self._ask(self._consumer.end_offsets, list(first), timeout_ms)
        return {part: (first[part], end) for part, end in last.items()}

    def ends(self, parts: Sequence[TopicPartition], timeout_ms: int) -> dict[TopicPartition, int]:
        """Where these end, those that nobody answers for left out."""
        return self._ask(self._consumer.end_offsets, parts, timeout_ms)

    def _ask(
        self,
        find: Callable[..., Mapping[TopicPartition, int]],
        parts: Sequence[TopicPartition],
        timeout_ms: int,
    ) -> dict[TopicPartition, int]:
        """What is found; those that failed before are asked about apart, the longest ago first."""
        at_once = [part for part in parts if part not in self._unanswered]
        apart = [part for part in self._unanswered if part in parts]
        found = self._found(find, at_once, timeout_ms) if at_once else {}
        if not found:
            apart = [*at_once, *apart]
        until_s = self._clock() + _ONE_BY_ONE_S
        silent: list[TopicPartition] = []
        for part in apart:
            if self._clock() >= until_s:
                self._unanswered.setdefault(part)
                continue
            self._unanswered.pop(part, None)
            one = self._found(find, [part], _ONE_TIMEOUT_MS)
            found |= one
            if not one:
                silent.append(part)
        self._unanswered.update(dict.fromkeys(silent))  # behind those that had no turn
        return found

    def _found(
        self,
        find: Callable[..., Mapping[TopicPartition, int]],
        parts: Sequence[TopicPartition],
        timeout_ms: int,
    ) -> dict[TopicPartition, int]:
        try:
            return dict(find(parts, timeout_ms=timeout_ms))
        except ClientError as err:
            if not is_temporary(err):
                raise
            return {}
