"""Getting to a cluster, or learning why not."""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar, get_args

from kafka.errors import KafkaError as ClientError
from kafka.net.compat import KafkaNetClient

from stream.errors import KafkaError
from stream.kafka.cluster.connection import SOURCE_CONNECTION, ConnectionConfig, client_settings
from stream.kafka.cluster.errors_explained import Finding, KnockError, explain
from stream.kafka.cluster.knocking import Greeting, knock

ClientT = TypeVar("ClientT")

# Of a large cluster: that none of so many is reached is no accident.
_ADVERTISED_TRIED = 3
_SHORTEST_SHARE_S = 0.5


def connect(
    make: Callable[..., ClientT],
    config: ConnectionConfig,
    setting: str = SOURCE_CONNECTION,
    **settings: Any,
) -> ClientT:
    """A client of kafka-python that is connected.

    Parameters
    ----------
    make : callable
        `KafkaConsumer`, `KafkaProducer` or `KafkaAdminClient`.
    config : ConnectionConfig
        How the cluster is reached.
    setting : str
        Where it is configured, for the message of an error.
    **settings
        What else the client is made with; it wins over `client_settings`.

    Raises
    ------
    KafkaError
        If no broker lets us in, within about 12 s; `is_temporary` says whether to wait and try
        again.
    """
    greeted(config, setting)
    try:
        return opened(make, {**client_settings(config, setting), **settings})
    except ClientError as err:
        raise explain(err, config, setting) from err


def opened(kind: Callable[..., ClientT], settings: Mapping[str, Any]) -> ClientT:
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


def find_fault(
    config: ConnectionConfig, setting: str = SOURCE_CONNECTION, timeout_s: float = 4.0
) -> KafkaError | None:
    """Why the cluster does not let us in, or None if it does; within about `timeout_s`.

    For whoever has heard nothing for long: kafka-python tries again for ever, whatever the reason.
    """
    try:
        greeted(config, setting, timeout_s)
    except KafkaError as err:
        return err
    return None


def greeted(
    config: ConnectionConfig, setting: str = SOURCE_CONNECTION, timeout_s: float = 4.0
) -> Greeting:
    """What the cluster says of itself, through the first address that lets us in.

    Raises
    ------
    KafkaError
        If none of the configured addresses does, or none of those at which the brokers say they
        are: the reason of the one where we got furthest, which tells most.
    """
    deadline_s = time.monotonic() + timeout_s
    greeting = _first_greeting(config.bootstrap, config, setting, deadline_s)
    if isinstance(greeting, KnockError):
        raise explain(greeting, config, setting) from greeting
    advertised = list(greeting.addresses.values())
    if not advertised or set(advertised) & set(config.bootstrap):
        return greeting
    # From here on clients use the brokers' own addresses: the usual trap of brokers in containers.
    failure = _first_greeting(advertised[:_ADVERTISED_TRIED], config, setting, deadline_s)
    if isinstance(failure, KnockError):
        told = KafkaError(
            f"{setting}.bootstrap: a broker at {', '.join(config.bootstrap)} answers, and tells "
            f"clients to use {', '.join(advertised)}, where nobody gets in "
            f"({failure.finding}: {failure.detail}); set advertised.listeners of the brokers to "
            "addresses that can be reached from here"
        )
        raise told from failure
    return greeting


def _first_greeting(
    servers: Iterable[str], config: ConnectionConfig, setting: str, deadline_s: float
) -> Greeting | KnockError:
    """The first greeting, or else the failure that got furthest."""
    failures: list[KnockError] = []
    left = list(servers)
    while left:
        # Each gets its share of the time, and what those before it did not use.
        share_s = max((deadline_s - time.monotonic()) / len(left), _SHORTEST_SHARE_S)
        try:
            return knock(left.pop(0), config, setting, share_s)
        except KnockError as err:
            failures.append(err)
    return max(failures, key=lambda err: get_args(Finding).index(err.finding))
