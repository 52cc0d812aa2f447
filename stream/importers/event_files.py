"""Events to a file of JSON lines, plain, gzip or zstd, whole or not at all."""

import contextlib
import os
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from io import FileIO
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, get_args

import msgspec
import zstandard

from stream.durable import sync_folder
from stream.errors import SinkError, UsageError
from stream.events import Event

_TAGS = {kind: str(kind.__struct_config__.tag) for kind in get_args(Event)}
_FIELDS = {kind: kind.__struct_fields__ for kind in _TAGS}
_CHUNK_EVENTS = 4096
# zlib's number for a gzip frame; its header then holds no name and no time, so that the same
# events make the same bytes.
_GZIP_FRAME = 31
_GZIP_LEVEL = 6
_ZSTD_LEVEL = 3


def write_events(events: Iterable[Event], target: Path) -> dict[str, int]:
    r"""Write events, one JSON object a line, and count them by type.

    `type` comes first; absent fields are left out. The lines go to `<target>.tmp`, which takes
    the target's name once it is on disk: a reader sees the whole file, or the one before it.
    The target's folder is made if it is missing.

    Parameters
    ----------
    events : iterable of Event
        Taken one chunk at a time; what it raises goes through, and leaves no file.
    target : Path
        Its name ends in `.jsonl`, `.jsonl.gz` or `.jsonl.zst`.

    Raises
    ------
    UsageError
        If the target's name ends otherwise.
    SinkError
        If the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from stream.events import Click
    >>> target = Path(tempfile.mkdtemp()) / "clicks.jsonl"
    >>> write_events([Click("u", "i", 5)], target)
    {'click': 1}
    >>> target.read_text()
    '{"type":"click","user":"u","item":"i","ts":5}\n'
    """
    check_target(target)
    encoder = msgspec.json.Encoder()
    n_by_kind: Counter[type[Event]] = Counter()
    with _replacing(target) as file:
        compressor = _compressor(target)
        remaining = iter(events)
        while chunk := list(islice(remaining, _CHUNK_EVENTS)):
            n_by_kind.update(map(type, chunk))
            lines = encoder.encode_lines(list(map(_present_fields, chunk)))
            _write(file, compressor.compress(lines), target)
        _write(file, compressor.flush(), target)
    return {_TAGS[kind]: n_by_kind[kind] for kind in _TAGS if n_by_kind[kind]}


def check_target(target: Path) -> None:
    """Refuse a target whose name does not say how to write it.

    Raises
    ------
    UsageError
        If its name ends in none of `.jsonl`, `.jsonl.gz` and `.jsonl.zst`, or is a folder's.
    """
    if not target.name.lower().endswith((".jsonl", ".jsonl.gz", ".jsonl.zst")):
        raise UsageError(
            f"{target}: unknown extension; name a file that ends in .jsonl, .jsonl.gz or .jsonl.zst"
        )
    if target.is_dir():
        raise UsageError(f"{target}: is a directory; name a file")


class _Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


class _Plain:
    """Bytes as they are."""

    def compress(self, data: bytes, /) -> bytes:
        return data

    def flush(self) -> bytes:
        return b""


def _compressor(target: Path) -> _Compressor:
    suffix = target.suffix.lower()
    if suffix == ".gz":
        return zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_FRAME)
    if suffix == ".zst":
        return zstandard.ZstdCompressor(_ZSTD_LEVEL).compressobj()
    return _Plain()


@contextlib.contextmanager
def _replacing(target: Path) -> Iterator[FileIO]:
    """A file beside the target that takes its name at the end, and is gone after an error."""
    unfinished = target.with_name(f"{target.name}.tmp")
    with _explained(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        file = FileIO(unfinished, "w")
    try:
        with file:
            yield file
            with _explained(target):
                os.fsync(file)
        with _explained(target):
            unfinished.replace(target)
            sync_folder(target.parent)
    finally:
        with _explained(target):
            unfinished.unlink(missing_ok=True)


def _write(file: FileIO, data: bytes, target: Path) -> None:
    rest = memoryview(data)
    with _explained(target):
        while rest:  # the system may take a part only, as on a disk that is nearly full
            rest = rest[file.write(rest) :]


@contextlib.contextmanager
def _explained(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as err:
        reason = f"{err.strerror}: {err.filename}" if err.filename else err.strerror
        raise SinkError(
            f"{target}: cannot be written: {reason}; make room or choose another path"
        ) from err


def _present_fields(event: Event) -> dict[str, Any]:
    kind = type(event)
    present: dict[str, Any] = {"type": _TAGS[kind]}
    for name in _FIELDS[kind]:
        if (value := getattr(event, name)) is not None:
            present[name] = value
    return present
