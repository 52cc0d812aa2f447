"""Whether everything outside is as a run will need it: brokers, topics, permissions, folders.

Nothing is consumed and nothing is written to a topic. What a user may do is asked of the brokers:
with each description of a topic they send what is allowed to whoever asks.
"""

import contextlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, OffsetSpec
from kafka.errors import (
    CoordinatorNotAvailableError,
    GroupAuthorizationFailedError,
    NoError,
    for_code,
)
from kafka.errors import KafkaError as ClientError

from stream.errors import KafkaError
from stream.kafka.cluster.connecting import connect, greeted
from stream.kafka.cluster.connection import SOURCE_CONNECTION, ConnectionConfig
from stream.kafka.cluster.errors_explained import KnockError, explain
from stream.kafka.cluster.knocking import Greeting, knock

OUTPUTS_CONNECTION = "outputs.kafka.connection"

# All of it is to fit into 15 s: 4 s for the first answer, then this for each further wait.
_WAIT_MS = 3_000
_OTHER_BROKER_S = 1.0
_OTHER_BROKERS_TRIED = 3
_BROKERS_NAMED = 5

Outcome = Literal["ok", "warning", "failed", "not tried"]


@dataclass(frozen=True)
class Check:
    """One thing that was tried.

    `text` says what was found, and after a failure what to do.
    """

    subject: str
    outcome: Outcome
    text: str


@dataclass(frozen=True)
class Cluster:
    """What a run wants of one cluster.

    Parameters
    ----------
    connection : ConnectionConfig
        How it is reached.
    setting : str
        Where that is configured.
    read : sequence of str
        Topics that are read.
    written : mapping
        Topics that are written, by the setting that names them; none if left out.
    group : str, optional
        The consumer group that offsets are committed for.
    """

    connection: ConnectionConfig
    setting: str = SOURCE_CONNECTION
    read: Sequence[str] = ()
    written: Mapping[str, str] = field(default_factory=dict)
    group: str | None = None


def check_connection(
    connection: ConnectionConfig,
    input_topics: Sequence[str],
    output_topics: Mapping[str, str] | None = None,
    output_connection: ConnectionConfig | None = None,
    group: str | None = None,
) -> list[Check]:
    """Try everything that a run needs of Kafka, within about 15 s.

    Parameters
    ----------
    connection : ConnectionConfig
        How the source reaches its cluster.
    input_topics : sequence of str
        What is read.
    output_topics : mapping, optional
        What is written: the names of topics by the name of the output, such as `metrics`.
    output_connection : ConnectionConfig, optional
        How outputs reach theirs, if it is another.
    group : str, optional
        The consumer group that offsets are committed for.
    """
    written = {f"outputs.kafka.{name}": topic for name, topic in (output_topics or {}).items()}
    if output_connection is None or output_connection == connection:
        return check_cluster(Cluster(connection, SOURCE_CONNECTION, input_topics, written, group))
    checks = check_cluster(Cluster(connection, SOURCE_CONNECTION, input_topics, group=group))
    if written:
        checks += check_cluster(Cluster(output_connection, OUTPUTS_CONNECTION, (), written))
    return checks


def check_cluster(cluster: Cluster) -> list[Check]:
    """Try everything that a run needs of one cluster; what cannot be tried any more is said too."""
    where = f"brokers at {', '.join(cluster.connection.bootstrap)}"
    try:
        greeting = greeted(cluster.connection, cluster.setting)
        admin = connect_admin(cluster)
    except KafkaError as err:
        return [Check(where, "failed", str(err)), *_not_tried(cluster, 0)]
    checks = [Check(where, "ok", _greeting_text(greeting, cluster.connection))]
    checks += _check_other_brokers(greeting, cluster)
    n_brokers = len(checks)
    with contextlib.closing(admin):
        try:
            for check in _check_topics(admin, cluster):
                checks.append(check)
        except ClientError as err:
            told = str(explain(err, cluster.connection, cluster.setting))
            rest = _not_tried(cluster, len(checks) - n_brokers)
            return [*checks, Check(rest[0].subject, "failed", told), *rest[1:]]
    return checks


