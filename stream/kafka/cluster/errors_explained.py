"""What goes wrong with Kafka, in one sentence that names the setting and what to do.

kafka-python is not imported here: its errors are known by the names of their classes, so that
settings can be read without loading it.
"""

import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from stream.errors import KafkaError

if TYPE_CHECKING:
    from stream.kafka.cluster.connection import ConnectionConfig

Finding = Literal[
    "unknown_host",
    "no_resolver",
    "absent",
    "silent",
    "closed",
    "wants_tls",
    "wants_no_tls",
    "certificate",
    "hostname",
    "client_certificate",
    "tls",
    "not_kafka",
    "too_old",
    "no_sasl",
    "mechanism",
    "credentials",
    "wants_sasl",
]
"""What an address was found to be, by how far one got with it."""

_TEMPORARY_FINDINGS = ("no_resolver", "absent", "silent", "closed")

# kafka-python calls them retriable, because a topic may be about to appear; ours are there already.
_MISSING = ("UnknownTopicOrPartitionError", "UnknownTopicIdError", "InconsistentTopicIdError")


class KnockError(Exception):
    """An address that lets nobody in, and why.

    Parameters
    ----------
    server : str
        The address, as it is configured.
    finding : str
        One of `Finding`.
    detail : str
        What was seen, in a few words.
    """

    def __init__(self, server: str, finding: Finding, detail: str) -> None:
        super().__init__(f"{server}: {finding}: {detail}")
        self.server = server
        self.finding = finding
        self.detail = detail


def is_temporary(err: BaseException) -> bool:
    """Whether to wait and try again may help: nobody has to change a setting.

    `err` is what kafka-python raised, a `KnockError`, or the `KafkaError` that `explain` made of
    one.

    Examples
    --------
    >>> is_temporary(ConnectionRefusedError())
    True
    >>> is_temporary(KnockError("localhost:9092", "credentials", "wrong password"))
    False
    """
    if isinstance(err, KafkaError):
        return err.__cause__ is not None and is_temporary(err.__cause__)
    if isinstance(err, KnockError):
        return err.finding in _TEMPORARY_FINDINGS
    if isinstance(err, socket.gaierror):
        return err.errno == socket.EAI_AGAIN
    if isinstance(err, OSError):
        return isinstance(err, TimeoutError | ConnectionError)
    kinds = _kinds(err)
    if any(kind in _MISSING for kind in kinds):
        return False
    return bool(getattr(err, "retriable", False)) or "BrokerNotAvailableError" in kinds


def explain(
    err: BaseException, config: "ConnectionConfig", setting: str = "source.kafka.connection"
) -> KafkaError:
    """What kafka-python raised, said so that it can be acted on.

    Parameters
    ----------
    err : exception
        What kafka-python or the system raised, or a `KnockError`.
    config : ConnectionConfig
        The connection that it happened on.
    setting : str
        Where the connection is configured.

    Returns
    -------
    KafkaError
        Its cause is `err`, so that `is_temporary` knows it again.
    """
    if isinstance(err, KafkaError):
        return err
    case = _Case(err, config, setting)
    if isinstance(err, KnockError):
        text = _knock_text(err, case)
    else:
        tell = next((_TELLING[kind] for kind in _kinds(err) if kind in _TELLING), _tell_other)
        text = tell(case)
    told = KafkaError(text)
    told.__cause__ = err
    return told


@dataclass(frozen=True)
class _Case:
    err: BaseException
    config: "ConnectionConfig"
    setting: str

    @property
    def servers(self) -> str:
        return ", ".join(self.config.bootstrap)

    @property
    def who(self) -> str:
        username = self.config.sasl.username if self.config.sasl else None
        return f"user {username}" if username else "this client"

    @property
    def named(self) -> str:
        """What the error is about: kafka-python hands over a name, a set of names, or nothing."""
        about = self.err.args[0] if self.err.args else ""
        if isinstance(about, set | frozenset | list | tuple):
            return ", ".join(sorted(str(name) for name in about))
        return str(about)

    @property
    def secret(self) -> str:
        sasl = self.config.sasl
        keys = ("password_file", "password_env", "token_file", "token_env")
        return next((key for key in keys if sasl and getattr(sasl, key)), "password_file")


