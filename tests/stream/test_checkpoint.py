import errno
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from stream.checkpoint import CheckpointConfig, Checkpoints, Spared
from stream.checkpoint_files import LocalDisk, read_latest
from stream.errors import CheckpointError


class CrashError(Exception):
    """The process ends here: nothing cleans up."""


class TripDisk:
    """A disk whose step number `trip` fails with `error`, its file half-written."""

    def __init__(self, trip=None, error=None):
        self.log = []
        self._trip = trip
        self._error = error or CrashError()
        self._real = LocalDisk()

    def write_bytes(self, path, data):
        self._step("write", path, lambda: path.write_bytes(data[: len(data) // 2]))
        self._real.write_bytes(path, data)

    def write_arrays(self, path, arrays):
        self._step("write", path, lambda: path.write_bytes(b"\x08\x00"))
        self._real.write_arrays(path, arrays)

    def sync(self, path):
        self._step("sync", path)
        self._real.sync(path)

    def rename(self, source, target):
        self._step("rename", source)
        self._real.rename(source, target)

    def remove(self, folder):
        self._step("remove", folder, lambda: next(folder.iterdir()).unlink())
        self._real.remove(folder)

    def _step(self, verb, path, leave_half=lambda: None):
        self.log.append(f"{verb} {path.name}")
        if self._trip == len(self.log):
            leave_half()
            raise self._error


class GatedDisk(TripDisk):
    """A disk that writes nothing before its gate opens."""

    def __init__(self):
        super().__init__()
        self.gate = threading.Event()

    def write_bytes(self, path, data):
        self.gate.wait()
        super().write_bytes(path, data)


def state_of(seq):
    return {"seq": seq, "weight": np.full(8, seq, np.float32)}


def save(checkpoints, seq, kind="ckpt"):
    checkpoints.save(state_of(seq), {"events": {"line": seq}}, seq, 100 * seq, kind)


def opened(folder, disk=None, clock_s=lambda: 0.0, **keys):
    return Checkpoints(CheckpointConfig(dir=folder, **keys), "c0ffee", clock_s, disk)


def names(folder):
    return sorted(path.name for path in Path(folder).iterdir() if path.is_dir())


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "checkpoints"


def test_a_saved_state_is_the_latest(folder):
    with opened(folder) as checkpoints:
        save(checkpoints, 3)
        found = checkpoints.latest()
    assert found.path == folder / "ckpt-000000000003"
    assert found.state["weight"].tolist() == [3.0] * 8
    assert found.manifest.position == {"events": {"line": 3}}
    assert found.manifest.config_hash == "c0ffee"
    assert found.manifest.versions["numpy"] == np.__version__
    assert found.passed_by == ()


def test_the_newest_on_disk_is_known_with_its_time_also_after_a_restart(folder):
    began_s = time.time()
    with opened(folder) as checkpoints:
        assert checkpoints.newest is None
        save(checkpoints, 3)
        checkpoints.wait()
        seq, written_s = checkpoints.newest
    assert (seq, began_s <= written_s <= time.time()) == (3, True)
    with opened(folder) as checkpoints:
        checkpoints.latest()
        assert checkpoints.newest == (3, pytest.approx(written_s, abs=5))


def test_a_fresh_folder_has_no_latest(folder):
    with opened(folder) as checkpoints:
        assert checkpoints.latest() is None


def test_two_runs_with_equal_states_write_equal_bytes(tmp_path):
    written = []
    for run in ("first", "second"):
        with opened(tmp_path / run) as checkpoints:
            save(checkpoints, 1)
            save(checkpoints, 2, "anchor")
        written.append(
            {
                str(path.relative_to(tmp_path / run)): path.read_bytes()
                for path in sorted((tmp_path / run).rglob("*"))
                if path.is_file() and path.name != "run.lock"
            }
        )
    assert len(written[0]) == 6
    assert written[0] == written[1]


def test_files_reach_the_disk_before_their_names(folder):
    disk = TripDisk()
    with opened(folder, disk) as checkpoints:
        save(checkpoints, 1)
    assert disk.log == [
        "write state.msgpack",
        "sync state.msgpack",
        "write arrays.safetensors",
        "sync arrays.safetensors",
        "write manifest.json",
        "sync manifest.json",
        "sync ckpt-000000000001.tmp",
        "rename ckpt-000000000001.tmp",
        "sync checkpoints",
    ]


def rotated_and_replaced(checkpoints):
    save(checkpoints, 2)
    save(checkpoints, 3)
    save(checkpoints, 3)
    checkpoints.wait()


def steps_of_a_run(folder):
    disk = TripDisk()
    with opened(folder, keep=1) as checkpoints:
        save(checkpoints, 1)
    with opened(folder, disk, keep=1) as checkpoints:
        rotated_and_replaced(checkpoints)
    return len(disk.log)


def test_a_crash_at_any_step_leaves_a_folder_to_go_on_from(tmp_path):
    n_steps = steps_of_a_run(tmp_path / "unbroken")
    assert n_steps == 3 * 9 + 2 * 2 + 2
    for trip in range(1, n_steps + 1):
        folder = tmp_path / str(trip)
        with opened(folder, keep=1) as checkpoints:
            save(checkpoints, 1)
        with pytest.raises(CrashError), opened(folder, TripDisk(trip), keep=1) as checkpoints:
            rotated_and_replaced(checkpoints)
        with opened(folder, keep=1) as checkpoints:
            found = checkpoints.latest()
            assert found.passed_by == ()
            assert found.state["weight"].tolist() == [float(found.state["seq"])] * 8
            assert found.state["seq"] >= (1 if trip <= 9 else 2 if trip <= 20 else 3)
            assert not list(folder.glob("*.tmp"))
            save(checkpoints, 4)
            assert checkpoints.latest().state["seq"] == 4


@pytest.mark.parametrize("trip", [1, 3, 5, 7, 8])
def test_a_full_disk_is_told_and_costs_no_older_checkpoint(folder, trip):
    with opened(folder) as checkpoints:
        save(checkpoints, 1)
    full = TripDisk(trip, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    with opened(folder, full) as checkpoints:
        save(checkpoints, 2)
        with pytest.raises(
            CheckpointError,
            match=r"ckpt-000000000002 cannot be written: No space left.*older .* untouched",
        ):
            save(checkpoints, 3)
        assert checkpoints.latest().state["seq"] == 1
        assert names(folder) == ["ckpt-000000000001"]
        save(checkpoints, 3)
        assert checkpoints.latest().state["seq"] == 3


def test_a_file_system_that_refuses_arrays_is_told(folder):
    program = f"""
import resource, numpy as np
from stream.checkpoint import CheckpointConfig, Checkpoints, Spared
from stream.errors import CheckpointError
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
checkpoints = Checkpoints(CheckpointConfig(dir={str(folder)!r}), "c0ffee")
checkpoints.save({{"weight": np.zeros(10_000)}}, {{}}, 1, 1, "ckpt")
try:
    checkpoints.wait()
except CheckpointError as error:
    raise SystemExit(str(error))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "ckpt-000000000001 cannot be written" in done.stderr
    assert "File too large" in done.stderr
    assert names(folder) == []


def test_an_error_of_the_last_write_is_told_by_close_which_frees_the_folder(folder):
    checkpoints = opened(folder, TripDisk(2, OSError(errno.EIO, os.strerror(errno.EIO))))
    save(checkpoints, 1)
    with pytest.raises(CheckpointError, match="Input/output error"):
        checkpoints.close()
    with opened(folder) as again:
        assert again.latest() is None


def test_an_error_is_told_once(folder):
    with opened(folder, TripDisk(2, OSError(errno.EIO, "broken"))) as checkpoints:
        save(checkpoints, 1)
        with pytest.raises(CheckpointError):
            checkpoints.wait()
        save(checkpoints, 2)
        assert checkpoints.latest().state["seq"] == 2


def test_a_save_returns_before_it_is_written(folder):
    disk = GatedDisk()
    with opened(folder, disk) as checkpoints:
        state = state_of(1)
        checkpoints.save(state, {}, 1, 100, "ckpt")
        state["weight"] += 100
        assert read_latest(folder) is None
        disk.gate.set()
        assert checkpoints.latest().state["weight"].tolist() == [1.0] * 8


def test_the_next_save_waits_for_the_one_before(folder):
    disk = GatedDisk()
    with opened(folder, disk) as checkpoints:
        save(checkpoints, 1)
        second = threading.Thread(target=save, args=(checkpoints, 2))
        second.start()
        second.join(timeout=0.05)
        assert second.is_alive()
        disk.gate.set()
        second.join()
        assert checkpoints.latest().state["seq"] == 2


def test_writing_does_not_see_the_next_copy(folder):
    with opened(folder, keep=5) as checkpoints:
        for seq in (1, 2, 3):
            save(checkpoints, seq)
        checkpoints.wait()
        for seq in (1, 2, 3):
            loaded = checkpoints.load(folder / f"ckpt-{seq:012d}")
            assert loaded.state["weight"].tolist() == [float(seq)] * 8


def test_the_last_of_each_kind_remain(folder):
    with opened(folder, keep=2, keep_anchors=3) as checkpoints:
        for seq in range(1, 11):
            save(checkpoints, seq, "anchor" if seq % 2 else "ckpt")
    assert names(folder) == [
        "anchor-000000000005",
        "anchor-000000000007",
        "anchor-000000000009",
        "ckpt-000000000008",
        "ckpt-000000000010",
    ]


class KeptLog:
    """Writes down what it may drop."""

    def __init__(self):
        self.pruned = []

    def sync(self):
        pass

    def prune(self, first_needed_seq, spared):
        self.pruned.append((first_needed_seq, list(spared)))


def test_anchors_that_are_spared_remain_with_what_was_written_ahead_after_them(folder):
    log = KeptLog()
    spared = [Spared("anchor-000000000001", range(1, 3)), Spared(None, range(2))]
    with opened(folder, keep=1, keep_anchors=1) as checkpoints:
        checkpoints.keep(log)
        for seq in range(1, 6):
            checkpoints.spare(spared if seq < 5 else spared[1:])
            save(checkpoints, seq, "anchor")
            checkpoints.wait()
            is_kept = (folder / "anchor-000000000001").exists()
            assert is_kept == (seq < 5)
    assert names(folder) == ["anchor-000000000005"]
    assert log.pruned[3] == (4, [range(1, 3), range(2)])
    assert log.pruned[4] == (5, [range(2)])


def test_what_is_spared_of_an_abandoned_future_goes_with_it(folder):
    with opened(folder, keep=1, keep_anchors=1) as checkpoints:
        save(checkpoints, 9, "anchor")
        checkpoints.spare([Spared("anchor-000000000009", range(9, 12))])
        save(checkpoints, 4)
    assert names(folder) == ["ckpt-000000000004"]


def test_damaged_ones_of_an_abandoned_future_do_not_push_out_good_ones(folder):
    with opened(folder, keep=2) as checkpoints:
        for seq in (1, 8, 9):
            save(checkpoints, seq, "anchor" if seq == 1 else "ckpt")
    for seq in (8, 9):
        (folder / f"ckpt-{seq:012d}" / "state.msgpack").write_bytes(b"")
    with opened(folder, keep=2) as checkpoints:
        found = checkpoints.latest()
        assert found.state["seq"] == 1
        assert len(found.passed_by) == 2
        save(checkpoints, 2)
        found = checkpoints.latest()
    assert found.state["seq"] == 2
    assert found.passed_by == ()
    assert names(folder) == ["anchor-000000000001", "ckpt-000000000002"]


def test_anchors_are_listed_oldest_first(folder):
    with opened(folder) as checkpoints:
        for seq, kind in ((1, "anchor"), (2, "ckpt"), (3, "anchor")):
            save(checkpoints, seq, kind)
        assert [path.name for path in checkpoints.anchors()] == [
            "anchor-000000000001",
            "anchor-000000000003",
        ]


def test_a_recovery_point_is_due_by_the_timer(folder):
    clock = iter([5.0, 64.9, 65.0, 65.1, 125.0])
    with opened(folder, clock_s=lambda: next(clock), every="60s") as checkpoints:
        due = [checkpoints.due(10) for _ in range(4)]
    assert due == [None, "ckpt", None, "ckpt"]


def test_an_anchor_is_due_at_the_first_batch_past_each_multiple(folder):
    taken = []
    with opened(folder, anchor_events=1000) as checkpoints:
        for seq in range(1, 21):
            if checkpoints.due(256 * seq) == "anchor":
                checkpoints.save({}, {}, seq, 256 * seq, "anchor")
                taken.append(256 * seq)
    assert taken == [1024, 2048, 3072, 4096, 5120]


def test_an_anchor_stays_due_until_it_is_saved(folder):
    with opened(folder, anchor_events=100) as checkpoints:
        assert checkpoints.due(100) == "anchor"
        assert checkpoints.due(101) == "anchor"


def test_a_resumed_run_takes_the_anchors_of_an_unbroken_one(folder):
    with opened(folder, anchor_events=1000) as checkpoints:
        checkpoints.save({}, {}, 5, 1280, "ckpt")
    with opened(folder, anchor_events=1000) as checkpoints:
        assert checkpoints.latest().manifest.events == 1280
        assert [checkpoints.due(events) for events in (1536, 1792, 2048)] == [
            None,
            None,
            "anchor",
        ]


def test_loading_an_anchor_to_roll_back_to_does_not_move_the_count(folder):
    with opened(folder, anchor_events=1000) as checkpoints:
        checkpoints.save({}, {}, 4, 1024, "anchor")
        checkpoints.save({}, {}, 8, 2048, "anchor")
        checkpoints.load(checkpoints.anchors()[0])
        assert checkpoints.due(2304) is None


def test_a_second_run_is_refused_with_the_first_ones_pid(folder):
    with (
        opened(folder),
        pytest.raises(CheckpointError, match=rf"in use by process {os.getpid()}; stop that run"),
    ):
        opened(folder)


def test_the_folder_is_free_after_close(folder):
    opened(folder).close()
    opened(folder).close()
    assert (folder / "run.lock").read_text() == f"{os.getpid()}\n"


def test_the_folder_is_free_after_the_first_run_was_killed(folder):
    program = f"""
import os, signal
from stream.checkpoint import CheckpointConfig, Checkpoints, Spared
held = Checkpoints(CheckpointConfig(dir={str(folder)!r}), "c0ffee")
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -9
    with opened(folder) as checkpoints:
        assert checkpoints.latest() is None


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(CheckpointError, match=r"taken cannot be used: .*set checkpoint\.dir"):
        opened(tmp_path / "taken")


def test_a_read_only_place_is_told():
    with pytest.raises(CheckpointError, match=r"cannot be used: .*set checkpoint\.dir"):
        opened(Path("/proc/checkpoints"))


def test_a_state_that_cannot_be_stored_is_told_at_once(folder):
    with opened(folder) as checkpoints:
        with pytest.raises(CheckpointError, match="wider than 64 bits"):
            checkpoints.save({"rng": 2**100}, {}, 1, 1, "ckpt")
        assert checkpoints.latest() is None


def test_unknown_keys_are_refused():
    with pytest.raises(ValidationError, match="keep_forever"):
        CheckpointConfig(keep_forever=True)
