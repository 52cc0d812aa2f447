"""A broker with every kind of listener: what lets us in, and what is said when it does not."""

import base64
import json
import logging
import shutil
import socket
import ssl
import subprocess
import threading
import time
from contextlib import closing
from types import SimpleNamespace

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ACL, ACLOperation, ACLPermissionType, ResourcePattern, ResourceType

from deploy.kafka.local_kafka import Listener, LocalKafka
from stream.kafka.checking import check_connection
from stream.kafka.cluster.connecting import connect, find_fault
from stream.kafka.cluster.connection import ConnectionConfig, is_temporary
from tests.brokers import (
    admin_of,
    create_topic,
    kafka_jars,
    offsets,
    produce,
    set_scram_password,
    without_kafka,
)

PASSWORD = "correct-horse-battery-staple"
PLAIN_LOGIN = "org.apache.kafka.common.security.plain.PlainLoginModule required"
SCRAM_LOGIN = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
OAUTH_LOGIN = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required"
NOTICED_S = 15.0


def openssl(folder, *args):
    subprocess.run(["openssl", *args], cwd=folder, check=True, capture_output=True)


def make_authority(folder, name):
    """A key and a certificate that trusts itself."""
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-keyout", f"{name}.key"]
    what = ["-x509", *key, "-nodes", "-days", "2", "-subj", f"/CN={name}", "-out", f"{name}.pem"]
    openssl(folder, "req", *what)


def make_certificate(folder, name, *, secret=()):
    """A key and a certificate of the authority `ca`, for 127.0.0.1 alone."""
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-keyout", f"{name}.key"]
    openssl(folder, "req", *key, *(secret or ["-nodes"]), "-subj", f"/CN={name}", "-out", "asked")
    signed_by = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names"]
    openssl(folder, "x509", "-req", "-in", "asked", "-days", "2", *signed_by, "-out", f"{name}.pem")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    if shutil.which("openssl") is None:
        without_kafka("no openssl, which makes the certificates")
    folder = tmp_path_factory.mktemp("secured")
    make_authority(folder, "ca")
    make_authority(folder, "stranger")
    make_certificate(folder, "broker")
    make_certificate(folder, "client", secret=["-passout", f"pass:{PASSWORD}"])
    parts = [(folder / name).read_text() for name in ("broker.key", "broker.pem", "ca.pem")]
    (folder / "broker-all.pem").write_text("".join(parts))
    (folder / "password").write_text(f"{PASSWORD}\n")
    (folder / "wrong").write_text("wrong\n")
    (folder / "token").write_text(token("reader", valid_s=3600))
    (folder / "old-token").write_text(token("reader", valid_s=-3600))
    return folder


def token(user, valid_s):
    """What Kafka takes for a token as long as nobody tells it who signs them."""
    now_s = int(time.time())
    claims = {"sub": user, "iat": now_s - 7200, "exp": now_s + valid_s}
    parts = [json.dumps(part).encode() for part in ({"alg": "none"}, claims)]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts) + "."


@pytest.fixture(scope="module")
def broker(folder):
    listeners = [
        Listener("TLS", "SSL"),
        Listener("BOTH", "SSL"),
        Listener("NAMED", "SASL_PLAINTEXT"),
        Listener("SECRET", "SASL_SSL"),
    ]
    properties = {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(folder / "broker-all.pem"),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(folder / "ca.pem"),
        "listener.name.both.ssl.client.auth": "required",
        "listener.name.named.sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,OAUTHBEARER",
        "listener.name.named.plain.sasl.jaas.config": f'{PLAIN_LOGIN} user_reader="{PASSWORD}";',
        "listener.name.named.scram-sha-256.sasl.jaas.config": SCRAM_LOGIN,
        "listener.name.named.oauthbearer.sasl.jaas.config": (
            f'{OAUTH_LOGIN} unsecuredLoginStringClaim_sub="broker";'
        ),
        "listener.name.secret.sasl.enabled.mechanisms": "SCRAM-SHA-256",
        "listener.name.secret.scram-sha-256.sasl.jaas.config": SCRAM_LOGIN,
    }
    broker = LocalKafka(folder / "kafka", kafka_jars(), listeners=listeners, properties=properties)
    try:
        broker.start()
        set_scram_password(broker.bootstrap, "reader", PASSWORD)
        yield broker
    finally:
        broker.stop()


