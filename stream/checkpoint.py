"""When checkpoints are taken, which are kept, and which one a run goes on from.

The loop waits only for the copy of its state; one background thread writes it. Recovery points
come by a timer and only shorten a resume. Anchors come by the count of events alone, so that two
runs over the same events take the same ones: only anchors may be named, rolled back to or
distilled from.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Protocol

from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveInt

from stream.checkpoint_files import (
    Checkpoint,
    Disk,
    Kind,
    LocalDisk,
    Manifest,
    checkpoint_name,
    installed_versions,
    list_checkpoints,
    read_checkpoint,
    read_latest,
    remove_checkpoint,
    remove_leftovers,
    write_checkpoint,
)
from stream.checkpoint_snapshot import Buffers, Snapshot, make_room, take_snapshot
from stream.durations import DurationMs
from stream.errors import CheckpointError
from stream.folder_lock import held
from stream.values import Position, State

LOCK_FILE = "run.lock"


class CheckpointConfig(BaseModel):
    """Where checkpoints go, how often they are taken, and how many remain.

    Beside the last `keep` recovery points and the last `keep_anchors` anchors, up to `keep_named`
    further anchors remain: those that the latest firing notices were computed from, no longer than
    `keep_named_for` of event time after the notice.

    Memory: one copy of the whole state is held from the first save on. Disk: at most
    `keep + keep_anchors + keep_named + 1` checkpoints.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    dir: Path = Path("checkpoints")
    anchor_events: PositiveInt = 50_000
    keep_anchors: PositiveInt = 8
    keep: PositiveInt = 3
    keep_named: NonNegativeInt = 8
    keep_named_for: DurationMs = 7 * 86_400_000
    every: DurationMs = 60_000


class WrittenAhead(Protocol):
    """What a resume repeats from a checkpoint on, such as the journal."""

    def sync(self) -> None: ...

    def prune(self, first_needed_seq: int, spared: Sequence[range]) -> None: ...


class Spared(NamedTuple):
    """An anchor that stays longer than others, None for the run's beginning, and why.

    From it the batches `seqs` can be repeated: what is written ahead of them stays too.
    """

    anchor: str | None
    seqs: range


