"""A folder that is there whole or not at all: filled under another name, and renamed."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stream.durable import sync_folder
from stream.errors import SinkError, UsageError


@contextmanager
def appearing(folder: Path) -> Iterator[Path]:
    """Where to fill a folder: it gets its name at the end of the `with` block, or is removed.

    What a killed process left half-filled is cleared away first.

    Raises
    ------
    UsageError
        If the folder exists already.
    SinkError
        If it cannot be made.
    """
    if folder.exists():
        raise UsageError(f"{folder}: exists already; name another --out")
    unfinished = unfinished_folder(folder)
    try:
        if unfinished.exists():
            shutil.rmtree(unfinished)
        unfinished.mkdir(parents=True)
    except OSError as err:
        raise SinkError(f"{unfinished}: cannot be made: {err.strerror or err}") from err
    try:
        yield unfinished
        unfinished.rename(folder)
        sync_folder(folder.parent)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def unfinished_folder(folder: Path) -> Path:
    """Where a folder lies until it is whole.

    Examples
    --------
    >>> unfinished_folder(Path("runs/base")).as_posix()
    'runs/base.unfinished'
    """
    return folder.with_name(f"{folder.name}.unfinished")
