"""Where the very first run begins, and topics that are not there."""

import difflib
import time
from collections.abc import Callable, Collection, Mapping, Sequence

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError as ClientError
from kafka.errors import KafkaTimeoutError, TopicAuthorizationFailedError

from stream.errors import KafkaError
from stream.kafka.cluster.connection import explain
from stream.kafka.fetching.consuming import Opened
from stream.kafka.fetching.positions import Cursor, in_order, number_of, topic_of
from stream.kafka.fetching.topic_watch import TopicFacts, TopicWatch
from stream.kafka.settings import KafkaSourceConfig

OFFSETS_TIMEOUT_MS = 5_000
# A topic that was just created is not known to every broker at once.
_APPEARS_WITHIN_S = 5.0
_ANSWERS_WITHIN_S = 10.0
_STEP_S = 0.02


def start_of(
    config: KafkaSourceConfig,
    open_consumer: Callable[[], Opened],
    clock: Callable[[], float],
    is_stopped: Callable[[], bool],
) -> dict[str, Cursor] | None:
    """What `source.kafka.start` means for all topics; None if `is_stopped` ended the waiting.

    Raises
    ------
    KafkaError
        If a topic or an offset is not there, or the brokers do not answer.
    """

    def pause(wait_s: float) -> bool:
        time.sleep(wait_s)
        return is_stopped()

    opened = open_consumer()
    try:
        watch = TopicWatch(opened.cluster, [topic.name for topic in config.topics], clock)
        if not await_topics(config, opened.consumer, watch, (), pause):
            return None
        return first_cursors(config, opened.consumer, watch.facts)
    except ClientError as err:
        raise explain(err, config.connection) from err
    finally:
        opened.close()


def await_topics(
    config: KafkaSourceConfig,
    consumer: KafkaConsumer,
    watch: TopicWatch,
    known: Collection[str],
    pause: Callable[[float], bool],
) -> bool:
    """Wait until the brokers have told of every topic; whether to go on.

    Parameters
    ----------
    config : KafkaSourceConfig
        Names the topics.
    consumer : KafkaConsumer
        Knows what other topics there are.
    watch : TopicWatch
        Asks about the topics.
    known : collection of str
        Topics that were read before: they may be gone.
    pause : callable
        Lets so many seconds pass; true ends the waiting.

    Raises
    ------
    KafkaError
        If a topic is not there that was never read, or this client may not see it.
    kafka.errors.KafkaError
        If the brokers do not answer in time.
    """
    waited_s = 0.0
    watch.ask()
    while True:
        is_answered = watch.is_answered()
        missing = [
            t.name for t in config.topics if t.name not in watch.facts and t.name not in known
        ]
        if watch.forbidden:
            err = TopicAuthorizationFailedError(set(watch.forbidden))
            raise explain(err, config.connection) from err
        if is_answered and not missing:
            return True
        if is_answered and waited_s >= _APPEARS_WITHIN_S:
            raise unknown_topic(missing[0], sorted(consumer.topics()), config)
        if waited_s >= _ANSWERS_WITHIN_S:
            raise KafkaTimeoutError("nobody told of the topics")
        if pause(_STEP_S):
            return False
        waited_s += _STEP_S


def first_cursors(
    config: KafkaSourceConfig, consumer: KafkaConsumer, facts: Mapping[str, TopicFacts]
) -> dict[str, Cursor]:
    """What `source.kafka.start` means: a cursor for every partition of these topics.

    With a time a partition begins at its first record of that time or later, at its end if there
    is none. Of given offsets a partition that is not named begins at its first record.

    Parameters
    ----------
    config : KafkaSourceConfig
        Says where to begin.
    consumer : KafkaConsumer
        Asks the brokers.
    facts : mapping
        The topics to begin with.

    Raises
    ------
    KafkaError
        If a given offset, or its partition, is not there.
    kafka.errors.KafkaError
        If the brokers do not answer in time.
    """
    names = sorted(
        (f"{topic}/{number}" for topic, found in facts.items() for number in found.partitions),
        key=in_order,
    )
    parts = {name: TopicPartition(topic_of(name), number_of(name)) for name in names}
    every = list(parts.values())
    first = consumer.beginning_offsets(every, timeout_ms=OFFSETS_TIMEOUT_MS)
    last = consumer.end_offsets(every, timeout_ms=OFFSETS_TIMEOUT_MS)
    if isinstance(config.start, dict):
        bounds = {name: (first[part], last[part]) for name, part in parts.items()}
        offsets = _given(config.start, bounds, facts)
    elif isinstance(config.start, int):
        times = dict.fromkeys(every, config.start)
        found = consumer.offsets_for_times(times, timeout_ms=OFFSETS_TIMEOUT_MS)
        offsets = {
            name: last[part] if found[part] is None else found[part].offset
            for name, part in parts.items()
        }
    else:
        chosen = first if config.start == "earliest" else last
        offsets = {name: chosen[part] for name, part in parts.items()}
    return {name: Cursor(offsets[name], facts[topic_of(name)].topic_id) for name in names}


def unknown_topic(missing: str, existing: Sequence[str], config: KafkaSourceConfig) -> KafkaError:
    """The error of a topic that is not there, with the name that was meant, perhaps."""
    where = ", ".join(config.connection.bootstrap)
    near = difflib.get_close_matches(missing, existing, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}? " if near else ""
    return KafkaError(
        f"source.kafka.topics: there is no topic {missing} at {where}, or this client may not see "
        f"it; {hint}correct the name, or create the topic"
    )


def _given(
    start: Mapping[str, int],
    bounds: Mapping[str, tuple[int, int]],
    facts: Mapping[str, TopicFacts],
) -> dict[str, int]:
    """The offsets that are given, and the first ones of other partitions."""
    for name, offset in start.items():
        if topic_of(name) not in facts:
            continue
        if name not in bounds:
            count = len(facts[topic_of(name)].partitions)
            raise KafkaError(
                f"source.kafka.start: {name} is not there, {topic_of(name)} has {count} "
                f"partitions, numbered from 0"
            )
        first, last = bounds[name]
        if not first <= offset <= last:
            raise KafkaError(
                f"source.kafka.start: {name} holds the offsets {first} to {last}, got {offset}; "
                "give one of these, or earliest or latest"
            )
    return {name: start.get(name, bounds[name][0]) for name in bounds}
