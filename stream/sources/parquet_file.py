"""Rows of a Parquet file become records, one small run of rows in memory at a time."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stream.decoding import Entry, EventDecoder, Row, dead_letter
from stream.errors import SourceError, UsageError
from stream.sources.inputs import Input
from stream.sources.reader import Place, ReaderSettings, find_columns
from stream.sources.records import Records, times
from stream.values import DeadLetter

# Pages are streamed through a buffer instead of reading a row group's columns whole.
_BUFFER_BYTES = 1 << 18
_RUN_ROWS = 2048


class ParquetReader:
    """Reads Parquet; keeps the contract of `Reader`. Places count rows, the first is number 1.

    Null is a missing field. Timestamps and dates become milliseconds; without a zone they are
    UTC.
    """

    def __init__(self, source: Input, settings: ReaderSettings) -> None:
        self.bytes_read = 0
        self._source = source
        self._decoder = EventDecoder(settings.kind)
        try:
            with _opened(source.path) as file:
                names = file.schema_arrow.names
        except (pa.ArrowException, OSError) as err:
            raise UsageError(f"{source.path}: is no readable Parquet file: {err}") from err
        self._columns = find_columns(source.path, names, settings)

    def read(self, file_number: int, place: Place) -> Iterator[Records]:
        row = place.offset
        ts_ms = place.ts_ms
        path = self._source.path
        try:
            file = _opened(path)
        except (pa.ArrowException, OSError) as err:
            raise SourceError(f"{path}: cannot be read any more: {err}") from err
        with file:
            n_rows = file.metadata.num_rows
            if row > n_rows:
                raise SourceError(
                    f"{path}: ends before row {row}, where the checkpoint goes on; "
                    "give the same file again, or start afresh in another --out"
                )
            try:
                for fields in self._runs(file, row):
                    records = self._records(fields, file_number, row, ts_ms)
                    row += len(records)
                    ts_ms = int(records.ts_N[-1])
                    self.bytes_read = (self._source.n_bytes or 0) * row // n_rows
                    yield records
            except (pa.ArrowException, OSError) as err:
                letter = dead_letter(f"{path}:{row + 1}", f"corrupt Parquet file: {err}", b"")
                yield _records([letter], [b""], file_number, (row, n_rows), ts_ms)

    def _runs(self, file: pq.ParquetFile, first_row: int) -> Iterator[list[Row]]:
        """The rows from this one on, keyed by event field, some at a time."""
        columns = list(dict.fromkeys(self._columns.values()))
        n_skip = first_row
        for group in range(file.num_row_groups):
            n_group = file.metadata.row_group(group).num_rows
            if n_skip >= n_group:
                n_skip -= n_group
                continue
            for run in file.iter_batches(_RUN_ROWS, [group], columns):
                n_run_skip = min(n_skip, run.num_rows)
                n_skip -= n_run_skip
                if n_run_skip < run.num_rows:
                    yield self._rows(run.slice(n_run_skip))

    def _rows(self, run: pa.RecordBatch) -> list[Row]:
        cells = {name: _cells(run.column(column)) for name, column in self._columns.items()}
        rows = [dict(zip(cells, row, strict=True)) for row in zip(*cells.values(), strict=True)]
        if any(run.column(column).null_count for column in self._columns.values()):
            rows = [{name: cell for name, cell in row.items() if cell is not None} for row in rows]
        return rows

    def _records(self, rows: list[Row], file_number: int, first: int, ts_ms: int) -> Records:
        def bury(i: int, reason: str) -> DeadLetter:
            return dead_letter(f"{self._source.path}:{first + i + 1}", reason, rows[i])

        entries = self._decoder.decode_rows(rows, bury)
        return _records(entries, rows, file_number, (first, first + len(rows)), ts_ms)


def _opened(path: str) -> pq.ParquetFile:
    return pq.ParquetFile(Path(path), buffer_size=_BUFFER_BYTES, pre_buffer=False)


def _records(
    entries: Sequence[Entry],
    raws: Sequence[bytes | Row],
    file_number: int,
    rows: tuple[int, int],
    ts_ms: int,
) -> Records:
    """Records of the rows from `rows[0]`; the last of them ends at `rows[1]`."""
    number_N = np.arange(rows[0] + 1, rows[0] + 1 + len(entries), dtype=np.int64)
    end_N = number_N.copy()
    end_N[-1] = rows[1]
    return Records(
        entries=list(entries),
        raws=raws,
        file_N=np.full(len(entries), file_number, np.int64),
        ts_N=times(entries, ts_ms),
        number_N=number_N,
        end_N=end_N,
        next_number_N=end_N + 1,
    )


def _cells(column: Any) -> list[Any]:
    """The values of an Arrow array as plain Python; times as milliseconds."""
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        column = column.cast(pa.timestamp("ms", getattr(kind, "tz", None)), safe=False)
        column = column.cast(pa.int64())
    try:
        cells: list[Any] = column.to_pylist(maps_as_pydicts="lossy")
    except UnicodeDecodeError:
        cells = [_cell(cell) for cell in column]
    return cells


def _cell(cell: Any) -> object:
    """The value of an Arrow scalar; text that is no UTF-8 stays bytes, for msgspec to refuse."""
    try:
        return cell.as_py()
    except UnicodeDecodeError:
        return bytes(cell.as_buffer())
