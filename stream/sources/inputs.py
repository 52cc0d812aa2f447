"""What the given paths name: files of a known format, or standard input.

Everything wrong with a path is found here, before the first record.
"""

import glob
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Literal

from stream.errors import SourceError, UsageError

Format = Literal["jsonl", "csv", "tsv", "parquet"]
Compression = Literal["gzip", "zstd"]

STDIN = "-"
_FINGERPRINT_BYTES = 4096
_FORMATS: dict[str, Format] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
}
_COMPRESSIONS: dict[str, Compression] = {".gz": "gzip", ".zst": "zstd"}
_KNOWN = (
    ".jsonl, .ndjson, .json, .csv, .tsv (each also with .gz or .zst) and .parquet; "
    "- is standard input as JSON lines"
)


@dataclass(frozen=True, slots=True)
class Input:
    """One file, or standard input: `path` as given, `n_bytes` on disk (None: not known)."""

    path: str
    format: Format
    compression: Compression | None = None
    n_bytes: int | None = None


def find_inputs(paths: Sequence[str]) -> tuple[Input, ...]:
    """The inputs that paths and globs name, in the order given, a glob's sorted by name.

    Raises
    ------
    UsageError
        If nothing is named, or something cannot be read, has no known format or comes twice.
    """
    if not paths:
        raise UsageError("no input; name files, a glob such as events/*.jsonl, or - for stdin")
    inputs = tuple(_input(path) for given in paths for path in _expand(given))
    seen: set[str] = set()
    for found in inputs:
        if found.path in seen:
            raise UsageError(f"{found.path}: is given twice; name it once")
        seen.add(found.path)
    return inputs


def _expand(given: str) -> list[str]:
    if given == STDIN or Path(given).exists() or not glob.has_magic(given):
        return [given]
    # Path.glob takes no absolute pattern and matches hidden files, unlike a shell.
    found = glob.glob(given, recursive=True)  # noqa: PTH207
    matches = sorted(path for path in found if not Path(path).is_dir())
    if not matches:
        raise UsageError(f"{given}: matches no file; check the folder and the pattern")
    return matches


def _input(path: str) -> Input:
    if path == STDIN:
        return Input(path, "jsonl")
    file = Path(path)
    if file.is_dir():
        raise UsageError(
            f"{path}: is a directory; give files or a glob such as {path.rstrip('/')}/*.jsonl"
        )
    try:
        with file.open("rb"):
            n_bytes = file.stat().st_size
    except FileNotFoundError as err:
        raise UsageError(f"{path}: no such file; check the path") from err
    except OSError as err:
        raise UsageError(f"{path}: cannot be read: {err.strerror}") from err
    suffix = file.suffix.lower()
    compression = _COMPRESSIONS.get(suffix)
    if compression:
        suffix = file.with_suffix("").suffix.lower()
    known = _FORMATS.get(suffix)
    if known is None or (known == "parquet" and compression):
        raise UsageError(f"{path}: unknown extension; known are {_KNOWN}")
    return Input(path, known, compression, n_bytes)


def fingerprint(found: Input, like: str | None = None) -> str:
    """Identifies a file by its first bytes, at most 4 KiB: their number and a hash of them.

    With `like`, as many bytes are hashed as that fingerprint holds, so that a file that has
    grown since still has it.

    Raises
    ------
    SourceError
        If the file cannot be read any more.
    """
    if found.path == STDIN:
        return STDIN
    n_bytes = _FINGERPRINT_BYTES
    if like is not None and like.partition(":")[0].isdecimal():
        n_bytes = min(n_bytes, int(like.partition(":")[0]))
    try:
        with Path(found.path).open("rb") as file:
            head = file.read(n_bytes)
    except OSError as err:
        raise SourceError(f"{found.path}: cannot be read: {err.strerror}") from err
    return f"{len(head)}:{blake2b(head, digest_size=8).hexdigest()}"
