"""A producer that keeps its messages in memory, and delivers or loses them when told."""

from typing import NamedTuple

from kafka.errors import KafkaTimeoutError


class Sent(NamedTuple):
    """A message as it was handed over."""

    key: bytes | None
    value: bytes
    partition: int


class FakeDelivery:
    """Like a future of kafka-python."""

    def __init__(self, is_ever_done):
        self.is_done = False
        self.exception = None
        self._is_ever_done = is_ever_done
        self._errbacks = []

    def get(self, timeout):
        if not self.is_done and not self._is_ever_done:
            raise KafkaTimeoutError(f"Timeout after waiting for {timeout} secs.")
        self.is_done = True
        if self.exception:
            raise self.exception

    def add_errback(self, told):
        self._errbacks.append(told)
        if self.exception:
            told(self.exception)

    def fail(self, err):
        self.is_done = True
        self.exception = err
        for told in self._errbacks:
            told(err)


class FakeProducer:
    """Like the producer of kafka-python.

    With `acknowledges_at_once` a message is delivered as it is sent; else when somebody waits
    for it, or `acknowledge` is called. `on_send` is called with the number of each message.
    """

    def __init__(self, acknowledges_at_once=True, on_send=lambda _: None, is_ever_done=True):
        self.sent = []
        self.deliveries = []
        self._acknowledges_at_once = acknowledges_at_once
        self._is_ever_done = is_ever_done
        self._on_send = on_send

    def send(self, topic, value, key, *, partition):
        self._on_send(len(self.sent))
        self.sent.append(Sent(key, value, partition))
        delivery = FakeDelivery(self._is_ever_done)
        delivery.is_done = self._acknowledges_at_once
        self.deliveries.append(delivery)
        return delivery

    def acknowledge(self, *numbers):
        for number in numbers:
            self.deliveries[number].is_done = True

    @property
    def n_waiting(self):
        return sum(not delivery.is_done for delivery in self.deliveries)