@pytest.fixture
def reach(broker, folder):
    """Make a connection: `listener`, `security`, and shorthands for what is in the folder."""

    def make(listener, security="PLAINTEXT", *, host="127.0.0.1", **groups):
        port = broker.address(listener).rpartition(":")[2]
        for name, values in groups.items():
            for key, value in values.items():
                if key.endswith("_file"):
                    groups[name] = {**groups[name], key: folder / value}
        return ConnectionConfig(bootstrap=f"{host}:{port}", security=security, **groups)

    return make


def scram(password="password", **other):
    return {"mechanism": "SCRAM-SHA-256", "username": "reader", "password_file": password} | other


CA = {"ca_file": "ca.pem"}
CLIENT = {
    **CA,
    "cert_file": "client.pem",
    "key_file": "client.key",
    "key_password_file": "password",
}
TOKEN = {"mechanism": "OAUTHBEARER", "token_file": "token"}


@pytest.mark.parametrize(
    ("listener", "security", "groups"),
    [
        ("TLS", "SSL", {"tls": CA}),
        ("BOTH", "SSL", {"tls": CLIENT}),
        ("NAMED", "SASL_PLAINTEXT", {"sasl": scram()}),
        ("NAMED", "SASL_PLAINTEXT", {"sasl": scram(mechanism="PLAIN")}),
        ("NAMED", "SASL_PLAINTEXT", {"sasl": TOKEN}),
        ("SECRET", "SASL_SSL", {"sasl": scram(), "tls": CA}),
    ],
    ids=["TLS", "both certificates", "SCRAM", "PLAIN", "OAUTHBEARER", "SCRAM over TLS"],
)
def test_every_way_in_works(reach, listener, security, groups):
    config = reach(listener, security, **groups)
    assert find_fault(config) is None
    with closing(connect(KafkaAdminClient, config)) as admin:
        assert admin.describe_cluster()["cluster_id"]


@pytest.mark.parametrize(
    ("listener", "security", "groups", "parts"),
    [
        ("TLS", "PLAINTEXT", {}, ["security: ", "speaks TLS", "set security: SSL"]),
        ("LOCAL", "SSL", {"tls": CA}, ["security: ", "no TLS", "set security: PLAINTEXT"]),
        ("TLS", "SSL", {"tls": {"ca_file": "stranger.pem"}}, ["tls.ca_file: ", "not trusted"]),
        ("TLS", "SSL", {"tls": CA, "host": "localhost"}, ["tls.check_hostname: ", "'localhost'"]),
        ("BOTH", "SSL", {"tls": CA}, ["tls.cert_file: ", "this client's certificate"]),
        (
            "BOTH",
            "SSL",
            {"tls": {**CA, "cert_file": "stranger.pem", "key_file": "stranger.key"}},
            ["tls.cert_file: ", "this client's certificate"],
        ),
        (
            "BOTH",
            "SSL",
            {"tls": {**CLIENT, "key_password_file": "wrong"}},
            ["tls.cert_file: ", "the key's password is wrong"],
        ),
        ("NAMED", "PLAINTEXT", {}, ["security: ", "SASL_PLAINTEXT", "PLAIN or SCRAM-SHA-256"]),
        ("SECRET", "SSL", {"tls": CA}, ["security: ", "SASL_SSL", "mechanism SCRAM-SHA-256"]),
        ("LOCAL", "SASL_PLAINTEXT", {"sasl": scram()}, ["security: ", "set security: PLAINTEXT"]),
        (
            "SECRET",
            "SASL_SSL",
            {"tls": CA, "sasl": scram(mechanism="PLAIN")},
            ["sasl.mechanism: ", "does not take PLAIN", "SCRAM-SHA-256"],
        ),
        (
            "NAMED",
            "SASL_PLAINTEXT",
            {"sasl": scram("wrong")},
            ["sasl: ", "does not let user reader in", "correct username or password_file"],
        ),
        (
            "NAMED",
            "SASL_PLAINTEXT",
            {"sasl": scram("wrong", mechanism="PLAIN")},
            ["sasl: ", "does not let user reader in", "Invalid username or password"],
        ),
        (
            "NAMED",
            "SASL_PLAINTEXT",
            {"sasl": {**TOKEN, "token_file": "old-token"}},
            ["sasl.token_file: ", "does not take the token", "renew it"],
        ),
    ],
)
def test_what_is_wrong_is_told_by_its_setting_and_soon(reach, listener, security, groups, parts):
    began_s = time.monotonic()
    fault = find_fault(reach(listener, security, **groups))
    assert time.monotonic() - began_s < NOTICED_S
    assert str(fault).startswith("source.kafka.connection.")
    assert [part for part in parts if part not in str(fault)] == []
    assert not is_temporary(fault)


