"""What a daemon does when it is spoken to: signals, questions over HTTP, a second one, systemd."""

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.kafka.local_kafka import free_ports
from tests.brokers import create_topic, delete_topic, produce, unique_name
from tests.daemons import Daemon, live_settings
from tests.live_runs import clicks, n_read, summary_of

# A stop takes the batch in hand, a checkpoint and some joins of threads; a machine that others
# share gets three times as long. A supervisor's own patience is 30 s and more.
STOPS_WITHIN_S = 30.0
RULE = {"name": "low", "kind": "below", "metric": "recall@20", "threshold": 1.0, "min_samples": 1}
OTHER_RULE = RULE | {"name": "lower", "threshold": 0.9}
# Far from each other in time, as rules are looked at on a grid of event time.
STEP_MS = 60_000


@pytest.fixture(scope="module")
def resident(kafka: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon that has read what there is, for tests that change nothing about it."""
    topic = create_topic(kafka.bootstrap, unique_name(), 2)
    produce(kafka.bootstrap, topic, clicks(200))
    settings = live_settings(
        kafka.bootstrap, [topic], checkpoint={"every": "1h", "anchor_events": 100_000}
    )
    with Daemon(settings, tmp_path_factory.mktemp("resident") / "run") as daemon:
        daemon.wait_until(lambda: daemon.events() == 200)
        yield daemon
    delete_topic(kafka.bootstrap, topic)


def test_it_answers_how_it_is(resident):
    assert resident.ask("/healthz") == (200, {"status": "ok"})
    assert resident.ask("/readyz") == (200, {"status": "ready"})
    status = resident.status()
    assert status["pid"] == resident.pid
    assert status["next_seq"] == len(resident.entries())
    assert (status["events"], status["lag_records"], status["is_connected"]) == (200, 0, True)
    assert resident.ask("/metrics")[0] == 404


def test_sigusr1_takes_a_checkpoint(resident):
    before = [path.name for path in resident.checkpoints()]
    resident.signal(signal.SIGUSR1)
    name = f"ckpt-{len(resident.entries()):012d}"
    resident.wait_until(lambda: [path.name for path in resident.checkpoints()] == [*before, name])
    assert resident.said("a checkpoint was asked for")


def test_a_second_daemon_in_the_folder_refuses_with_the_pid_of_the_first(resident):
    second = Daemon({}, resident.out.with_name("second"))
    second.out, second.settings_file = resident.out, resident.settings_file
    status = second.start().wait()
    assert status == 1
    (line,) = second.said("is in use by process", level="error")
    assert f"process {resident.pid};" in line["event"]
    assert resident.ask("/healthz")[0] == 200


def test_settings_that_are_not_valid_change_nothing_and_are_refused_in_the_log(resident):
    settings = resident.settings_file.read_text()
    n_entries = len(resident.entries())
    try:
        resident.settings_file.write_text("alerts: {rules: [{name: low, kind: bellow}]}\n")
        resident.signal(signal.SIGHUP)
        resident.wait_until(lambda: resident.said("not read again", level="error"))
    finally:
        resident.settings_file.write_text(settings)
    (line,) = resident.said("not read again", level="error")
    assert "alerts.rules" in line["event"]
    assert resident.ask("/readyz")[0] == 200
    assert len(resident.entries()) == n_entries


def test_who_is_told_of_alerts_changes_with_the_next_start_and_is_said_to(resident):
    settings = yaml.safe_load(resident.settings_file.read_text())
    n_entries = len(resident.entries())
    told = {"alerts": {"deliver": [{"kind": "webhook", "url": "http://127.0.0.1:1"}]}}
    try:
        resident.write_settings(settings | told)
        resident.signal(signal.SIGHUP)
        text = "nothing new is in force; in force after a restart only: alerts.deliver"
        resident.wait_until(lambda: resident.said(text))
    finally:
        resident.write_settings(settings)
    assert resident.status()["deliveries"] == {}
    assert len(resident.entries()) == n_entries


def test_sigterm_ends_an_idle_daemon_in_good_order(kafka, topic, tmp_path):
    with Daemon(live_settings(kafka.bootstrap, [topic(1)]), tmp_path / "run") as daemon:
        daemon.wait_until(daemon.is_ready)
        assert stopped(daemon) == 0
        assert daemon.said("stopped in good order")


def test_sigterm_in_the_middle_of_load_finishes_the_batch_and_writes_a_checkpoint(
    kafka, topic, tmp_path
):
    name = topic(4)
    produce(kafka.bootstrap, name, clicks(20_000))
    settings = live_settings(kafka.bootstrap, [name], checkpoint={"every": "1h"})
    with Daemon(settings, tmp_path / "run") as daemon:
        daemon.wait_until(lambda: len(daemon.entries()) > 5)
        assert stopped(daemon) == 0
        n_entries = len(daemon.entries())
        assert daemon.checkpoints()[-1].name == f"ckpt-{n_entries:012d}"
        assert summary_of(daemon)["events"] == n_read(daemon) < 20_000
        daemon.start()
        daemon.wait_until(lambda: len(daemon.entries()) > n_entries)
        assert daemon.said(f"batch {n_entries} is next")


def test_sigterm_ends_a_daemon_whose_broker_is_away(own_kafka, tmp_path):
    broker = own_kafka()
    name, metrics = (create_topic(broker.bootstrap, unique_name()) for _ in range(2))
    produce(broker.bootstrap, name, clicks(200))
    settings = live_settings(broker.bootstrap, [name], outputs={"kafka": {"metrics": metrics}})
    with Daemon(settings, tmp_path / "run") as daemon:
        daemon.wait_until(lambda: daemon.events() == 200)
        broker.stop()
        daemon.wait_until(lambda: daemon.ask("/readyz")[0] == 503)
        assert daemon.ask("/healthz")[0] == 200
        assert stopped(daemon) == 0
        assert daemon.said("stopped in good order")


def test_a_daemon_without_a_broker_waits_says_so_and_ends_on_sigterm(tmp_path):
    settings = live_settings(f"127.0.0.1:{next(free_ports())}", ["clicks"])
    with Daemon(settings, tmp_path / "run") as daemon:
        daemon.wait_until(lambda: daemon.said("Kafka is not ready for us", level="warning"))
        status, answer = daemon.ask("/readyz")
        assert (status, answer["status"]) == (503, "not ready")
        assert daemon.ask("/healthz")[0] == 200
        assert stopped(daemon) == 0


def test_sighup_puts_other_rules_in_force_and_they_outlive_a_kill(kafka, topic, tmp_path):
    name = topic(1)
    produce(kafka.bootstrap, name, clicks(100, step_ms=STEP_MS))
    # Without recovery points: whatever holds after the kill comes from the journal.
    settings = live_settings(kafka.bootstrap, [name], checkpoint={"every": "1h"})
    with Daemon(settings, tmp_path / "run") as daemon:
        daemon.wait_until(lambda: daemon.events() == 100)
        daemon.write_settings(settings | {"alerts": {"rules": [RULE]}, "batch": {"events": 7}})
        daemon.signal(signal.SIGHUP)
        daemon.wait_until(lambda: rules_ordered(daemon) == [["low"]])
        daemon.wait_until(lambda: daemon.said("in force after a restart only: batch.events"))
        daemon.kill()
        daemon.start()
        produce(kafka.bootstrap, name, clicks(100, first=100, step_ms=STEP_MS))
        daemon.wait_until(lambda: daemon.status().get("alerts_firing") == ["low"])
        assert rules_ordered(daemon) == [["low"]]  # not ordered again: they held


def test_rules_that_differ_in_the_file_at_a_restart_come_into_force_through_the_journal(
    kafka, topic, tmp_path
):
    name = topic(1)
    produce(kafka.bootstrap, name, clicks(100, step_ms=STEP_MS))
    settings = live_settings(
        kafka.bootstrap, [name], checkpoint={"every": "1h"}, alerts={"rules": [RULE]}
    )
    with Daemon(settings, tmp_path / "run") as daemon:
        daemon.wait_until(lambda: daemon.status().get("alerts_firing") == ["low"])
        daemon.write_settings(settings | {"alerts": {"rules": [OTHER_RULE]}})
        daemon.signal(signal.SIGHUP)
        daemon.wait_until(lambda: rules_ordered(daemon) == [["lower"]])
        daemon.kill()
        # As in the checkpoint, which is older than the order; the journal knows of both.
        daemon.write_settings(settings)
        daemon.start()
        daemon.wait_until(lambda: rules_ordered(daemon) == [["lower"], ["low"]])
        produce(kafka.bootstrap, name, clicks(100, first=100, step_ms=STEP_MS))
        daemon.wait_until(lambda: daemon.status().get("alerts_firing") == ["low"])


def test_a_service_manager_is_told_how_it_is(kafka, topic, tmp_path):
    with Manager(tmp_path / "notify") as manager:
        settings = live_settings(kafka.bootstrap, [topic(1)])
        env = {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "2000000"}
        with Daemon(settings, tmp_path / "run", env) as daemon:
            manager.hear("READY=1")
            begun_s = time.monotonic()
            for _ in range(4):
                manager.hear("WATCHDOG=1")
            assert time.monotonic() - begun_s < 4 * 1.0  # twice in the time that it is given
            daemon.signal(signal.SIGHUP)
            reloading = manager.hear("RELOADING=1")
            assert 0 < int(reloading["MONOTONIC_USEC"]) <= time.monotonic() * 1e6
            manager.hear("READY=1")
            daemon.sigterm()
            manager.hear("STOPPING=1")
            assert daemon.wait() == 0


def stopped(daemon: Daemon) -> int:
    """Its exit status, after SIGTERM."""
    daemon.sigterm()
    return daemon.wait(STOPS_WITHIN_S)


def rules_ordered(daemon: Daemon) -> list[list[str]]:
    """The names of the rules in each order that the journal holds."""
    commands = [command for entry in daemon.entries() for command in entry.commands]
    return [[rule["name"] for rule in command["alerts"]["rules"]] for command in commands]


class Manager:
    """A service manager's end of the notify socket."""

    def __init__(self, path: Path) -> None:
        # The path of a socket is short, and that of a test's folder need not be.
        self.address = f"@freshrank-{os.getpid()}-{path.parent.name}"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + self.address[1:])
        self._socket.settimeout(60.0)

    def __enter__(self) -> "Manager":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def hear(self, line: str) -> dict[str, str]:
        """Wait for a message that holds this line, passing others by; all of its lines."""
        while True:
            message = self._socket.recv(1 << 16).decode()
            if line in message.splitlines():
                return dict(one.partition("=")[::2] for one in message.splitlines())
