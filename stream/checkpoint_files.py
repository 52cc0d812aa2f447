"""A checkpoint on disk: one folder, whole or not there.

    ckpt-000000018231/        anchor-... for one that was taken by the count of events
      state.msgpack           everything that is no array
      arrays.safetensors      every array, named by its path in the state
      manifest.json           what, from where, by which versions; size and SHA-256 of the others

It is filled under another name, synced, and renamed. No file holds a time, so that the same run
writes the same bytes.
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save_file

from stream.checkpoint_snapshot import Arrays, Snapshot, restore_state
from stream.errors import CheckpointError
from stream.values import State

FORMAT_VERSION = 1
STATE_FILE = "state.msgpack"
ARRAYS_FILE = "arrays.safetensors"
MANIFEST_FILE = "manifest.json"

Kind = Literal["ckpt", "anchor"]
"""A recovery point, taken by a timer, or an anchor, taken by the count of events."""

_KINDS: dict[str, Kind] = {"ckpt": "ckpt", "anchor": "anchor"}
_NAME = re.compile(r"(ckpt|anchor)-(\d{12,})")


class FileSum(BaseModel):
    """What a file must be to be the one that was written."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    size_bytes: int
    sha256: str


class Manifest(BaseModel):
    """What a checkpoint says of itself.

    `seq` and `events` count the batches and events behind it; `position` is where the source
    goes on. `config_hash` is recorded, not judged.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format_version: int = FORMAT_VERSION
    kind: Kind
    seq: int
    events: int
    config_hash: str
    position: dict[str, dict[str, int | str]]
    versions: dict[str, str]
    files: dict[str, FileSum] = {}


@dataclass(frozen=True, slots=True)
class Damage:
    """A checkpoint that was passed by, and why."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint that verified; `passed_by` names the newer ones that did not."""

    path: Path
    manifest: Manifest
    state: State
    passed_by: tuple[Damage, ...] = ()


@dataclass(frozen=True, slots=True)
class StoredArray:
    """An array as a file's header describes it."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a checkpoint holds; `damage` is None where it verifies."""

    manifest: Manifest
    damage: str | None
    arrays: tuple[StoredArray, ...] = ()


class DamagedError(CheckpointError):
    """The files are not the ones that were written."""


class Disk(Protocol):
    """The steps that change a checkpoint folder, one by one; a crash can fall between any two."""

    def write_bytes(self, path: Path, data: bytes) -> None: ...

    def write_arrays(self, path: Path, arrays: Arrays) -> None: ...

    def sync(self, path: Path) -> None: ...

    def rename(self, source: Path, target: Path) -> None: ...

    def remove(self, folder: Path) -> None: ...