def _knock_text(err: KnockError, case: _Case) -> str:
    setting, security, server = case.setting, case.config.security, err.server
    sasl_part = "SASL_" if case.config.uses_sasl else ""
    texts: dict[Finding, str] = {
        "unknown_host": (
            f"{setting}.bootstrap: nobody knows the host of {server} ({err.detail}); correct it"
        ),
        "no_resolver": (
            f"{setting}.bootstrap: the host of {server} cannot be looked up now ({err.detail}); "
            "check the name service"
        ),
        "absent": (
            f"{setting}.bootstrap: no broker answers at {server} ({err.detail}); start it, or "
            "correct the address"
        ),
        "silent": (
            f"{setting}.bootstrap: {server} takes connections but does not answer ({err.detail}); "
            "wait if it starts or is busy, else correct the address"
        ),
        "closed": (
            f"{setting}.bootstrap: {server} ends the connection without an answer ({err.detail}); "
            "wait if it starts or stops, else correct the address"
        ),
        "wants_tls": (
            f"{setting}.security: {server} speaks TLS, and security is {security}; set security: "
            f"{sasl_part}SSL, or use the port without encryption"
        ),
        "wants_no_tls": (
            f"{setting}.security: {server} speaks no TLS, and security is {security}; set "
            f"security: {sasl_part}PLAINTEXT, or use the port with encryption"
        ),
        "certificate": (
            f"{setting}.tls.ca_file: the certificate of {server} is not trusted ({err.detail}); "
            "name the file with the certificate of the authority that issued it"
        ),
        "hostname": (
            f"{setting}.tls.check_hostname: the certificate of {server} is for another name "
            f"({err.detail}); use a name in it as bootstrap, or set check_hostname: false if you "
            "know whom you reach"
        ),
        "client_certificate": (
            f"{setting}.tls.cert_file: {server} does not accept this client's certificate "
            f"({err.detail}); name one, and its key as key_file, that the cluster trusts"
        ),
        "tls": f"{setting}.tls: no encryption could be agreed on with {server} ({err.detail})",
        "not_kafka": (
            f"{setting}.bootstrap: what answers at {server} is not Kafka ({err.detail}); correct "
            "host or port"
        ),
        "too_old": (
            f"{setting}.bootstrap: the broker at {server} is too old ({err.detail}); freshrank "
            "needs Kafka 2.8 or later"
        ),
        "no_sasl": (
            f"{setting}.security: {server} asks nobody who they are, and security is {security}; "
            f"set security: {security.removeprefix('SASL_')} without the group sasl, or use the "
            "port with SASL"
        ),
        "mechanism": (
            f"{setting}.sasl.mechanism: {server} does not take {_mechanism(case)}; it takes "
            f"{err.detail}"
        ),
        "credentials": (
            f"{setting}.sasl: {server} does not let {case.who} in ({err.detail}); correct username "
            f"or {case.secret}"
            if case.config.sasl and case.config.sasl.username
            else f"{setting}.sasl.{case.secret}: {server} does not take the token ({err.detail}); "
            "renew it"
        ),
        "wants_sasl": (
            f"{setting}.security: {server} lets nobody in without a name, and security is "
            f"{security}; set security: {'SASL_SSL' if case.config.uses_tls else 'SASL_PLAINTEXT'} "
            f"and the group sasl, with mechanism {err.detail}"
        ),
    }
    return texts[err.finding]


def _mechanism(case: _Case) -> str:
    return case.config.sasl.mechanism if case.config.sasl else "SASL"


