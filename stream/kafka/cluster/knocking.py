"""One connection to a broker, made step by step, so that a failure has a reason.

It does what kafka-python does when it connects: address, TLS, versions, SASL, brokers. It is our
own because kafka-python keeps to itself which step failed, and loses the broker's reason (see
`stream.kafka.cluster.connection`).
"""

import contextlib
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from kafka.errors import (
    IllegalSaslStateError,
    IncompatibleBrokerVersion,
    KafkaProtocolError,
    NoError,
    for_code,
)
from kafka.net.sasl import get_sasl_mechanism
from kafka.protocol.broker_version_data import BrokerVersionData
from kafka.protocol.metadata import ApiVersionsRequest, MetadataRequest
from kafka.protocol.parser import KafkaProtocol
from kafka.protocol.sasl import SaslAuthenticateRequest, SaslHandshakeRequest

from stream.errors import KafkaError
from stream.kafka.cluster.connection import (
    ConnectionConfig,
    TlsConfig,
    private_key_password,
    sasl_settings,
)
from stream.kafka.cluster.errors_explained import Finding, KnockError

# What a broker's TLS says of a client's certificate that is missing or that it does not trust.
_ALERTS_ON_CLIENTS = (
    "CERTIFICATE_REQUIRED",
    "BAD_CERTIFICATE",
    "CERTIFICATE_UNKNOWN",
    "UNKNOWN_CA",
)
_FIRST_BYTES_SHOWN = 24


@dataclass(frozen=True)
class Greeting:
    """What a broker that lets us in says of its cluster.

    `addresses` are the brokers' own (`host:port`), by their ids: the ones that clients must use.
    """

    cluster_id: str
    addresses: dict[int, str]


def knock(server: str, config: ConnectionConfig, setting: str, timeout_s: float = 4.0) -> Greeting:
    """Connect to one address, say who we are, ask for the brokers, and leave.

    Raises
    ------
    KafkaError
        If a file or a password of the settings cannot be read.
    KnockError
        If the address does not let us in.
    """
    context = tls_context(config.tls, f"{setting}.tls") if config.uses_tls else None
    with _Line(server, timeout_s) as line:
        line.connect()
        if context is not None:
            try:
                line.encrypt(context)
            except KnockError as err:
                is_plain = err.finding in ("closed", "tls") and _speaks_plainly(server, timeout_s)
                raise _refined(err, is_plain, "wants_no_tls") from err
        try:
            line.learn_versions(config.client_id)
        except KnockError as err:
            # A broker that starts behind a proxy ends connections too: look, instead of guessing.
            is_tls = context is None and err.finding == "closed" and _speaks_tls(server, timeout_s)
            raise _refined(err, is_tls, "wants_tls") from err
        if config.sasl is not None:
            line.log_in(config, sasl_settings(config.sasl, f"{setting}.sasl"))
        try:
            return line.ask_for_brokers()
        except KnockError as err:
            if config.sasl is None and (mechanisms := _mechanisms(server, context, timeout_s)):
                raise KnockError(server, "wants_sasl", mechanisms) from err
            raise


