import signal
import time

import pytest

from stream.commands.stopping import StopSignals


class FakeRun:
    def __init__(self):
        self.n_stops = 0

    def stop(self):
        self.n_stops += 1


@pytest.fixture
def aborts():
    return []


@pytest.fixture
def stop(aborts):
    return StopSignals(abort=aborts.append)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_signal_stops_the_run(stop, aborts, number, status):
    run = FakeRun()
    with stop:
        stop.attach(run)
        assert (run.n_stops, stop.exit_status) == (0, 0)
        signal.raise_signal(number)
    assert (run.n_stops, stop.exit_status, aborts) == (1, status, [])


def test_a_signal_before_the_run_stops_it_as_it_begins(stop):
    run = FakeRun()
    with stop:
        signal.raise_signal(signal.SIGTERM)
        stop.attach(run)
    assert run.n_stops == 1


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_after_a_signal_aborts(stop, aborts, first):
    with stop:
        signal.raise_signal(first)
        signal.raise_signal(signal.SIGINT)
    assert aborts == [130]


def test_a_second_sigterm_changes_nothing(stop, aborts):
    with stop:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
    assert (stop.exit_status, aborts) == (143, [])


def test_who_is_told_hears_of_the_first_signal_only(aborts):
    told = []
    with StopSignals(on_stop=lambda: told.append("stop"), abort=aborts.append):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
    assert told == ["stop"]


def test_the_handlers_of_before_come_back(stop):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with stop:
        assert signal.getsignal(signal.SIGINT) != before[0]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_a_signal_ends_a_sleep(stop):
    with stop:
        signal.raise_signal(signal.SIGTERM)
        began_s = time.monotonic()
        stop.sleep(3600)
    assert time.monotonic() - began_s < 60


def test_a_sleep_without_a_signal_takes_its_time(stop):
    began_s = time.monotonic()
    stop.sleep(0.02)
    assert time.monotonic() - began_s >= 0.02
