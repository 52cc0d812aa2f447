import http.client
import json
import socket
import threading
from types import SimpleNamespace

import pytest

from stream.errors import ConfigError
from stream.live.health import Answers, HealthServer, reasons_to_wait
from stream.live.settings import ServerConfig


class Daemon:
    """What there is to tell, as a test wants it."""

    def __init__(self):
        self.problem = None
        self.reasons = []
        self.status = {"seq": 7, "firing": ["no_clicks"], "recall": float("nan")}


@pytest.fixture
def daemon():
    return Daemon()


@pytest.fixture
def server(daemon):
    answers = Answers(lambda: daemon.problem, lambda: daemon.reasons, lambda: daemon.status)
    server = HealthServer(ServerConfig(port=0), answers)
    server.start()
    yield server
    server.close()


def ask(server, path, method="GET"):
    """The status, the body and the headers of an answer."""
    connection = http.client.HTTPConnection(*server.address, timeout=5)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers
    finally:
        connection.close()


def told(server, path):
    status, body, _ = ask(server, path)
    return status, json.loads(body)


def send(server, data):
    """What comes back for these bytes, until the server is done."""
    with socket.create_connection(server.address, timeout=5) as client:
        client.sendall(data)
        return b"".join(iter(lambda: client.recv(4096), b""))


def test_a_loop_that_comes_round_is_healthy_and_a_stuck_one_is_not(server, daemon):
    assert told(server, "/healthz") == (200, {"status": "ok"})
    daemon.problem = "the loop has not come round for 2m"
    assert told(server, "/healthz") == (
        503,
        {"status": "stuck", "reason": "the loop has not come round for 2m"},
    )


def test_who_is_not_ready_says_why(server, daemon):
    assert told(server, "/readyz") == (200, {"status": "ready"})
    daemon.reasons = ["starting"]
    assert told(server, "/readyz") == (503, {"status": "not ready", "reasons": ["starting"]})


def test_the_status_is_json_that_everyone_can_read(server):
    assert told(server, "/status") == (200, {"seq": 7, "firing": ["no_clicks"], "recall": None})


def test_an_answer_is_json_and_is_not_kept(server):
    _, body, headers = ask(server, "/status?verbose=1")
    assert headers["Content-Type"] == "application/json"
    assert headers["Cache-Control"] == "no-store"
    assert int(headers["Content-Length"]) == len(body)


@pytest.mark.parametrize(("path", "status"), [("/healthz", 200), ("/readyz", 503), ("/x", 404)])
def test_a_head_gets_the_same_headers(server, daemon, path, status):
    daemon.reasons = ["starting"]
    asked, headed = ask(server, path), ask(server, path, "HEAD")
    assert (headed[0], headed[1]) == (status, b"")
    assert headed[2]["Content-Length"] == asked[2]["Content-Length"]


def test_a_head_is_sent_no_body(server):
    assert send(server, b"HEAD /healthz HTTP/1.1\r\n\r\n").endswith(b"\r\n\r\n")


def test_an_unknown_path_names_the_known_ones(server):
    assert told(server, "/metrics") == (
        404,
        {"error": "unknown path", "paths": ["/healthz", "/readyz", "/status"]},
    )


def test_another_method_is_refused(server):
    status, body, headers = ask(server, "/healthz", "DELETE")
    assert (status, headers["Allow"]) == (405, "GET, HEAD")
    assert json.loads(body) == {"error": "expected GET or HEAD, got DELETE"}


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (b"GET http://somewhere/healthz HTTP/1.1", b"200"),
        (b"GET /healthz HTTP/1.0", b"200"),
        (b"GET //[ HTTP/1.1", b"404"),
        (b"GET /\xff\x1b[31m HTTP/1.1", b"404"),
        (b"GET /healthz", b"400"),
        (b"\x16\x03\x01\x02", b"400"),
        (b"", b"400"),
    ],
)
def test_whatever_is_asked_is_answered(server, request_line, status):
    assert send(server, request_line + b"\r\n\r\n").split()[1] == status


