"""Events from files and from standard input."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, BinaryIO, Literal

import numpy as np
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from stream.decoding import event_fields
from stream.durations import DurationMs
from stream.errors import SourceError
from stream.sources.batching import BatchConfig, cut, to_batch
from stream.sources.csv_file import CsvReader
from stream.sources.inputs import STDIN, Input, find_inputs, fingerprint
from stream.sources.json_lines import JsonLinesReader
from stream.sources.merge import merge
from stream.sources.parquet_file import ParquetReader
from stream.sources.reader import Place, Reader, ReaderSettings
from stream.sources.records import Records
from stream.values import Batch, Position

_YEAR_MS = 365 * 86_400_000
_MIN_CHUNK_RECORDS = 256
_READERS: dict[str, Callable[[Input, ReaderSettings], Reader]] = {
    "jsonl": JsonLinesReader,
    "csv": CsvReader,
    "tsv": CsvReader,
    "parquet": ParquetReader,
}


def _known_fields(columns: dict[str, str]) -> dict[str, str]:
    for name in columns:
        if name not in event_fields():
            raise ValueError(f"{name!r} is no event field; known are {', '.join(event_fields())}")
    return columns


class FileSourceConfig(BaseModel):
    """How files are read.

    `map` names the column (or JSON field) that holds an event's field, `type` is the type of an
    event that names none. Events outside `from_ms` <= ts < `until_ms` are passed by. `limit`
    counts records, good and bad. `speed` 1 hands out events as fast as they once happened, 60
    an hour in a minute; without it they come as fast as they can be read.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    map: Annotated[dict[str, str], AfterValidator(_known_fields)] = {}
    type: Literal["click", "impression", "conversion", "feedback", "item", "user", "forget"] = (
        "click"
    )
    from_ms: NonNegativeInt | None = None
    until_ms: NonNegativeInt | None = None
    speed: PositiveFloat | None = None
    limit: PositiveInt | None = None
    max_line_bytes: PositiveInt = 1 << 20
    max_ahead: DurationMs = _YEAR_MS

    @model_validator(mode="after")
    def _from_is_before_until(self) -> "FileSourceConfig":
        if self.from_ms is not None and self.until_ms is not None and self.from_ms >= self.until_ms:
            raise ValueError(f"from_ms {self.from_ms} is not before until_ms {self.until_ms}")
        return self


class FileSource:
    """A source over files, globs of files and `-`, standard input.

    Several files are merged by event time; one file keeps its own order. Batches are cut by the
    count of records, good and bad. A position holds a cursor for each file; files that it does
    not name are read from their start.

    Parameters
    ----------
    config : FileSourceConfig
        How to read.
    paths : sequence of str
        What to read.
    batch : BatchConfig
        How to cut.
    clock, sleep : callables, optional
        Seconds that pass, and how to let them pass; only `speed` asks for them.
    stdin : binary file, optional
        What `-` reads.

    Raises
    ------
    UsageError
        If a path is missing, unreadable or of no known format, or lacks a column.
    """

    def __init__(
        self,
        config: FileSourceConfig,
        paths: Sequence[str],
        batch: BatchConfig | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        stdin: BinaryIO | None = None,
    ) -> None:
        self._config = config
        self._batch_events = (batch or BatchConfig()).events
        self._inputs = find_inputs(paths)
        self._clock = clock
        self._sleep = sleep
        self._settings = ReaderSettings(
            kind=config.type,
            columns=config.map,
            max_line_bytes=config.max_line_bytes,
            chunk_records=max(self._batch_events, _MIN_CHUNK_RECORDS),
            stdin=stdin,
        )
        self._readers = self._open()
        self._is_stdin_taken = False

    @property
    def paths(self) -> tuple[str, ...]:
        """The names of the files that `records` numbers."""
        return tuple(found.path for found in self._inputs)

    @property
    def total_bytes(self) -> int | None:
        """The size of all files on disk; None with standard input."""
        sizes = [found.n_bytes for found in self._inputs]
        return None if None in sizes else sum(size or 0 for size in sizes)

    @property
    def bytes_read(self) -> int:
        """How much of `total_bytes` the latest `batches` or `records` has read or passed by."""
        return sum(reader.bytes_read for reader in self._readers)

    def batches(
        self, start: Position | None, next_seq: int = 0, watermark_ms: int = 0
    ) -> Iterator[Batch]:
        paths = self.paths
        cursors = self._cursors(start or {})
        end = {path: cursor.fields() for path, cursor in zip(paths, cursors, strict=True)}
        pace = Pace(self._config.speed, self._clock, self._sleep)
        for seq, records in enumerate(self._runs(cursors), next_seq):
            for number, cursor in _moved(cursors, records):
                cursors[number] = cursor
                end = {**end, paths[number]: cursor.fields()}
            batch = to_batch(seq, records, paths, watermark_ms, self._config.max_ahead, end)
            watermark_ms = batch.watermark_ms
            pace.wait_for(watermark_ms)
            yield batch

    def records(self) -> Iterator[Records]:
        """The records that `batches` makes its batches of, from the start of every file on.

        They are cut alike and not paced. A time too far ahead to be believed is left to whoever
        knows what the stream's time is.
        """
        return self._runs(self._cursors({}))

    def acknowledge(self, end: Position) -> None:
        """Do nothing: a file keeps no account of its readers."""

    def _open(self) -> list[Reader]:
        return [_READERS[found.format](found, self._settings) for found in self._inputs]

    def _cursors(self, start: Position) -> "list[_Cursor]":
        known = {found.path for found in self._inputs}
        for path in start:
            if path not in known:
                raise SourceError(
                    f"{path}: the checkpoint goes on in it, but it is not among the files given; "
                    "name the same files again, or start with an empty checkpoint.dir"
                )
        return [_cursor(found, start.get(found.path)) for found in self._inputs]

    def _runs(self, cursors: "Sequence[_Cursor]") -> Iterator[Records]:
        """What is left to read, as runs of a batch's length."""
        limit = self._config.limit
        if limit is not None:
            limit = max(limit - sum(cursor.n_records for cursor in cursors), 0)
        return cut(self._within_time(self._merged(cursors)), self._batch_events, limit)

    def _merged(self, cursors: "Sequence[_Cursor]") -> Iterator[Records]:
        if any(found.path == STDIN for found in self._inputs):
            if self._is_stdin_taken:
                raise SourceError("standard input was read already and cannot be read again")
            self._is_stdin_taken = True
        self._readers = self._open()
        reads = [
            partial(reader.read, number, cursor.place)
            for number, (reader, cursor) in enumerate(zip(self._readers, cursors, strict=True))
        ]
        # A file that was begun is due at once; standard input cannot be opened twice.
        can_wait = [
            found.path != STDIN and cursor.n_records == 0
            for found, cursor in zip(self._inputs, cursors, strict=True)
        ]
        return merge(reads, can_wait)

    def _within_time(self, runs: Iterator[Records]) -> Iterator[Records]:
        from_ms, until_ms = self._config.from_ms, self._config.until_ms
        if from_ms is None and until_ms is None:
            yield from runs
            return
        for records in runs:
            is_within_N = records.ts_N >= (from_ms or 0)
            if until_ms is not None:
                is_within_N &= records.ts_N < until_ms
            yield records.pick(np.flatnonzero(is_within_N))


