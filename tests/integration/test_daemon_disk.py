"""A disk that is full, read-only or damaged: the daemon says so, and goes on when it can."""

import contextlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.brokers import produce
from tests.daemons import Daemon, live_settings
from tests.live_runs import assert_each_record_was_taken_in_once, n_read, repeated
from tests.runs import contents, write_shop

TMPFS_BYTES = 24 << 20
# What each record adds must find no room.
BALLAST_BYTES = 64 << 10


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Clicks and lists of a small shop."""
    path = write_shop(tmp_path_factory.mktemp("shop") / "events.jsonl", 600)
    return path.read_bytes().splitlines()


def system(*command: object) -> None:
    """Run a command of the system's; skip the test where it may not be run."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"{command[0]} is not allowed here: {done.stderr.strip()}")


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A disk of its own, in this folder."""
    folder.mkdir(parents=True, exist_ok=True)
    system("mount", "-t", "tmpfs", "-o", f"size={TMPFS_BYTES}", "none", folder)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Write until nothing more fits; the file to remove."""
    ballast = folder / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while file.write(bytes(BALLAST_BYTES)) == BALLAST_BYTES:
            pass
        while file.write(b"0"):
            pass
    return ballast


def settings_of(bootstrap: str, topic: str) -> dict[str, Any]:
    return live_settings(bootstrap, [topic])


def end_in_good_order(daemon: Daemon, n_records: int) -> None:
    daemon.wait_until(lambda: n_read(daemon) == n_records)
    daemon.sigterm()
    assert daemon.wait() == 0


def last_error(daemon: Daemon) -> str:
    return daemon.said("", level="error")[-1]["event"]


@pytest.mark.parametrize("where", ["checkpoints", "journal", "."])
def test_a_full_disk_ends_the_run_which_goes_on_when_there_is_room(
    kafka, topic, events, tmp_path, where
):
    name, half = topic(2), len(events) // 2
    daemon = Daemon(settings_of(kafka.bootstrap, name), tmp_path / "run")
    disk = daemon.out / where
    with small_disk(disk), daemon:
        produce(kafka.bootstrap, name, events[:half])
        daemon.wait_until(lambda: n_read(daemon) == half and len(daemon.checkpoints()) > 1)
        ballast = fill(disk)
        produce(kafka.bootstrap, name, events[half:])
        assert daemon.wait() == 1
        assert str(disk) in last_error(daemon)
        assert "No space left on device" in last_error(daemon)

        ballast.unlink()
        daemon.start()
        end_in_good_order(daemon, len(events))
        assert_each_record_was_taken_in_once(daemon, kafka.bootstrap, [name])
        again = repeated(daemon, kafka.bootstrap, tmp_path / "again")
        assert contents(daemon.out) == contents(again)