def _tell_authorization(case: _Case) -> str:
    named = case.named or "something it needs"
    if "TopicAuthorizationFailedError" in _kinds(case.err):
        # Brokers tell whoever may not see a topic the same, whether it exists or not.
        named += " (or it does not exist)"
    return (
        f"no permission on {named}: let {case.who} use it, by an ACL on the cluster at "
        f"{case.servers}, or connect as another with {case.setting}.sasl"
    )


def _tell_missing_topic(case: _Case) -> str:
    return (
        f"no such topic or partition at {case.servers}: {case.named or 'it was deleted'}; correct "
        "its name, or create it"
    )


def _tell_invalid_topic(case: _Case) -> str:
    return f"{case.named!r} is no name of a topic; use letters, digits and ._-"


def _tell_codec(case: _Case) -> str:
    return (
        f"records are compressed in a way that cannot be read here ({case.named}); install the "
        "package for it (lz4, python-snappy or zstandard), or set compression.type of the topic"
    )


def _tell_size(case: _Case) -> str:
    return (
        f"a message is larger than the topic at {case.servers} takes ({case.named}); raise "
        "max.message.bytes of the topic"
    )


def _tell_credentials(case: _Case) -> str:
    return (
        f"{case.setting}.sasl: {case.servers} does not let {case.who} in ({case.named}); correct "
        f"username or {case.secret}"
    )


def _tell_mechanism(case: _Case) -> str:
    return (
        f"{case.setting}.sasl.mechanism: {case.servers} does not take {_mechanism(case)} "
        f"({case.named})"
    )


def _tell_no_sasl(case: _Case) -> str:
    return (
        f"{case.setting}.security: {case.servers} knows no users at this port, and security is "
        f"{case.config.security}; use the port with SASL, or set security: "
        f"{case.config.security.removeprefix('SASL_')}"
    )


def _tell_unreachable(case: _Case) -> str:
    return (
        f"{case.setting}.bootstrap: the brokers at {case.servers} do not answer ({case.named}); "
        "start them, or correct the address"
    )


def _tell_too_old(case: _Case) -> str:
    return (
        f"{case.setting}.bootstrap: the brokers at {case.servers} cannot do what is needed "
        f"({case.named}); freshrank needs Kafka 2.8 or later"
    )


def _tell_replicas(case: _Case) -> str:
    return (
        f"too few copies of a partition are in step at {case.servers} ({case.named}); wait until "
        "its brokers are back, or lower min.insync.replicas of the topic"
    )


def _tell_other(case: _Case) -> str:
    return (
        f"{case.setting}: Kafka at {case.servers} reports {type(case.err).__name__} ({case.named})"
    )


_TELLING: dict[str, Callable[[_Case], str]] = {
    "SaslAuthenticationFailedError": _tell_credentials,
    "UnsupportedSaslMechanismError": _tell_mechanism,
    "IllegalSaslStateError": _tell_no_sasl,
    "AuthorizationError": _tell_authorization,
    "UnknownTopicOrPartitionError": _tell_missing_topic,
    "UnknownTopicIdError": _tell_missing_topic,
    "InconsistentTopicIdError": _tell_missing_topic,
    "InvalidTopicError": _tell_invalid_topic,
    "UnsupportedCodecError": _tell_codec,
    "UnsupportedCompressionTypeError": _tell_codec,
    "MessageSizeTooLargeError": _tell_size,
    "RecordListTooLargeError": _tell_size,
    "UnsupportedVersionError": _tell_too_old,
    "UnrecognizedBrokerVersion": _tell_too_old,
    "NotEnoughReplicasError": _tell_replicas,
    "NotEnoughReplicasAfterAppendError": _tell_replicas,
    "KafkaConnectionError": _tell_unreachable,
    "KafkaTimeoutError": _tell_unreachable,
    "RequestTimedOutError": _tell_unreachable,
    "NodeNotReadyError": _tell_unreachable,
    "OSError": _tell_unreachable,
}
"""By the name of a class of kafka-python or one above it, the nearest first."""


def _kinds(err: BaseException) -> list[str]:
    return [kind.__name__ for kind in type(err).__mro__]