class LocalDisk:
    """The steps on the local file system."""

    def write_bytes(self, path: Path, data: bytes) -> None:
        path.write_bytes(data)

    def write_arrays(self, path: Path, arrays: Arrays) -> None:
        try:
            save_file(arrays, path)
        except SafetensorError as err:
            raise OSError(str(err)) from err
        # safetensors makes its file readable by its owner alone; who may read the folder may
        # read the arrays.
        path.chmod(path.parent.stat().st_mode & 0o666)

    def sync(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        source.rename(target)

    def remove(self, folder: Path) -> None:
        shutil.rmtree(folder)


def checkpoint_name(kind: Kind, seq: int) -> str:
    """The name of a checkpoint's folder.

    Examples
    --------
    >>> checkpoint_name("anchor", 18231)
    'anchor-000000018231'
    """
    return f"{kind}-{seq:012d}"


def list_checkpoints(folder: Path) -> list[tuple[int, Kind, Path]]:
    """Sequence number, kind and path of every checkpoint of a folder, oldest first."""
    matches = [(_NAME.fullmatch(path.name), path) for path in _entries(folder)]
    return sorted((int(m[2]), _KINDS[m[1]], path) for m, path in matches if m)


def _entries(folder: Path) -> Iterator[Path]:
    return folder.iterdir() if folder.is_dir() else iter(())


def installed_versions() -> dict[str, str]:
    """Versions that decide what a run computes; looked up without importing anything."""
    return {name: _version(name) for name in ("freshrank", "torch", "numpy")}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def write_checkpoint(disk: Disk, target: Path, taken: Snapshot, manifest: Manifest) -> None:
    """Write a checkpoint so that a reader sees all of it or none, whenever the power fails.

    An earlier one of the same name is set aside for the moment of the rename;
    `remove_leftovers` brings it back if that moment is the last.

    Raises
    ------
    OSError
        If a step fails; what was half-written is left for `remove_leftovers`.
    """
    unfinished = target.with_name(f"{target.name}.tmp")
    unfinished.mkdir()
    # 1. the files, each on disk before its sum is written down
    disk.write_bytes(unfinished / STATE_FILE, taken.packed)
    disk.sync(unfinished / STATE_FILE)
    disk.write_arrays(unfinished / ARRAYS_FILE, taken.arrays)
    disk.sync(unfinished / ARRAYS_FILE)
    sums = {name: _sum_of(unfinished / name) for name in (STATE_FILE, ARRAYS_FILE)}
    complete = manifest.model_copy(update={"files": sums})
    disk.write_bytes(unfinished / MANIFEST_FILE, _encode(complete))
    disk.sync(unfinished / MANIFEST_FILE)
    # 2. their names
    disk.sync(unfinished)
    # 3. the name of the whole: from here on it exists
    aside = target.with_name(f"{target.name}.old.tmp")
    if target.exists():
        disk.rename(target, aside)
    disk.rename(unfinished, target)
    disk.sync(target.parent)
    if aside.exists():
        disk.remove(aside)


def remove_checkpoint(disk: Disk, path: Path) -> None:
    """Remove a checkpoint; it loses its name first, so that no half of it is ever read."""
    doomed = path.with_name(f"{path.name}.tmp")
    disk.rename(path, doomed)
    disk.remove(doomed)


def remove_leftovers(disk: Disk, folder: Path) -> None:
    """Clear away what a crash left half-written or half-removed."""
    for path in sorted(folder.glob("*.tmp")):
        name = path.name.removesuffix(".tmp")
        final = path.with_name(name.removesuffix(".old"))
        if not _NAME.fullmatch(final.name):
            continue
        if name.endswith(".old") and not final.exists():
            disk.rename(path, final)
        else:
            disk.remove(path)


def read_latest(folder: Path) -> Checkpoint | None:
    """The newest checkpoint of a folder that verifies, an anchor or not; None if it has none.

    Raises
    ------
    CheckpointError
        If there are checkpoints and all are damaged, or the newest has another format version.
    """
    passed_by: list[Damage] = []
    for _seq, _kind, path in reversed(list_checkpoints(folder)):
        try:
            found = read_checkpoint(path)
        except DamagedError as err:
            passed_by.append(Damage(path, str(err)))
        else:
            return Checkpoint(found.path, found.manifest, found.state, tuple(passed_by))
    if not passed_by:
        return None
    reasons = "; ".join(damage.reason for damage in passed_by)
    raise CheckpointError(
        f"{folder}: all {len(passed_by)} checkpoints are damaged ({reasons}); restore one from a "
        "backup, or start afresh in another folder"
    )


def read_checkpoint(path: Path) -> Checkpoint:
    """Load one checkpoint.

    Raises
    ------
    DamagedError
        If a file is missing or is not the one that was written.
    CheckpointError
        If it has another format version.
    """
    manifest = _read_manifest(path)
    _verify_files(path, manifest)
    try:
        taken = Snapshot(load_file(path / ARRAYS_FILE), (path / STATE_FILE).read_bytes())
    except (OSError, SafetensorError) as err:
        raise DamagedError(f"{path} cannot be read: {err}") from err
    return Checkpoint(path, manifest, restore_state(taken))


def inspect_checkpoint(path: Path) -> Inspection:
    """What a checkpoint holds; at most one array is in memory at a time.

    Raises
    ------
    CheckpointError
        If its manifest is damaged or of another format version.
    """
    manifest = _read_manifest(path)
    try:
        _verify_files(path, manifest)
    except DamagedError as err:
        return Inspection(manifest, str(err))
    arrays = []
    with safe_open(path / ARRAYS_FILE, framework="numpy") as stored:
        for name in sorted(stored.keys()):
            array = stored.get_tensor(name)
            arrays.append(StoredArray(name, array.dtype.name, array.shape, array.nbytes))
    return Inspection(manifest, None, tuple(arrays))


def _encode(manifest: Manifest) -> bytes:
    """The manifest's bytes, closed by a SHA-256 of themselves: nothing else vouches for it."""
    return _sealed(manifest.model_dump(mode="json"))


def _sealed(fields: dict[str, Any]) -> bytes:
    sha256 = hashlib.sha256(_to_json(fields)).hexdigest()
    return _to_json(fields | {"manifest_sha256": sha256})


def _to_json(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields, indent=1).encode() + b"\n"


def _read_manifest(path: Path) -> Manifest:
    try:
        raw = (path / MANIFEST_FILE).read_bytes()
    except OSError as err:
        raise DamagedError(f"{path / MANIFEST_FILE} cannot be read: {err.strerror}") from err
    try:
        fields = json.loads(raw)
        del fields["manifest_sha256"]
    except (ValueError, KeyError, AttributeError, TypeError) as err:
        raise DamagedError(f"{path / MANIFEST_FILE} is no manifest: {err}") from err
    if raw != _sealed(fields):
        raise DamagedError(f"{path / MANIFEST_FILE} has another SHA-256 than it states")
    # After the sum: a flipped bit in the number is damage. Every format keeps the sum's rule.
    if (found := fields.get("format_version")) != FORMAT_VERSION:
        raise CheckpointError(
            f"{path} has format version {found}, this freshrank reads {FORMAT_VERSION}; resume "
            f"with the version that wrote it ({fields.get('versions')}), or start "
            "afresh in another folder"
        )
    try:
        return Manifest.model_validate(fields)
    except ValidationError as err:
        raise DamagedError(f"{path / MANIFEST_FILE} is no manifest: {err}") from err


def _verify_files(path: Path, manifest: Manifest) -> None:
    for name in (STATE_FILE, ARRAYS_FILE):
        stated = manifest.files.get(name)
        if stated is None:
            raise DamagedError(f"{path / MANIFEST_FILE} does not mention {name}")
        try:
            found = _sum_of(path / name)
        except OSError as err:
            raise DamagedError(f"{path / name} cannot be read: {err.strerror}") from err
        if found.size_bytes != stated.size_bytes:
            raise DamagedError(
                f"{path / name} has {found.size_bytes} bytes, its manifest says {stated.size_bytes}"
            )
        if found.sha256 != stated.sha256:
            raise DamagedError(f"{path / name} has another SHA-256 than its manifest says")


def _sum_of(path: Path) -> FileSum:
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return FileSum(size_bytes=file.tell(), sha256=sha256)
