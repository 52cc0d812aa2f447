import contextlib
import socket
import socketserver
import threading
import time

import pytest

from deploy.kafka.local_kafka import HOST, Listener
from tests.brokers import create_topic, produce, values_of
from tests.tcp_proxy import TcpProxy


class Echo(socketserver.StreamRequestHandler):
    """Says back what it hears."""

    def handle(self):
        with contextlib.suppress(ConnectionError):
            while data := self.request.recv(65_536):
                self.request.sendall(data)


@pytest.fixture
def echo():
    with socketserver.ThreadingTCPServer((HOST, 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        yield f"{HOST}:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture
def proxy(echo):
    with TcpProxy(echo) as proxy:
        yield proxy


def connect(proxy):
    return socket.create_connection((HOST, proxy.port), timeout=10)


def said(client, data):
    """What comes back, and after how many seconds."""
    start_s = time.monotonic()
    client.sendall(data)
    received = b""
    while len(received) < len(data):
        received += client.recv(65_536)
    return received, time.monotonic() - start_s


def test_bytes_pass_both_ways_in_order(proxy):
    data = bytes(range(256)) * 400
    with connect(proxy) as client:
        assert said(client, data)[0] == data
        assert said(client, b"more")[0] == b"more"


def test_an_end_is_passed_on_after_the_last_byte(proxy):
    with connect(proxy) as client, socket.create_server((HOST, 0)) as server:
        said(client, b"open")
        proxy.forward_to(f"{HOST}:{server.getsockname()[1]}")
        with connect(proxy) as second:
            far, _ = server.accept()
            with far:
                far.sendall(b"last" * 100_000)
            received = b""
            while data := second.recv(65_536):
                received += data
        assert received == b"last" * 100_000
        assert said(client, b"still")[0] == b"still"


def test_a_delay_is_felt_in_both_directions(proxy):
    with connect(proxy) as client:
        said(client, b"warm")
        proxy.delay(150)
        received, took_s = said(client, b"slow")
    assert received == b"slow"
    assert took_s >= 0.3


def test_a_delay_leaves_the_rate(proxy):
    proxy.delay(50)
    with connect(proxy) as client:
        _, took_s = said(client, bytes(300_000))
    # One by one its twenty chunks would take two seconds.
    assert took_s < 1.5


def test_a_limit_holds_for_bytes_per_second(proxy):
    proxy.limit(400_000)
    with connect(proxy) as client:
        _, took_s = said(client, bytes(100_000))
    assert took_s >= 0.2


def test_a_reset_ends_connections_and_lets_new_ones_in(proxy):
    with connect(proxy) as client:
        said(client, b"open")
        proxy.reset()
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    with connect(proxy) as client:
        assert said(client, b"new")[0] == b"new"
    assert proxy.n_accepted == 2


def test_nobody_gets_in_while_it_refuses(proxy):
    with connect(proxy) as client:
        said(client, b"open")
        proxy.refuse()
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    with pytest.raises(ConnectionRefusedError):
        connect(proxy)
    proxy.accept()
    with connect(proxy) as client:
        assert said(client, b"back")[0] == b"back"


def test_what_is_held_comes_after_the_release(proxy):
    with connect(proxy) as client:
        said(client, b"open")
        proxy.hold()
        client.sendall(b"held")
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.recv(4)
        client.settimeout(10)
        proxy.release()
        assert client.recv(4) == b"held"


def test_a_server_that_is_gone_resets_the_client(proxy):
    proxy.forward_to(f"{HOST}:1")
    # The reset may come while the client still connects.
    with pytest.raises(ConnectionResetError), connect(proxy) as client:
        client.recv(1)


def test_healing_undoes_everything(proxy):
    proxy.delay(60_000)
    proxy.limit(1)
    proxy.hold()
    proxy.refuse()
    proxy.heal()
    with connect(proxy) as client:
        received, took_s = said(client, b"well")
    assert received == b"well"
    assert took_s < 5


def test_clients_of_a_broker_that_advertises_the_proxy_go_through_it(own_kafka):
    with TcpProxy() as proxy:
        broker = own_kafka(listeners=[Listener("PROXIED", advertised_port=proxy.port)])
        proxy.forward_to(broker.address("PROXIED"))
        create_topic(broker.bootstrap, "t")
        assert proxy.n_accepted == 0
        assert produce(proxy.address, "t", [b"a"]) == [(0, 0)]
        assert values_of(broker.address("PROXIED"), "t") == [b"a"]
        # The last one asked the broker itself where to read.
        assert proxy.n_accepted >= 2