def connect_admin(cluster: Cluster) -> KafkaAdminClient:
    """A client for questions, that does not wait long for answers."""
    return connect(
        KafkaAdminClient,
        cluster.connection,
        cluster.setting,
        bootstrap_timeout_ms=_WAIT_MS,
        request_timeout_ms=_WAIT_MS,
    )


def check_folder(folder: Path, setting: str) -> Check:
    """Whether files can be written into a folder, or it can be made; nothing stays behind."""
    subject = f"folder {folder}"
    place = next((one for one in (folder, *folder.resolve().parents) if one.exists()), folder)
    if not place.is_dir():
        return Check(subject, "failed", f"{setting}: {place} is no folder; name another")
    try:
        with tempfile.TemporaryFile(dir=place) as probe:
            probe.write(b"\0" * 4096)
    except OSError as err:
        return Check(
            subject,
            "failed",
            f"{setting}: nothing can be written into {place} ({err.strerror}); name another "
            "folder, or let this user write there",
        )
    return Check(subject, "ok", "can be written" if place == folder else "will be made")


def _greeting_text(greeting: Greeting, connection: ConnectionConfig) -> str:
    sasl = connection.sasl
    user = f" as {sasl.username}" if sasl and sasl.username else ""
    count = len(greeting.addresses)
    brokers = "1 broker" if count == 1 else f"{count} brokers"
    return f"{brokers}, cluster {greeting.cluster_id}, {connection.security}{user}"


def _check_other_brokers(greeting: Greeting, cluster: Cluster) -> list[Check]:
    """Partitions are read from their leaders, each at the address that it gives itself."""
    bootstrap = cluster.connection.bootstrap
    others = [one for one in greeting.addresses.items() if one[1] not in bootstrap]
    checks = []
    for number, address in others[:_OTHER_BROKERS_TRIED]:
        try:
            knock(address, cluster.connection, cluster.setting, _OTHER_BROKER_S)
        except KnockError as err:
            text = (
                f"cannot be reached ({err.finding}: {err.detail}): the partitions it leads would "
                "not be read; start it, or correct its advertised.listeners"
            )
            checks.append(Check(f"broker {number} at {address}", "warning", text))
    return checks


def _check_topics(admin: KafkaAdminClient, cluster: Cluster) -> Iterator[Check]:
    names = sorted({*cluster.read, *cluster.written.values()})
    found = {topic["name"]: topic for topic in admin.describe_topics(names)} if names else {}
    for name in cluster.read:
        yield _check_input(admin, cluster, found[name])
    for setting, name in cluster.written.items():
        yield _check_output(admin, cluster, found[name], setting)
    if cluster.group is not None:
        yield _check_group(admin, cluster.group)


def _check_input(admin: KafkaAdminClient, cluster: Cluster, topic: Mapping[str, Any]) -> Check:
    subject = f"topic {topic['name']}, to read"
    if problem := _topic_problem(topic, "READ", cluster, "source.kafka.topics"):
        return Check(subject, "failed", problem)
    name, parts = topic["name"], [part["partition_index"] for part in topic["partitions"]]
    if lost := [part["partition_index"] for part in topic["partitions"] if part["leader_id"] < 0]:
        text = (
            f"partitions {', '.join(map(str, lost))} have no leader now, and cannot be read until "
            "one of their brokers is back"
        )
        return Check(subject, "warning", text)
    first = _offsets(admin, name, parts, OffsetSpec.EARLIEST)
    end = _offsets(admin, name, parts, OffsetSpec.LATEST)
    if len(parts) == 1:
        text = f"1 partition, offsets {first[0]:,} to {end[0]:,}"
    else:
        text = f"{len(parts)} partitions, about {sum(end) - sum(first):,} records"
    if "compact" in (policy := _cleanup_policy(admin, name)):
        text += (
            f"; cleanup.policy is {policy}: only the last record of each key is kept, so what is "
            "read late has lost clicks; set cleanup.policy=delete"
        )
        return Check(subject, "warning", text)
    return Check(subject, "ok", text)