class Checkpoints:
    """The checkpoints of one run; it owns their folder until `close`.

    Parameters
    ----------
    config : CheckpointConfig
        The folder is made if it is missing; what a crash left half-written is cleared away.
    config_hash : str
        Of the run's whole configuration; written down beside the state.
    clock_s : callable
        A monotonic clock, in seconds; it decides nothing but when recovery points are due.
    disk : Disk, optional
        The steps on the file system, for tests that crash between two of them.

    Raises
    ------
    CheckpointError
        If the folder cannot be written to, or another run is using it.
    """

    def __init__(
        self,
        config: CheckpointConfig,
        config_hash: str,
        clock_s: Callable[[], float] = time.monotonic,
        disk: Disk | None = None,
    ) -> None:
        self._log: WrittenAhead | None = None
        self._config = config
        self._config_hash = config_hash
        self._clock_s = clock_s
        self._disk = disk or LocalDisk()
        with contextlib.ExitStack() as opening:
            advice = "set checkpoint.dir to another folder"
            opening.enter_context(held(config.dir / LOCK_FILE, advice))
            with _explained(config.dir, "cannot be cleared of half-written checkpoints"):
                remove_leftovers(self._disk, config.dir)
            self._lock = opening.pop_all()
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")
        self._pending: Future[None] | None = None
        self._buffers: Buffers = {}
        self._anchors_passed = 0
        self._timer_s = clock_s()
        self._newest: tuple[int, float] | None = None
        self._spared: tuple[Spared, ...] = ()

    def keep(self, log: WrittenAhead) -> None:
        """Have a log on disk before each checkpoint that follows from it, and cut back after it.

        Both by the thread that writes.
        """
        self._log = log

    def spare(self, spared: Sequence[Spared]) -> None:
        """Have these stay, and no others beyond those that always do, from the next save on."""
        self._spared = tuple(spared)

    @property
    def folder(self) -> Path:
        """Where the checkpoints lie."""
        return self._config.dir

    @property
    def newest(self) -> tuple[int, float] | None:
        """Batch and time of day, in seconds, of the newest checkpoint known to be whole on disk."""
        return self._newest

    def due(self, events: int) -> Kind | None:
        """What to save after `events` events, if anything.

        An anchor is due at the first call at or past each multiple of `anchor_events`, and stays
        due until it is saved. A recovery point is due when `every` has passed since the last
        time that anything was due.

        Parameters
        ----------
        events : int
            Events since the beginning of the stream, resumes included.
        """
        now_s = self._clock_s()
        kind: Kind | None = None
        if events // self._config.anchor_events > self._anchors_passed:
            kind = "anchor"
        elif now_s - self._timer_s >= self._config.every / 1000:
            kind = "ckpt"
        if kind is not None:
            self._timer_s = now_s
        return kind

    def save(self, state: State, position: Position, seq: int, events: int, kind: Kind) -> None:
        """Copy the state and have it written; returns before it is on disk.

        Waits for the write before, so that at most one is in flight. Once it is on disk, older
        ones past the number to keep are removed, and so are those with a larger `seq`: they
        belong to a future that this run left when it resumed from before them.

        Raises
        ------
        CheckpointError
            If the write before failed, or the state holds what cannot be stored.
        """
        self.wait()
        manifest = Manifest(
            kind=kind,
            seq=seq,
            events=events,
            config_hash=self._config_hash,
            position={name: dict(cursor) for name, cursor in position.items()},
            versions=installed_versions(),
        )
        taken = take_snapshot(state, self._buffers)
        if kind == "anchor":
            self._anchors_passed = events // self._config.anchor_events
        self._pending = self._writer.submit(self._write, taken, manifest, self._spared)

    def prepare(self, state: State) -> None:
        """Touch the memory that copies of this state will take, so that no save has to."""
        self.wait()
        make_room(take_snapshot(state, self._buffers), self._buffers)

    def wait(self) -> None:
        """Return when nothing is in flight.

        Raises
        ------
        CheckpointError
            If the last write failed; told once.
        """
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def latest(self) -> Checkpoint | None:
        """The newest checkpoint that verifies; the count towards the next anchor goes on from it.

        Its `passed_by` names newer ones that are damaged. None if the folder has none.

        Raises
        ------
        CheckpointError
            If all are damaged, or the newest has another format version.
        """
        self.wait()
        found = read_latest(self._config.dir)
        if found is not None:
            self._anchors_passed = found.manifest.events // self._config.anchor_events
            self._newest = found.manifest.seq, found.path.stat().st_mtime
        return found

    def anchors(self) -> list[Path]:
        """Anchors on disk, oldest first; waits, so that the answer does not depend on timing."""
        self.wait()
        return [path for _, kind, path in list_checkpoints(self._config.dir) if kind == "anchor"]

    def load(self, path: Path) -> Checkpoint:
        """Load one checkpoint, an anchor to roll back to for instance; changes nothing here.

        Raises
        ------
        CheckpointError
            If it is damaged or has another format version.
        """
        self.wait()
        return read_checkpoint(path)

    def close(self) -> None:
        """Finish what is in flight and release the folder.

        Raises
        ------
        CheckpointError
            If the last write failed.
        """
        try:
            self.wait()
        finally:
            self._writer.shutdown()
            self._lock.close()

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _write(self, taken: Snapshot, manifest: Manifest, spared: tuple[Spared, ...]) -> None:
        """In the background thread."""
        path = self._config.dir / checkpoint_name(manifest.kind, manifest.seq)
        if self._log is not None:
            self._log.sync()
        try:
            with _explained(path, "cannot be written"):
                write_checkpoint(self._disk, path, taken, manifest)
            self._newest = manifest.seq, time.time()
        except CheckpointError:
            # Gives a full disk its space back; if that fails too, the next start does it.
            with contextlib.suppress(OSError):
                remove_leftovers(self._disk, self._config.dir)
            raise
        with _explained(path, "was written, but those before it cannot be removed"):
            self._rotate(manifest.seq, spared)
        make_room(taken, self._buffers)

    def _rotate(self, newest_seq: int, spared: tuple[Spared, ...]) -> None:
        stored = list_checkpoints(self._config.dir)
        past = [(kind, path) for seq, kind, path in stored if seq <= newest_seq]
        recovery_points = [path for kind, path in past if kind == "ckpt"]
        anchors = [path for kind, path in past if kind == "anchor"]
        kept = {*recovery_points[-self._config.keep :], *anchors[-self._config.keep_anchors :]}
        spared_names = {one.anchor for one in spared}
        for _seq, _kind, path in stored:
            if path not in kept and not (path in anchors and path.name in spared_names):
                remove_checkpoint(self._disk, path)
        if self._log is not None:
            first_seq = min(seq for seq, _, path in stored if path in kept)
            self._log.prune(first_seq, [one.seqs for one in spared])


@contextlib.contextmanager
def _explained(path: Path, what: str) -> Iterator[None]:
    try:
        yield
    except OSError as err:
        raise CheckpointError(
            f"{path} {what}: {err.strerror or err}; older checkpoints are untouched; check the "
            "space and the permissions, then go on from the newest one, if there is one (a replay "
            "with --resume)"
        ) from err
