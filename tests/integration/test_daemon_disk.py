"""A disk that is full, read-only or damaged: the daemon says so, and goes on when it can."""

import contextlib
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from stream.checkpoint_files import ARRAYS_FILE, STATE_FILE, list_checkpoints
from tests.brokers import create_topic, delete_topic, produce, unique_name
from tests.daemons import Daemon, live_settings
from tests.live_runs import assert_each_record_was_taken_in_once, left_in, n_read, repeated
from tests.runs import write_shop

DISK_BYTES = 24 << 20
BALLAST_BYTES = 64 << 10


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Clicks and lists of a small shop."""
    path = write_shop(tmp_path_factory.mktemp("shop") / "events.jsonl", 600)
    return path.read_bytes().splitlines()


def settings_of(bootstrap: str, topic: str) -> dict[str, Any]:
    return live_settings(bootstrap, [topic])


def system(*command: object) -> None:
    """Run a command of the system's; skip the test where it may not be run."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"{command[0]} is not allowed here: {done.stderr.strip()}")


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A disk of its own, in this folder."""
    folder.mkdir(parents=True, exist_ok=True)
    system("mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "none", folder)
    try:
        yield
    finally:
        system("umount", "--lazy", folder)


@contextlib.contextmanager
def full(folder: Path) -> Iterator[None]:
    """Let the disk of this folder be full to its last byte."""
    ballast = folder / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while file.write(bytes(BALLAST_BYTES)):
            pass
    yield
    ballast.unlink()


@contextlib.contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Let nobody write to this folder, not even root, whom its mode would not keep from it."""
    system("mount", "--bind", folder, folder)
    try:
        system("mount", "-o", "remount,bind,ro", folder)
        yield
    finally:
        system("umount", "--lazy", folder)


@dataclass(frozen=True)
class Trouble:
    """What is wrong with a folder of the run, and what is said while it runs and at a start."""

    where: str
    begin: Callable[[Path], AbstractContextManager[None]]
    told: str
    told_at_start: str | None = None


TROUBLES = {
    "checkpoints full": Trouble("checkpoints", full, "No space left on device"),
    # What there is room for is taken: half an entry.
    "journal full": Trouble("journal", full, "make room"),
    "everything full": Trouble(
        ".", full, "No space left on device", "config.yaml: cannot be written: No space left"
    ),
    "checkpoints read-only": Trouble(
        "checkpoints",
        read_only,
        "Read-only file system",
        "checkpoints cannot be used: Read-only file system",
    ),
}


# With everything full it is one of several writes that fails first, each shown by its own tests.
EVERY_TROUBLE = [
    pytest.param(kind, marks=[pytest.mark.acceptance] if kind == "everything full" else [])
    for kind in TROUBLES
]


@pytest.mark.parametrize("kind", EVERY_TROUBLE)
def test_a_disk_that_takes_nothing_ends_the_run_and_the_same_command_goes_on_later(
    kafka, topic, events, tmp_path, kind
):
    trouble, name, half = TROUBLES[kind], topic(2), len(events) // 2
    daemon = Daemon(settings_of(kafka.bootstrap, name), tmp_path / "run")
    folder = daemon.out / trouble.where
    with small_disk(folder), daemon:
        produce(kafka.bootstrap, name, events[:half])
        daemon.wait_until(lambda: n_read(daemon) == half and len(daemon.checkpoints()) > 1)
        with trouble.begin(folder):
            produce(kafka.bootstrap, name, events[half:])
            assert daemon.wait() == 1
            assert_is_told(daemon, str(folder), trouble.told)
            if trouble.told_at_start is not None:
                daemon.start()
                assert daemon.wait() == 1
                assert_is_told(daemon, str(folder), trouble.told_at_start)
        daemon.start()
        daemon.wait_until(lambda: n_read(daemon) == len(events))
        daemon.sigterm()
        assert daemon.wait() == 0
        assert_each_record_was_taken_in_once(daemon, kafka.bootstrap, [name])
        again = repeated(daemon, kafka.bootstrap, tmp_path / "again")
        assert left_in(daemon.out) == left_in(again)


def assert_is_told(daemon: Daemon, *parts: str) -> None:
    """One error of the daemon's own, with these parts, and no traceback."""
    [told] = [
        line["event"] for line in daemon.said("", level="error") if "freshrank" in line["logger"]
    ]
    assert [part for part in parts if part not in told] == []
    assert daemon.said("Traceback") == []


@dataclass(frozen=True)
class Ended:
    """A run that came to its end in good order; tests damage copies of it."""

    daemon: Daemon
    bootstrap: str
    topic: str

    def copied(self, folder: Path) -> Daemon:
        shutil.copytree(self.daemon.out, folder / "run")
        return Daemon(settings_of(self.bootstrap, self.topic), folder / "run")


@pytest.fixture(scope="module")
def ended(kafka, events, tmp_path_factory) -> Iterator[Ended]:
    name = create_topic(kafka.bootstrap, unique_name(), 2)
    settings = settings_of(kafka.bootstrap, name)
    with Daemon(settings, tmp_path_factory.mktemp("ended") / "run") as daemon:
        produce(kafka.bootstrap, name, events)
        daemon.wait_until(lambda: n_read(daemon) == len(events))
        daemon.sigterm()
        assert daemon.wait() == 0
    yield Ended(daemon, kafka.bootstrap, name)
    delete_topic(kafka.bootstrap, name)


def test_damaged_checkpoints_are_named_and_the_run_goes_on_from_the_one_before(ended, tmp_path):
    daemon = ended.copied(tmp_path)
    stored = [path for _, _, path in list_checkpoints(daemon.out / "checkpoints")]
    whole, flipped, truncated = stored[-3:]
    data = (truncated / ARRAYS_FILE).read_bytes()
    (truncated / ARRAYS_FILE).write_bytes(data[: len(data) // 2])
    flip_a_bit(flipped / STATE_FILE)
    unfinished = stored[-1].with_name("ckpt-000000009999.tmp")
    shutil.copytree(whole, unfinished)
    with daemon:
        daemon.wait_until(daemon.is_ready)
        [next_up] = daemon.said("is next")
        assert f"batch {int(whole.name.partition('-')[2])} is next," in next_up["event"]
        daemon.sigterm()
        assert daemon.wait() == 0
    told = [one["text"] for one in daemon.records("incidents.jsonl") if one["kind"] == "checkpoint"]
    sizes = f"has {len(data) // 2} bytes, its manifest says {len(data)}"
    assert told == [
        f"{truncated}: passed by: {truncated / ARRAYS_FILE} {sizes}",
        f"{flipped}: passed by: {flipped / STATE_FILE} has another SHA-256 than its manifest says",
    ]
    assert not unfinished.exists()
    assert left_in(daemon.out) == left_in(ended.daemon.out)


def test_a_journal_that_is_damaged_amid_is_refused_by_file_and_line(ended, tmp_path):
    daemon = ended.copied(tmp_path)
    segment = daemon.out / "journal" / "000000000000.jsonl"
    whole = segment.read_bytes()
    flip_a_bit(segment)
    n_lines_before = whole[: len(whole) // 2].count(b"\n")
    with daemon:
        assert daemon.wait() == 1
        assert_is_told(daemon, f"{segment}:{n_lines_before + 1}: is damaged")
        segment.write_bytes(whole)
        daemon.start()
        daemon.wait_until(daemon.is_ready)
        daemon.sigterm()
        assert daemon.wait() == 0
    assert left_in(daemon.out) == left_in(ended.daemon.out)


def flip_a_bit(path: Path) -> None:
    """In the middle of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
