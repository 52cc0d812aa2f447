"""A file in segments: a full one is put away under its number, and the oldest are dropped.

    metrics.000011.jsonl      full, from the oldest that is left
    metrics.000012.jsonl
    metrics.jsonl             the one that is written, number 13: one past the newest full one

Every step is on disk before the next one is taken, newest numbers are removed first and oldest
numbers dropped first: at any instant the numbers tell which segments there are, and that those
below them were dropped.
"""

import os
import re
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, model_validator

from stream.durable import sync_folder
from stream.errors import SinkError


class FilesConfig(BaseModel):
    """How long the output files of a daemon grow; a replay writes each output as one whole file.

    Attributes
    ----------
    segment_bytes : int
        A record that would make a file longer than this begins the next one. The file that is
        written keeps its name, such as `metrics.jsonl`; full ones become `metrics.000000.jsonl`,
        `metrics.000001.jsonl` and so on.
    max_bytes : int, optional
        Of all files of one output together: the oldest full ones are dropped for it. Null keeps
        them all. Only a record that is longer than a segment may exceed it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    segment_bytes: int = Field(default=64 << 20, ge=4096)
    max_bytes: int | None = 1 << 30

    @model_validator(mode="after")
    def _a_full_one_fits_beside_the_open_one(self) -> "FilesConfig":
        if self.max_bytes is not None and self.max_bytes < 2 * self.segment_bytes:
            raise ValueError(
                f"max_bytes {self.max_bytes} is less than two segments of segment_bytes "
                f"{self.segment_bytes}; raise max_bytes, or lower segment_bytes"
            )
        return self


def full_segments(path: Path) -> list[tuple[int, Path]]:
    """Number and path of the full segments of a file, oldest first; an empty one is dropped too.

    Raises
    ------
    OSError
        If the folder cannot be read.

    Examples
    --------
    >>> full_segments(Path("no-such-folder/metrics.jsonl"))
    []
    """
    name = re.compile(rf"{re.escape(path.stem)}\.(\d{{6,}}){re.escape(path.suffix)}")
    try:
        found = [(name.fullmatch(each.name), each) for each in path.parent.iterdir()]
    except FileNotFoundError:
        return []
    return sorted((int(match[1]), each) for match, each in found if match)


class Segments:
    """Which segment lies under which name; what is in them is their writer's.

    Parameters
    ----------
    path : Path
        The plain name, of the segment that is written.

    Raises
    ------
    OSError
        From every method: if the folder cannot be read or changed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def clear(self) -> None:
        """Remove the full ones of an earlier run, for a fresh start."""
        for _, path in reversed(full_segments(self._path)):
            _remove(path)

    def put_away(self, number: int) -> None:
        """Give the segment under the plain name, which is on disk, its number."""
        self._path.rename(self._numbered(number))
        sync_folder(self._path.parent)

    def go_back_to(self, number: int) -> int:
        """Put a segment back under the plain name, and remove the newer ones.

        Returns
        -------
        int
            That number; or the oldest one above it that is left, if the segment was dropped: then
            nothing has changed.

        Raises
        ------
        SinkError
            If segments right before it are missing: what follows would be misnumbered.
        """
        sizes = {found: path.stat().st_size for found, path in full_segments(self._path)}
        current = max(sizes, default=number - 1) + 1
        if number > current:
            raise SinkError(
                f"{self._numbered(number - 1)} is missing, and the checkpoint knows it: put it "
                "back, or start afresh in another folder"
            )
        if number < current and not sizes.get(number):
            left = (found for found, n_bytes in sizes.items() if found > number and n_bytes)
            return min(left, default=current)
        self._keep_number_of(number, sizes)
        if number < current:
            self._path.unlink(missing_ok=True)
            sync_folder(self._path.parent)
            for newer in range(current - 1, number, -1):
                _remove(self._numbered(newer))
            self._numbered(number).rename(self._path)
            sync_folder(self._path.parent)
        return number

    def drop_oldest(self, config: FilesConfig) -> None:
        """Drop what must go so that the open segment may grow to its full length."""
        full = [(path, path.stat().st_size) for _, path in full_segments(self._path)]
        n_bytes = sum(size for _, size in full)
        # The newest stays in any case: its number tells that of the open one.
        for path, size in full[:-1]:
            fits = config.max_bytes is None or n_bytes + config.segment_bytes <= config.max_bytes
            if fits and size:
                break
            _remove(path)
            n_bytes -= size

    def _keep_number_of(self, number: int, sizes: dict[int, int]) -> None:
        """Where no full segment would be left to count from, an empty one stands in for it."""
        if number == 0 or number - 1 in sizes:
            return
        descriptor = os.open(self._numbered(number - 1), os.O_WRONLY | os.O_CREAT, 0o666)
        os.close(descriptor)
        sync_folder(self._path.parent)

    def _numbered(self, number: int) -> Path:
        return self._path.with_suffix(f".{number:06d}{self._path.suffix}")


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    # One after the other: a power cut leaves no gap among the numbers.
    sync_folder(path.parent)
