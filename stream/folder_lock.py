"""One process at a time in a folder: a lock that the system releases when its holder ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TextIO

from stream.errors import CheckpointError


@contextmanager
def held(path: Path, advice: str) -> Iterator[None]:
    """Hold the lock of a folder for the length of a `with` block.

    Parameters
    ----------
    path : Path
        The file of the lock; its folder is made if it is missing.
    advice : str
        What else can be done than to stop the one who holds it.

    Raises
    ------
    CheckpointError
        If somebody holds it, by the number of the process, or the file cannot be written.
    """
    folder = path.parent
    with ExitStack() as opening:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = opening.enter_context(path.open("a+", encoding="ascii"))
            _claim(lock, folder, advice)
        except OSError as err:
            raise CheckpointError(
                f"{folder} cannot be used: {err.strerror or err}; check the space and the "
                f"permissions, or {advice}"
            ) from err
        yield


def _claim(lock: TextIO, folder: Path, advice: str) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as err:
        lock.seek(0)
        raise CheckpointError(
            f"{folder} is in use by process {lock.read().strip() or 'unknown'}; stop that run, or "
            f"{advice}"
        ) from err
    lock.truncate(0)
    lock.write(f"{os.getpid()}\n")
    lock.flush()