def test_a_question_too_long_to_be_one_is_cut_off(server):
    with socket.create_connection(server.address, timeout=5) as client:
        try:
            client.sendall(b"GET /" + b"x" * 30_000 + b" HTTP/1.1\r\n\r\n")
            assert client.recv(10) == b""
        except ConnectionError:
            pass
    assert told(server, "/healthz")[0] == 200


def test_clients_that_never_ask_do_not_keep_others_from_it_for_ever(server, monkeypatch):
    monkeypatch.setattr("stream.live.health._EXCHANGE_S", 0.2)
    idle = [socket.create_connection(server.address, timeout=5) for _ in range(32)]
    try:
        refused = send(server, b"")
        assert refused.split()[1] == b"503"
        assert b"more than 32 connections" in refused
        assert [client.recv(10) for client in idle] == [b""] * 32
        assert told(server, "/healthz")[0] == 200
    finally:
        for client in idle:
            client.close()


def test_many_may_ask_at_once_and_one_thread_answers(server):
    n_threads = threading.active_count()
    found = []

    def ask_often():
        found.extend(told(server, "/healthz")[0] for _ in range(10))

    threads = [threading.Thread(target=ask_often) for _ in range(8)]
    for thread in threads:
        thread.start()
    assert threading.active_count() <= n_threads + len(threads)
    for thread in threads:
        thread.join(10)
    assert found == [200] * 80


def test_a_taken_port_is_refused_by_its_name(server):
    host, port = server.address
    with pytest.raises(ConfigError) as caught:
        HealthServer(ServerConfig(port=port), Answers(lambda: None, list, dict))
    assert str(caught.value) == (
        f"server.port: {host}:{port} cannot be listened on: Address already in use; write another "
        "port (0 for any free one), or server.port: null for no server"
    )


def test_a_host_that_is_not_here_is_refused_by_its_name():
    with pytest.raises(ConfigError, match=r"^server\.host: no such\.host is no address"):
        HealthServer(ServerConfig(host="no such.host", port=0), Answers(lambda: None, list, dict))


def test_an_address_of_another_machine_is_refused():
    with pytest.raises(ConfigError, match="Cannot assign requested address"):
        HealthServer(ServerConfig(host="192.0.2.1", port=0), Answers(lambda: None, list, dict))


def test_a_closed_server_gives_its_port_and_its_thread_back():
    server = HealthServer(ServerConfig(port=0), Answers(lambda: None, list, dict))
    n_threads = threading.active_count()
    server.start()
    port = server.address[1]
    with socket.create_connection(server.address, timeout=5) as waiting:
        assert told(server, "/healthz")[0] == 200
        server.close()
        assert waiting.recv(10) == b""
    assert threading.active_count() == n_threads
    again = HealthServer(ServerConfig(port=port), Answers(lambda: None, list, dict))
    again.close()
    server.close()


def test_a_server_that_never_began_can_be_closed():
    server = HealthServer(ServerConfig(port=0), Answers(lambda: None, list, dict))
    address = server.address
    server.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, timeout=1)


def test_the_reasons_to_wait_are_those_of_the_source():
    status = SimpleNamespace(
        is_connected=False, problem="no broker answers", is_repeating=True, is_backlog=True
    )
    assert reasons_to_wait(None) == ["starting"]
    assert reasons_to_wait(status) == [
        "not connected: no broker answers",
        "repeating the journal after the newest checkpoint",
    ]


def test_a_source_that_is_connected_may_still_have_a_problem():
    gone = "source.kafka.topics: clicks does not exist any more"
    status = SimpleNamespace(is_connected=True, problem=gone, is_repeating=False, is_backlog=False)
    assert reasons_to_wait(status) == [gone]


def test_a_backlog_is_no_reason_to_wait():
    status = SimpleNamespace(is_connected=True, problem=None, is_repeating=False, is_backlog=True)
    assert reasons_to_wait(status) == []