@dataclass(frozen=True, slots=True)
class _Cursor:
    """Where one file goes on, and how many of its records were handed out."""

    place: Place
    n_records: int
    fingerprint: str

    def fields(self) -> dict[str, int | str]:
        return {
            "offset": self.place.offset,
            "line": self.place.number,
            "ts_ms": self.place.ts_ms,
            "records": self.n_records,
            "fingerprint": self.fingerprint,
        }


def _cursor(found: Input, fields: Mapping[str, int | str] | None) -> _Cursor:
    if fields is None:
        return _Cursor(Place(), 0, fingerprint(found))
    try:
        place = Place(int(fields["offset"]), int(fields["line"]), int(fields["ts_ms"]))
        cursor = _Cursor(place, int(fields["records"]), str(fields["fingerprint"]))
    except (KeyError, ValueError) as err:
        raise SourceError(
            f"{found.path}: the checkpoint's position {dict(fields)} is none of a file; "
            "use the checkpoint.dir of a run over files, or an empty one"
        ) from err
    if found.path == STDIN and cursor.n_records:
        raise SourceError(
            "standard input cannot be resumed; write it to a file and replay that, "
            "or start with an empty checkpoint.dir"
        )
    if fingerprint(found, like=cursor.fingerprint) != cursor.fingerprint:
        raise SourceError(
            f"{found.path}: is not the file that the checkpoint was reading (its first bytes "
            "differ); give the same file again, or start with an empty checkpoint.dir"
        )
    return cursor


def _moved(cursors: Sequence[_Cursor], records: Records) -> Iterator[tuple[int, _Cursor]]:
    """The files that these records come from, by number, with their cursors after them."""
    for number in np.unique(records.file_N).tolist():
        index = np.flatnonzero(records.file_N == number)
        last = index[-1]
        place = Place(
            int(records.end_N[last]),
            int(records.next_number_N[last]),
            int(records.ts_N[last]),
        )
        n_records = cursors[number].n_records + len(index)
        yield number, replace(cursors[number], place=place, n_records=n_records)


class Pace:
    """Lets event time pass no faster than `speed` times the clock."""

    def __init__(
        self, speed: float | None, clock: Callable[[], float], sleep: Callable[[float], None]
    ) -> None:
        self._speed = speed
        self._clock = clock
        self._sleep = sleep
        self._began: tuple[float, int] | None = None

    def wait_for(self, event_time_ms: int) -> None:
        """Sleep until this time is due; the first one is due at once."""
        if self._speed is None:
            return
        if self._began is None:
            self._began = self._clock(), event_time_ms
        began_s, began_ms = self._began
        due_s = began_s + (event_time_ms - began_ms) / 1000 / self._speed
        if (wait_s := due_s - self._clock()) > 0:
            self._sleep(wait_s)
