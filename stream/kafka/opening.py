"""Opening a client of Kafka so that one that cannot be opened leaves nothing behind."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from kafka.net.compat import KafkaNetClient

Client = TypeVar("Client")


def opened(kind: Callable[..., Client], settings: Mapping[str, Any]) -> Client:
    """A producer, consumer or admin client of kafka-python.

    Of one whose broker does not answer in time, kafka-python keeps a thread and four file handles
    for ever. Whoever tries again and again would run out of them: here they are given back, but
    for a socket or two that wait for the garbage collector.
    """
    begun: list[KafkaNetClient] = []

    def net_client(**configs: Any) -> KafkaNetClient:
        begun.append(KafkaNetClient(**configs))
        return begun[-1]

    is_open = False
    try:
        client = kind(**settings, kafka_client=net_client)
        is_open = True
        return client
    finally:
        if not is_open:
            for net in begun:
                net.close()