def _check_output(
    admin: KafkaAdminClient, cluster: Cluster, topic: Mapping[str, Any], setting: str
) -> Check:
    subject = f"topic {topic['name']}, to write"
    if topic["name"] in cluster.read:
        text = f"{setting}: {topic['name']} is read too, and would be fed with its own records"
        return Check(subject, "failed", f"{text}; name another topic")
    if problem := _topic_problem(topic, "WRITE", cluster, setting):
        return Check(subject, "failed", problem)
    if "compact" in (policy := _cleanup_policy(admin, topic["name"])):
        text = (
            f"cleanup.policy is {policy}: only the last record of a run would be kept; set "
            "cleanup.policy=delete"
        )
        return Check(subject, "warning", text)
    return Check(subject, "ok", "exists, and may be written")


def _topic_problem(
    topic: Mapping[str, Any], operation: str, cluster: Cluster, setting: str
) -> str | None:
    """What keeps a topic from being used, if anything."""
    if topic["error_code"] != NoError.errno:
        err = for_code(topic["error_code"])(f"topic {topic['name']}")
        return f"{setting}: {explain(err, cluster.connection, cluster.setting)}"
    allowed = topic.get("authorized_operations")
    # Brokers before 2.3 do not say.
    if allowed and operation not in allowed:
        sasl = cluster.connection.sasl
        who = f"user {sasl.username}" if sasl and sasl.username else "this client"
        return (
            f"{setting}: {who} may not {operation} topic {topic['name']} (allowed: "
            f"{', '.join(allowed)}); allow it by an ACL, or connect as another with "
            f"{cluster.setting}.sasl"
        )
    return None


def _check_group(admin: KafkaAdminClient, group: str) -> Check:
    """Reading goes on without it: offsets in Kafka only serve tools that show lag."""
    subject = f"group {group}"
    refused = Check(
        subject,
        "warning",
        "source.kafka.group: offsets may not be committed for it, and tools will show no lag; "
        "allow READ on the group by an ACL, or set group: null",
    )
    try:
        found = admin.describe_groups([group], include_authorized_operations=True)
    except GroupAuthorizationFailedError:
        return refused
    except CoordinatorNotAvailableError:
        return Check(subject, "ok", "nothing was ever committed on this cluster")
    allowed = found.get(group, {}).get("authorized_operations")
    if allowed and "READ" not in allowed:
        return refused
    return Check(subject, "ok", "may be seen, and read by tools that show lag")


def _offsets(
    admin: KafkaAdminClient, topic: str, partitions: Sequence[int], spec: OffsetSpec
) -> list[int]:
    found = admin.list_partition_offsets({TopicPartition(topic, part): spec for part in partitions})
    return [found[TopicPartition(topic, part)].offset for part in partitions]


def _cleanup_policy(admin: KafkaAdminClient, topic: str) -> str:
    """How old records go; nothing where this user may not ask."""
    resource = ConfigResource(ConfigResourceType.TOPIC, topic)
    found = admin.describe_configs([resource], config_filter="all")
    return str(found.get("topic", {}).get(topic, {}).get("cleanup.policy", {}).get("value", ""))


def _not_tried(cluster: Cluster, n_tried: int) -> list[Check]:
    """What comes after the first so many topics."""
    subjects = [f"topic {name}, to read" for name in cluster.read]
    subjects += [f"topic {name}, to write" for name in cluster.written.values()]
    if cluster.group is not None:
        subjects.append(f"group {cluster.group}")
    return [Check(one, "not tried", "") for one in subjects[n_tried:]]
