import socket
import threading
from contextlib import contextmanager

import pytest

from deploy.kafka.local_kafka import free_ports
from stream.errors import KafkaError
from stream.kafka.cluster.connection import ConnectionConfig, TlsConfig
from stream.kafka.cluster.errors_explained import KnockError
from stream.kafka.cluster.knocking import knock, tls_context

SETTING = "source.kafka.connection"


@contextmanager
def server(answer):
    """A port that answers each connection and ends it; None: it never says anything."""
    listener = socket.create_server(("127.0.0.1", 0))
    kept = []

    def serve():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            if answer is None:
                kept.append(connection)
                continue
            with connection:
                connection.recv(4096)
                connection.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
        for connection in kept:
            connection.close()


def finding(address, **config):
    with pytest.raises(KnockError) as failed:
        knock(address, ConnectionConfig(bootstrap=address, **config), SETTING, timeout_s=0.5)
    return failed.value.finding


def test_a_port_that_nobody_listens_on_is_absent():
    assert finding(f"127.0.0.1:{next(free_ports())}") == "absent"


def test_a_host_that_does_not_exist_is_unknown():
    # RFC 6761: .invalid never resolves. Without any name service it cannot even be asked for.
    assert finding("kafka.invalid:9092") in ("unknown_host", "no_resolver")


@pytest.mark.parametrize("host", ["kafka..example", "k" * 64])
def test_what_cannot_be_the_name_of_a_host_is_unknown(host):
    assert finding(f"{host}:9092") == "unknown_host"


def test_a_port_that_never_answers_is_silent():
    with server(None) as address:
        assert finding(address) == "silent"
        assert finding(address, security="SSL") == "silent"


def test_a_port_that_ends_the_connection_may_be_a_broker_that_starts():
    with server(b"") as address:
        assert finding(address) == "closed"
        assert finding(address, security="SSL") == "closed"


def test_another_service_is_not_kafka():
    with server(b"HTTP/1.1 400 Bad Request\r\n\r\n") as address:
        assert finding(address) == "not_kafka"


def test_an_alert_of_tls_says_that_the_port_is_encrypted():
    with server(b"\x15\x03\x03\x00\x02\x02\x46") as address:
        assert finding(address) == "wants_tls"


def test_an_address_of_ipv6_is_knocked_at_without_its_brackets():
    with pytest.raises(KnockError) as failed:
        knock("[::1]:1", ConnectionConfig(bootstrap="[::1]:1"), SETTING, timeout_s=0.5)
    assert failed.value.finding == "absent"


@pytest.mark.parametrize("key", ["ca_file", "cert_file"])
def test_a_file_that_cannot_be_used_is_named_by_its_setting(tmp_path, key):
    tls = TlsConfig.model_validate({key: tmp_path / "none.pem"})
    with pytest.raises(KafkaError) as refused:
        tls_context(tls, f"{SETTING}.tls")
    assert str(refused.value).startswith(f"{SETTING}.tls.{key}: {tmp_path / 'none.pem'} cannot")
    (tmp_path / "none.pem").write_text("no certificate")
    with pytest.raises(KafkaError) as refused:
        tls_context(tls, f"{SETTING}.tls")
    assert str(refused.value).startswith(f"{SETTING}.tls.{key}: {tmp_path / 'none.pem'} ")
    assert "PEM" in str(refused.value)
