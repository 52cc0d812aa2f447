import ssl
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from stream.delivery.posting import Poster, Request, masked
from stream.delivery.settings import HttpsConfig
from tests.receivers import Receiver, wait_until


def request_to(url, **changes):
    return Request(url, {"Content-Type": "application/json"}, b'{"id": 7}', **changes)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, "accepted"),
        (202, "accepted"),
        (204, "accepted"),
        (302, "stranger"),
        (400, "refused"),
        (401, "stranger"),
        (403, "stranger"),
        (404, "refused"),
        (408, "later"),
        (410, "refused"),
        (413, "refused"),
        (422, "refused"),
        (429, "later"),
        (500, "later"),
        (503, "later"),
    ],
)
def test_an_answer_says_whether_to_try_again(status, outcome):
    with Receiver([status]) as receiver:
        answer = Poster(5.0).send(request_to(receiver.url))
    assert (answer.outcome, answer.status) == (outcome, status)
    assert str(status) in answer.reason


def test_what_is_sent_arrives_as_it_is():
    with Receiver() as receiver:
        Poster(5.0).send(request_to(f"{receiver.url}?team=a"))
    (came,) = receiver.came
    assert (came.method, came.path, came.body) == ("POST", "/alerts?team=a", b'{"id": 7}')


def test_a_redirect_is_not_followed():
    with Receiver() as elsewhere, Receiver([(307, {"Location": elsewhere.url})]) as receiver:
        answer = Poster(5.0).send(request_to(receiver.url))
    assert "redirects are not followed" in answer.reason
    assert elsewhere.came == []


@pytest.mark.parametrize("step", ["hang", "drip"])
def test_whoever_does_not_answer_in_time_is_cut_off(step):
    began_s = time.monotonic()
    with Receiver([step]) as receiver:
        answer = Poster(0.3).send(request_to(receiver.url))
    assert (answer.outcome, answer.reason) == ("later", "no whole answer within 0.3 s")
    assert time.monotonic() - began_s < 3.0


def test_a_reset_connection_is_tried_again():
    with Receiver(["reset"]) as receiver:
        answer = Poster(5.0).send(request_to(receiver.url))
    assert (answer.outcome, answer.status) == ("later", None)


def test_nobody_listens():
    answer = Poster(5.0).send(request_to(Receiver().url))
    assert (answer.outcome, answer.reason) == ("later", "connection refused: nobody listens there")


def test_a_name_that_nobody_knows():
    answer = Poster(5.0).send(request_to("http://no-such-host.invalid/"))
    assert answer.outcome == "later"
    assert answer.reason


def test_a_receiver_may_ask_for_patience_but_not_for_ever():
    steps = [(429, {"Retry-After": "7"}), (503, {"Retry-After": "86400"}), 503]
    with Receiver(steps) as receiver:
        waits = [Poster(5.0).send(request_to(receiver.url)).wait_s for _ in range(3)]
    assert waits == [7.0, 600.0, 0.0]


def test_a_secret_that_is_answered_is_masked():
    with Receiver([400], answer=b"wrong token\n hunter2 \x1b[2J") as receiver:
        answer = Poster(5.0).send(request_to(receiver.url, secrets=("hunter2",)))
    assert answer.reason.startswith("answered 400 Bad Request: wrong token ***")
    assert "\n" not in answer.reason


def test_a_long_answer_is_cut_to_a_reason():
    assert len(masked("no " * 1000, ())) == 300


def test_a_request_under_way_can_be_ended():
    poster = Poster(30.0)
    answers = []
    with Receiver(["hang"]) as receiver:
        thread = threading.Thread(
            target=lambda: answers.append(poster.send(request_to(receiver.url)))
        )
        thread.start()
        wait_until(lambda: receiver.came)
        poster.abort()
        thread.join(5.0)
    assert [answer.outcome for answer in answers] == ["later"]


def test_a_certificate_that_is_not_there_is_told():
    tls = HttpsConfig(ca_file="no-such-ca.pem")
    answer = Poster(5.0).send(request_to("https://localhost:1/", tls=tls))
    assert answer.outcome == "later"
    assert "No such file" in answer.reason


@pytest.fixture
def https(tmp_path):
    """A server whose certificate is signed by itself; its port and the certificate."""
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
         "-keyout", str(key), "-out", str(cert)],
        check=True, capture_output=True,
    )  # fmt: skip

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server.server_address[1], cert
    server.shutdown()
    server.server_close()


def test_https_trusts_the_authority_it_is_given(https):
    port, cert = https
    request = request_to(f"https://localhost:{port}/", tls=HttpsConfig(ca_file=cert))
    assert Poster(5.0).send(request).outcome == "accepted"


def test_https_trusts_nobody_else(https):
    port, _ = https
    answer = Poster(5.0).send(request_to(f"https://localhost:{port}/"))
    assert answer.outcome == "later"
    assert answer.reason.startswith("its certificate is not trusted: ")
