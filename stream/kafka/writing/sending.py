"""The thread that brings a sink's messages onto its topic, each once, in order."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import structlog
from kafka import KafkaProducer
from kafka.errors import (
    AuthorizationError,
    InvalidTopicError,
    KafkaConfigurationError,
    KafkaTimeoutError,
    LeaderNotAvailableError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    SaslAuthenticationFailedError,
    UnknownError,
    UnknownTopicOrPartitionError,
    UnsupportedSaslMechanismError,
    UnsupportedVersionError,
)
from kafka.errors import KafkaError as ClientError

from stream.errors import FreshrankError, KafkaError, SinkError
from stream.kafka.cluster.connecting import connect
from stream.kafka.cluster.connection import explain, is_temporary
from stream.kafka.writing.messages import Destination, Message, Place, cut_in_half, number_headers
from stream.kafka.writing.reachability import Reachability
from stream.kafka.writing.tail import read_tail
from stream.kafka.writing.unacknowledged import Unacknowledged

LOGGER = structlog.get_logger("freshrank.kafka")

# What is under way at one time: one record batch, which the broker takes whole or not at all.
_REQUEST_BYTES = 64 << 10
_REQUEST_MESSAGES = 500
# Brokers close the connection at 100 MiB, without a word.
_MESSAGE_BYTES = 32 << 20
_LOOK_S = 0.2
_SILENT_S = 3.0
_FIRST_RETRY_S = 0.1
_LAST_RETRY_S = 5.0
_LET_GO_S = 2.0

_REFUSALS = (
    AuthorizationError,
    InvalidTopicError,
    KafkaConfigurationError,
    SaslAuthenticationFailedError,
    UnknownTopicOrPartitionError,
    UnsupportedSaslMechanismError,
    UnsupportedVersionError,
)
_TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)

_PRODUCER_SETTINGS: dict[str, Any] = {
    "acks": "all",
    "enable_idempotence": True,
    "allow_auto_create_topics": False,
    # Never full and never lingered for: a request leaves when all of it is there, at `flush`.
    "batch_size": 4 * _REQUEST_BYTES,
    "linger_ms": 10_000,
    "delivery_timeout_ms": 120_000,
    "max_request_size": _MESSAGE_BYTES,
    "max_block_ms": 5_000,
    "metrics_enabled": False,
}


@dataclass(frozen=True, slots=True)
class Patience:
    """How long what is waited for.

    `settle_s` for what a killed process had under way to arrive; `refused_s` before a refusal is
    believed, as a topic just made is not known everywhere; `incident_s` before a topic that is
    away is an incident.
    """

    settle_s: float = 1.0
    refused_s: float = 8.0
    incident_s: float = 60.0


class Sender:
    """Sends what waits, for as long as it takes.

    Each time it connects it reads from the topic which numbers are there, and goes on behind
    them. One request is under way at a time. While a broker is away the same request is repeated,
    and the broker knows a repetition by its sequence; a request whose end stays unknown ends the
    connection. So no number is sent twice, and none before the one ahead of it.

    Parameters
    ----------
    destination : Destination
        Where to.
    waiting : Unacknowledged
        What is to be sent; told of what was, and of a failure that nobody here can mend.
    before_send : callable
        Called before each request: what it brings to disk is there before the message leaves.
    reachability : Reachability
        Told when the topic is lost and reached.
    patience : Patience
        How long to wait for what.
    """

    def __init__(
        self,
        destination: Destination,
        waiting: Unacknowledged,
        before_send: Callable[[], None],
        reachability: Reachability,
        patience: Patience,
    ) -> None:
        self._destination = destination
        self._waiting = waiting
        self._before_send = before_send
        self._reachability = reachability
        self._patience = patience
        self._thread: threading.Thread | None = None
        self._is_new = False
        self._is_ending = threading.Event()
        self._end_s = float("inf")
        self._n_alone = 0
        self._refused_bytes = float("inf")
        self._refused_since_s: float | None = None
        self._problem: str | None = None

    @property
    def problem(self) -> str | None:
        """Why the topic cannot be reached just now; None while it can."""
        return self._problem if self._reachability.is_lost else None

    @property
    def is_started(self) -> bool:
        return self._thread is not None

    def start(self, is_new: bool) -> None:
        """Begin to send. A new run has nothing on the topic yet."""
        self._is_new = is_new
        name = f"kafka-{self._destination.output}"
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def finish(self, timeout_s: float) -> None:
        """Send what waits, for so long at most; nothing is sent after this has returned."""
        self._end_s = time.monotonic() + timeout_s
        self._is_ending.set()
        self._waiting.wake()
        if self._thread is not None:
            self._thread.join(timeout_s + 2 * _LET_GO_S)

    def _run(self) -> None:
        setting = self._destination.setting
        failure: FreshrankError | None = SinkError(
            f"{setting}: the thread that sends to topic {self._destination.topic} ended for a "
            "reason it does not know; its traceback is in the log"
        )
        try:
            self._send_until_the_end()
            failure = None
        except FreshrankError as err:
            failure = err
        finally:
            if failure is not None:
                self._waiting.fail(failure)

    def _send_until_the_end(self) -> None:
        retry_s = _FIRST_RETRY_S
        while not self._is_over():
            is_connected = False
            try:
                place = self._take_stock()
                producer = connect(
                    KafkaProducer,
                    self._destination.connection,
                    self._destination.connection_setting,
                    **_PRODUCER_SETTINGS,
                )
                try:
                    is_connected = True
                    retry_s, self._refused_since_s = _FIRST_RETRY_S, None
                    self._send_on(producer, place)
                finally:
                    _let_go(producer)
            except (KafkaError, ClientError, OSError) as err:
                self._weigh(err, is_connected)
                if self._is_ending.is_set() and self._reachability.is_lost:
                    return  # what waits is in the state
                self._pause(retry_s)
                retry_s = min(2 * retry_s, _LAST_RETRY_S)

    def _take_stock(self) -> Place:
        """Learn from the topic which messages it has."""
        place, is_new = self._waiting.place, self._is_new
        tail = read_tail(
            self._destination, place, is_new, lambda: self._pause(self._patience.settle_s)
        )
        self._is_new = False
        self._waiting.acknowledge(tail.number, tail.place)
        if not self._waiting:
            self._reachability.reached()
        return tail.place

    def _send_on(self, producer: Any, place: Place) -> None:
        if place.partition not in producer.partitions_for(self._destination.topic):
            raise LeaderNotAvailableError(f"partition {place.partition}")
        while not self._is_over():
            most = 1 if self._n_alone else _REQUEST_MESSAGES
            first, messages = self._waiting.next_messages(most, _REQUEST_BYTES, _LOOK_S)
            if messages and messages[0].n_bytes >= self._refused_bytes:
                self._cut(first, messages[0])
            elif messages:
                self._before_send()
                place = self._send(producer, place, first, messages)

    def _send(self, producer: Any, place: Place, first: int, messages: Sequence[Message]) -> Place:
        """Send one request; what the broker took of it is acknowledged, whatever comes then."""
        deliveries = [
            self._hand_over(producer, place.partition, first + i, message)
            for i, message in enumerate(messages)
        ]
        self._await(producer, deliveries)
        n_taken = 0
        for delivery in deliveries:
            if not delivery.succeeded():
                break
            n_taken += 1
            place = replace(place, offset=max(place.offset, delivery.value.offset + 1))
        if n_taken:
            self._waiting.acknowledge(first + n_taken - 1, place)
            self._reachability.reached()
            self._n_alone = max(self._n_alone - n_taken, 0)
        if n_taken < len(messages) and deliveries[n_taken].failed():
            raise deliveries[n_taken].exception
        return place

    def _hand_over(self, producer: Any, partition: int, number: int, message: Message) -> Any:
        run_id, output = self._destination.run_id, self._destination.output
        return producer.send(
            self._destination.topic,
            message.value,
            key=run_id.encode() if message.key is None else message.key,
            headers=[*number_headers(run_id, output, number), *message.headers],
            partition=partition,
        )

    def _await(self, producer: Any, deliveries: Sequence[Any]) -> None:
        """Return when the end of each delivery is known, or the time is over."""
        begun_s = time.monotonic()
        while not all(delivery.is_done for delivery in deliveries) and not self._is_out_of_time():
            try:
                producer.flush(timeout=_LOOK_S)
            except (KafkaTimeoutError, UnknownError):  # not yet; or halved, as too large a request
                silent_s = time.monotonic() - begun_s
                if silent_s >= _SILENT_S:
                    self._lost(f"no answer for {round(silent_s)} s")

    def _weigh(self, err: KafkaError | ClientError | OSError, is_connected: bool) -> None:
        """Return if it is worth another try.

        Raises
        ------
        SinkError
            If somebody has to change something first.
        """
        if isinstance(err, _TOO_LARGE):
            self._shorten(err)
            return
        is_refusal = isinstance(err, _REFUSALS)
        if isinstance(err, KafkaError):
            is_refusal = not is_temporary(err)
        now_s = time.monotonic()
        self._refused_since_s = (self._refused_since_s or now_s) if is_refusal else None
        if self._refused_since_s is not None:
            refused_s = now_s - self._refused_since_s
            if is_connected or refused_s >= self._patience.refused_s:
                raise self._refusal(err) from err
        self._lost(str(err))

    def _lost(self, reason: str) -> None:
        self._problem = reason
        self._reachability.lost(reason)

    def _shorten(self, err: ClientError) -> None:
        """Send one message at a time, until the one is found that is too large by itself.

        What could be blamed is only what was sent alone: a request may be too large as a whole.
        """
        was_alone = self._n_alone > 0
        self._n_alone = self._n_alone or min(len(self._waiting), _REQUEST_MESSAGES)
        first, (message,) = self._waiting.next_messages(1, _REQUEST_BYTES, 0)
        if not was_alone and message.n_bytes <= _REQUEST_BYTES:
            return
        if not message.is_cuttable or not message.value:
            raise SinkError(
                f"{self._destination.setting}: topic {self._destination.topic} takes no message "
                f"as large as number {first} with {len(message.value)} bytes: raise the topic's "
                "max.message.bytes, then go on from the newest checkpoint"
            ) from err
        self._refused_bytes = message.n_bytes

    def _cut(self, number: int, message: Message) -> None:
        """Have half of a message that is as large as one that was refused."""
        if not message.is_cuttable or not message.value:
            self._refused_bytes = float("inf")  # the broker decides, it may take more by now
            return
        shorter = cut_in_half(message)
        LOGGER.warning(
            "a message was cut, its topic takes no larger one",
            topic=self._destination.topic,
            number=number,
            bytes=len(message.value),
            kept_bytes=len(shorter.value),
        )
        self._waiting.replace_first(shorter)

    def _refusal(self, err: KafkaError | ClientError | OSError) -> SinkError:
        topic, setting = self._destination.topic, self._destination.setting
        told = explain(err, self._destination.connection, self._destination.connection_setting)
        needed = ""
        if isinstance(err, AuthorizationError):
            needed = "; it takes Describe, Read and Write on the topic"
        return SinkError(
            f"{setting}: topic {topic} cannot be written: {told}{needed}; then go on from the "
            "newest checkpoint"
        )

    def _pause(self, seconds: float) -> None:
        """Wait, but not into the end."""
        if not self._is_ending.wait(seconds):
            return
        time.sleep(max(0.0, min(seconds, self._end_s - time.monotonic())))

    def _is_out_of_time(self) -> bool:
        return self._is_ending.is_set() and time.monotonic() >= self._end_s

    def _is_over(self) -> bool:
        return self._is_ending.is_set() and (not self._waiting or self._is_out_of_time())


def _let_go(producer: Any) -> None:
    """End a producer and its thread, whatever it has under way."""
    # Its own close() waits for what was not sent, and gives up before it has stopped the thread.
    producer._sender.force_close()
    producer._sender.join(_LET_GO_S)
    try:
        producer.close(timeout=0)
    except ClientError as err:
        LOGGER.warning("a producer did not end in time", reason=str(err))
