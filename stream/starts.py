"""How a run was started, each time it was: what a notice has to be computed again from.

A replay of files cuts its batches by count. Where it ended amid one, at a limit or at the end of a
file that has grown since, the batches after it are cut at other places.
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from stream.durable import write_durably
from stream.errors import ReproductionError

STARTS_FILE = "starts.json"
# Only what cuts batches otherwise counts as another start: no run has as many.
_MAX_STARTS = 1_000


class Start(msgspec.Struct, frozen=True):
    """One start: from which folder, on which files, after how many records, and until when."""

    folder: str
    paths: tuple[str, ...] = ()
    records: int = 0
    until_ms: int | None = None


def note_start(out: Path, start: Start, batch_records: int = 1) -> None:
    """Write down in a run's folder that it goes on like this.

    Starts behind this one belong to a future that the run left. One that reads on as the start
    before, at the end of one of its batches, changes nothing and is not told: a run that was
    killed and resumed leaves what an unbroken one leaves.
    """
    starts = _followed(read_starts(out), start, batch_records)
    write_durably(out / STARTS_FILE, msgspec.json.encode(starts) + b"\n")


def read_starts(out: Path) -> list[Start]:
    """The starts of the run in this folder, in order of the stream; none if it tells of none.

    Raises
    ------
    ReproductionError
        If the file is not what was written.
    """
    path = out / STARTS_FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[Start])
    except FileNotFoundError:
        return []
    except (OSError, msgspec.MsgspecError) as err:
        raise ReproductionError(f"{path}: cannot be read: {err}; put it back as it was") from err


def _followed(starts: Sequence[Start], start: Start, batch_records: int) -> list[Start]:
    before = [one for one in starts if one.records < start.records]
    if before and _reads_on(before[-1], start, batch_records):
        return before
    return [*before, start][-_MAX_STARTS:]


def _reads_on(before: Start, start: Start, batch_records: int) -> bool:
    is_alike = msgspec.structs.replace(start, records=before.records) == before
    return is_alike and (start.records - before.records) % batch_records == 0