def test_a_proxy_that_ends_whatever_is_not_tls_is_found_to_want_tls(folder):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "broker.pem", folder / "broker.key")
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(NOTICED_S)

    def serve():
        for _ in range(2):
            connection, _ = listener.accept()
            with connection:
                # 0x16: the first byte of a greeting in TLS.
                if connection.recv(1, socket.MSG_PEEK) == b"\x16":
                    context.wrap_socket(connection, server_side=True).close()

    thread = threading.Thread(target=serve)
    with listener:
        thread.start()
        port = listener.getsockname()[1]
        fault = find_fault(ConnectionConfig(bootstrap=f"127.0.0.1:{port}"))
        thread.join()
    assert f"security: 127.0.0.1:{port} speaks TLS" in str(fault)


def test_no_password_is_logged_or_told(reach, caplog):
    caplog.set_level(logging.DEBUG)
    config = reach("NAMED", "SASL_PLAINTEXT", sasl=scram(mechanism="PLAIN"))
    with closing(connect(KafkaAdminClient, config)) as admin:
        admin.list_topics()
    fault = find_fault(reach("NAMED", "SASL_PLAINTEXT", sasl=scram("wrong", mechanism="PLAIN")))
    assert "correct username" in str(fault)
    assert "kafka" in {name.partition(".")[0] for name, _, _ in caplog.record_tuples}
    assert PASSWORD not in caplog.text
    assert "wrong" not in caplog.text


@pytest.fixture(scope="module")
def topics(broker):
    """Topics by what `reader` may do with them."""
    allowed = {
        "readable": [ACLOperation.READ],
        "writable": [ACLOperation.WRITE],
        "visible": [ACLOperation.DESCRIBE],
        "hidden": [],
    }
    for name in allowed:
        create_topic(broker.bootstrap, name)
    acls = [
        ACL("User:reader", "*", operation, ACLPermissionType.ALLOW, resource)
        for name, operations in allowed.items()
        for operation in operations
        for resource in [ResourcePattern(ResourceType.TOPIC, name)]
    ]
    with admin_of(broker.bootstrap) as admin:
        admin.create_acls(acls)
    produce(broker.bootstrap, "readable", [b"a", b"b"])
    return SimpleNamespace(names=list(allowed))


def test_permissions_are_found_out_without_reading_or_writing(broker, topics, reach):
    config = reach("NAMED", "SASL_PLAINTEXT", sasl=scram())
    checks = check_connection(
        config,
        ["readable", "visible", "hidden", "missing"],
        {"metrics": "writable", "alerts": "visible-too"},
        group="freshrank",
    )
    assert [(one.subject, one.outcome) for one in checks[1:]] == [
        ("topic readable, to read", "ok"),
        ("topic visible, to read", "failed"),
        ("topic hidden, to read", "failed"),
        ("topic missing, to read", "failed"),
        ("topic writable, to write", "ok"),
        ("topic visible-too, to write", "failed"),
        ("group freshrank", "warning"),
    ]
    visible, hidden = checks[2].text, checks[3].text
    assert visible.startswith("source.kafka.topics: user reader may not READ topic visible")
    assert "let user reader use it" in hidden
    assert checks[0].text.endswith("SASL_PLAINTEXT as reader")
    assert offsets(broker.bootstrap, "writable") == {0: (0, 0)}


def test_what_is_said_to_be_allowed_is_allowed(topics, reach):
    config = reach("NAMED", "SASL_PLAINTEXT", sasl=scram())
    with closing(connect(KafkaConsumer, config, auto_offset_reset="earliest")) as consumer:
        consumer.assign([TopicPartition("readable", 0)])
        (records,) = consumer.poll(10_000).values()
        assert [record.value for record in records] == [b"a", b"b"]
    with closing(connect(KafkaProducer, config, acks="all")) as producer:
        assert producer.send("writable", b"c", b"").get(10).offset == 0


def test_a_password_that_is_revoked_while_a_client_runs_is_found_by_asking(broker, reach, caplog):
    caplog.set_level(logging.CRITICAL, "kafka")
    set_scram_password(broker.bootstrap, "leaver", PASSWORD)
    config = reach("NAMED", "SASL_PLAINTEXT", sasl=scram(username="leaver"))
    assert find_fault(config) is None
    set_scram_password(broker.bootstrap, "leaver", "changed")
    deadline_s = time.monotonic() + NOTICED_S
    while (fault := find_fault(config)) is None and time.monotonic() < deadline_s:
        pass  # brokers learn of it by and by
    assert "does not let user leaver in" in str(fault)