def tls_context(tls: TlsConfig, setting: str) -> ssl.SSLContext:
    """The encryption that kafka-python sets up from the same files.

    Raises
    ------
    KafkaError
        If one of the files cannot be read or used; the message names its setting.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = tls.check_hostname
    for key in ("ca_file", "cert_file", "key_file"):
        path = getattr(tls, key)
        if path is not None:
            try:
                path.read_bytes()
            except OSError as err:
                raise KafkaError(f"{setting}.{key}: {path} cannot be read: {err.strerror}") from err
    if tls.ca_file is None:
        context.load_default_certs()
    else:
        try:
            context.load_verify_locations(tls.ca_file)
        except ssl.SSLError as err:
            raise KafkaError(
                f"{setting}.ca_file: {tls.ca_file} holds no certificate in PEM format"
            ) from err
    if tls.cert_file is not None:
        try:
            context.load_cert_chain(
                tls.cert_file, tls.key_file, lambda: private_key_password(tls, setting)
            )
        except ssl.SSLError as err:
            raise KafkaError(
                f"{setting}.cert_file: {tls.cert_file} and key_file {tls.key_file or 'in it'} are "
                f"no certificate (PEM) with its key, or the key's password is wrong "
                f"({_ssl_words(err)})"
            ) from err
    return context


class _Line:
    """A connection of our own, and what it was found to be when it broke.

    Time is one budget for all steps.
    """

    def __init__(self, server: str, timeout_s: float) -> None:
        self.server = server
        self._deadline_s = time.monotonic() + timeout_s
        self._timeout_s = timeout_s
        self._socket: socket.socket | None = None
        self._parser: Any = None
        self._versions: Any = None

    def __enter__(self) -> "_Line":
        return self

    def __exit__(self, *_: object) -> None:
        if self._socket is not None:
            self._socket.close()

    @property
    def host(self) -> str:
        return self.server.rpartition(":")[0].strip("[]")

    def connect(self) -> None:
        port = int(self.server.rpartition(":")[2])
        try:
            self._socket = socket.create_connection((self.host, port), self._left_s())
        except socket.gaierror as err:
            finding: Finding = "no_resolver" if err.errno == socket.EAI_AGAIN else "unknown_host"
            raise KnockError(self.server, finding, err.strerror or "no address") from err
        except UnicodeError as err:  # a part of the name is empty, or too long
            raise KnockError(self.server, "unknown_host", "it is no name of a host") from err
        except TimeoutError as err:
            raise KnockError(
                self.server, "absent", f"nothing within {self._timeout_s:g} s"
            ) from err
        except OSError as err:
            raise KnockError(self.server, "absent", err.strerror or type(err).__name__) from err

    def encrypt(self, context: ssl.SSLContext) -> None:
        assert self._socket is not None, "connect() comes first"
        with self._named():
            self._socket.settimeout(self._left_s())
            self._socket = context.wrap_socket(self._socket, server_hostname=self.host)

    def learn_versions(self, client_id: str) -> None:
        self._parser = KafkaProtocol(client_id=client_id)
        # Version 0: every broker knows it.
        answer = self._ask(ApiVersionsRequest(version=0))
        versions = {one.api_key: (one.min_version, one.max_version) for one in answer.api_keys}
        self._versions = BrokerVersionData(api_versions=versions)

    def log_in(self, config: ConnectionConfig, settings: dict[str, Any]) -> None:
        """Say who we are, as `KafkaConnection` does."""
        name = settings["sasl_mechanism"]
        answer = self._ask(SaslHandshakeRequest(mechanism=name, max_version=1))
        if answer.error_code == IllegalSaslStateError.errno:
            raise KnockError(self.server, "no_sasl", "SASL is off")
        if answer.error_code != NoError.errno or name not in answer.mechanisms:
            raise KnockError(self.server, "mechanism", ", ".join(sorted(answer.mechanisms)))
        mechanism = get_sasl_mechanism(name)(
            host=self.host, security_protocol=config.security, **settings
        )
        while not mechanism.is_done():
            answer = self._ask(SaslAuthenticateRequest(mechanism.auth_bytes()))
            if answer.error_code != NoError.errno:
                said = answer.error_message or for_code(answer.error_code).__name__
                raise KnockError(self.server, "credentials", said)
            try:
                mechanism.receive(answer.auth_bytes)
            except ValueError as err:
                # SCRAM works both ways: the broker did not prove that it knows the password.
                raise KnockError(self.server, "credentials", str(err)) from err

    def ask_for_brokers(self) -> Greeting:
        answer = self._ask(
            MetadataRequest(
                topics=MetadataRequest.NO_TOPICS,
                allow_auto_topic_creation=False,
                include_cluster_authorized_operations=False,
                include_topic_authorized_operations=False,
            )
        )
        return Greeting(
            str(answer.cluster_id),
            {one.node_id: _address(one.host, one.port) for one in answer.brokers},
        )

    def mechanisms(self) -> str:
        """How users may say who they are; nothing if SASL is off."""
        answer = self._ask(SaslHandshakeRequest(mechanism="none", max_version=1))
        if answer.error_code == IllegalSaslStateError.errno:
            return ""
        return " or ".join(sorted(answer.mechanisms))

    def _ask(self, request: Any) -> Any:
        """Send one request and wait for its answer."""
        assert self._socket is not None, "connect() comes first"
        if request.API_VERSION is None:
            try:
                request.API_VERSION = self._versions.api_version(request)
            except IncompatibleBrokerVersion as err:
                raise KnockError(self.server, "too_old", str(err)) from err
        self._parser.send_request(request)
        received = b""
        with self._named():
            self._socket.sendall(self._parser.send_bytes())
            while True:
                self._socket.settimeout(self._left_s())
                chunk = self._socket.recv(65_536)
                if not chunk:
                    raise ConnectionResetError("after " + type(request).__name__)
                received += chunk
                try:
                    answers = self._parser.receive_bytes(chunk)
                except KafkaProtocolError as err:
                    raise self._strange(received) from err
                if answers:
                    return answers[0][1]

    def _strange(self, received: bytes) -> KnockError:
        # 0x15 0x03: an alert of TLS, which a broker sends to whoever speaks plainly.
        if received[:2] == b"\x15\x03":
            return KnockError(self.server, "wants_tls", "it answers in TLS")
        return KnockError(self.server, "not_kafka", f"it says {received[:_FIRST_BYTES_SHOWN]!r}")

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        """What a broken connection was found to be."""
        try:
            yield
        except TimeoutError as err:
            detail = f"nothing within {self._timeout_s:g} s"
            raise KnockError(self.server, "silent", detail) from err
        except ssl.SSLCertVerificationError as err:
            is_name = err.verify_code in (
                62,
                63,
                64,
            )  # X509_V_ERR_HOSTNAME_, EMAIL_, IP_ADDRESS_MISMATCH
            finding: Finding = "hostname" if is_name else "certificate"
            raise KnockError(self.server, finding, err.verify_message.rstrip(".")) from err
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError) as err:
            raise KnockError(self.server, "closed", "during TLS") from err
        except ssl.SSLError as err:
            is_ours = any(alert in (err.reason or "") for alert in _ALERTS_ON_CLIENTS)
            finding = "client_certificate" if is_ours else "tls"
            raise KnockError(self.server, finding, _ssl_words(err)) from err
        except OSError as err:
            raise KnockError(self.server, "closed", err.strerror or str(err)) from err

    def _left_s(self) -> float:
        # 0 would mean not to wait at all.
        return max(self._deadline_s - time.monotonic(), 0.001)


def _refined(err: KnockError, is_so: bool, finding: Finding) -> KnockError:
    return KnockError(err.server, finding, err.detail) if is_so else err


def _speaks_plainly(server: str, timeout_s: float) -> bool:
    """Whether Kafka answers there without TLS."""
    with _Line(server, timeout_s) as line:
        try:
            line.connect()
            line.learn_versions("freshrank")
        except KnockError:
            return False
        return True


def _speaks_tls(server: str, timeout_s: float) -> bool:
    """Whether TLS is spoken there, by whomever."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with _Line(server, timeout_s) as line:
        try:
            line.connect()
            line.encrypt(context)
        except KnockError:
            return False
        return True


def _mechanisms(server: str, context: ssl.SSLContext | None, timeout_s: float) -> str:
    """How users may say who they are; nothing if they need not."""
    with _Line(server, timeout_s) as line:
        try:
            line.connect()
            if context is not None:
                line.encrypt(context)
            line.learn_versions("freshrank")
            return line.mechanisms()
        except KnockError:
            return ""


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _ssl_words(err: ssl.SSLError) -> str:
    return (err.reason or str(err)).lower().replace("_", " ")
