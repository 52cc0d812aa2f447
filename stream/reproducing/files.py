"""The batches of a range of files, cut as the run cut them."""

from collections.abc import Generator, Iterator, Mapping
from itertools import pairwise
from typing import Any

from stream.errors import ReproductionError, SourceError, UsageError
from stream.reproducing.asked import Place, Range, RunBefore, ended_early
from stream.sources.file import FileSource
from stream.sources.inputs import STDIN, find_inputs, fingerprint
from stream.starts import STARTS_FILE, Start
from stream.values import Batch, Position


def batches_of_files(run: RunBefore, asked: Range, place: Place) -> Generator[Batch, None, None]:
    """The batches from a place up to the end of a range.

    Raises
    ------
    ReproductionError
        If a file is missing, is another one, or is shorter than it was.
    """
    for path, cursor in asked.end.items():
        _check(path, cursor)
    n_end = _n_records(asked.end)
    if run.starts and run.starts[0].records > _n_records(place.position):
        raise ReproductionError(
            f"{run.out / STARTS_FILE}: no longer tells how the run was started where the range "
            "begins: it was resumed too often since"
        )
    seq = place.next_seq - 1
    for start, stop in _legs(run, asked, n_end):
        if stop <= _n_records(place.position):
            continue
        source = _source(run, start, stop)
        try:
            for batch in source.batches(place.position, place.next_seq, place.watermark_ms):
                yield batch
                seq = batch.seq
                place = Place(batch.end, seq + 1, batch.watermark_ms)
        except SourceError as err:
            raise ReproductionError(f"{err} (the range of the notice goes on in it)") from err
    if seq < asked.last_seq:
        paths = ", ".join(asked.end)
        raise ended_early(asked.last_seq, seq, f"{paths}: shorter than when the run read it: ends")


def _check(path: str, cursor: Mapping[str, Any]) -> None:
    """Refuse a file that is surely not the one that was read."""
    if path == STDIN:
        raise ReproductionError(
            "the run read standard input, which nobody can read again; replay a file to be able "
            "to reproduce its notices"
        )
    try:
        (found,) = find_inputs([path])
    except UsageError as err:
        raise ReproductionError(f"{err}; the range of the notice lies in it") from err
    known = str(cursor.get("fingerprint"))
    if fingerprint(found, like=known) != known:
        raise ReproductionError(
            f"{path}: is not the file that the run read (its first bytes differ); put that one "
            "back to reproduce the notice"
        )


def _legs(run: RunBefore, asked: Range, n_end: int) -> Iterator[tuple[Start, int]]:
    """The starts of the run, each with the number of records at which its reading ends."""
    starts = list(run.starts) or [Start(".", tuple(asked.end))]
    ends = [*(following.records for _, following in pairwise(starts)), n_end]
    for start, end in zip(starts, ends, strict=True):
        yield start, min(end, n_end)


def _source(run: RunBefore, start: Start, stop: int) -> FileSource:
    reading = {"limit": stop, "until_ms": start.until_ms, "speed": None}
    settings = run.config.source.model_copy(update=reading)
    try:
        return FileSource(settings, start.paths, run.config.batch)
    except UsageError as err:
        raise ReproductionError(f"{err}; the run read it") from err


def _n_records(position: Position) -> int:
    return sum(int(cursor["records"]) for cursor in position.values())
