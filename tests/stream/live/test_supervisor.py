import os
import socket

import pytest

from stream.live.supervisor import Supervisor


@pytest.fixture
def manager(tmp_path):
    """A service manager that listens in the file system."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(5)
        yield listener


def supervisor(listener, clock_s=lambda: 12.5, **environment):
    name = listener.getsockname()
    if isinstance(name, bytes):
        name = "@" + name[1:].decode()
    return Supervisor({"NOTIFY_SOCKET": name} | environment, clock_s)


def heard(listener):
    """What came so far."""
    listener.setblocking(False)
    messages = []
    try:
        while True:
            messages.append(listener.recv(4096).decode())
    except BlockingIOError:
        return messages


def test_the_life_of_a_service_is_told(manager):
    told = supervisor(manager)
    told.ready()
    told.status("reading clicks,\n120 behind")
    told.reloading()
    told.ready()
    told.stopping()
    assert heard(manager) == [
        "READY=1",
        "STATUS=reading clicks, 120 behind",
        "RELOADING=1\nMONOTONIC_USEC=12500000",
        "READY=1",
        "STOPPING=1",
    ]


def test_a_status_cannot_say_something_else_on_a_second_line(manager):
    supervisor(manager).status("fine\nSTOPPING=1")
    assert heard(manager) == ["STATUS=fine STOPPING=1"]


def test_an_abstract_socket_is_reached():
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(b"\0freshrank-test-%d" % os.getpid())
        supervisor(listener).ready()
        assert heard(listener) == ["READY=1"]


def test_the_watchdog_hears_at_least_every_half_of_its_time(manager):
    times = iter(range(100))
    told = supervisor(manager, lambda: float(next(times)), WATCHDOG_USEC="20000000")
    assert told.watchdog_s == 20.0
    for _ in range(16):
        told.feed()
    assert heard(manager) == ["WATCHDOG=1"] * 4  # at 0, 5, 10 and 15 seconds


@pytest.mark.parametrize(
    "environment",
    [{}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "soon"}, {"WATCHDOG_USEC": ""}],
)
def test_a_watchdog_that_is_not_there_is_not_fed(manager, environment):
    told = supervisor(manager, **environment)
    told.feed()
    assert told.watchdog_s is None
    assert heard(manager) == []


def test_a_watchdog_for_another_process_is_not_fed(manager):
    for pid, n_fed in ((os.getpid(), 1), (os.getpid() + 1, 0)):
        supervisor(manager, WATCHDOG_USEC="1000000", WATCHDOG_PID=str(pid)).feed()
        assert heard(manager) == ["WATCHDOG=1"] * n_fed


@pytest.mark.parametrize(
    ("name", "is_present"),
    [
        (None, False),
        ("", False),
        ("vsock:2:1234", False),
        ("/nowhere/at/all", True),
        ("/" + "x" * 500, True),
        ("/with\0null", True),
        ("@" + "x" * 500, True),
        ("@nobody-listens-here", True),
    ],
)
def test_nobody_to_tell_is_no_trouble(name, is_present):
    told = Supervisor({} if name is None else {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "1000"})
    told.ready()
    told.status("\ud800")
    told.feed()
    told.stopping()
    assert (told.watchdog_s is not None) == is_present


def test_a_manager_that_does_not_read_is_not_waited_for(manager):
    told = supervisor(manager)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as filler:
        filler.setblocking(False)
        try:
            while True:
                filler.sendto(b"X", manager.getsockname())
        except BlockingIOError:
            pass
        told.ready()
    assert "READY=1" not in heard(manager)
