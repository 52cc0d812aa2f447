"""Writing a small file so that a reader sees the old one or the new one, never half."""

import os
from pathlib import Path

from stream.errors import SinkError


def write_durably(path: Path, content: bytes) -> None:
    """Write beside, sync, rename; the folder is made if it is missing.

    Raises
    ------
    SinkError
        If the file cannot be written: names the path and the reason.
    """
    beside = path.with_name(path.name + ".tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        sync_folder(path.parent)
    except OSError as err:
        raise SinkError(f"{path}: cannot be written: {err.strerror or err}") from err


def sync_folder(folder: Path) -> None:
    """Put a folder's entries on disk: a new file's name is there only when its folder is."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
