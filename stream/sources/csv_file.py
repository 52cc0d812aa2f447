"""Rows of text cells under a header become records: CSV and TSV."""

import csv
from collections.abc import Iterator

import msgspec
import numpy as np

from stream.decoding import EventDecoder, Row, dead_letter
from stream.errors import UsageError
from stream.sources.blocks import Blocks
from stream.sources.csv_rows import CsvRowCutter, CsvRows
from stream.sources.inputs import Input
from stream.sources.json_lines import UTF8_BOM
from stream.sources.lines import LineCutter
from stream.sources.reader import Place, ReaderSettings, find_columns
from stream.sources.records import Records, times
from stream.values import DeadLetter

_DELIMITERS = {"csv": ",", "tsv": "\t"}
_STRUCTURED_FIELDS = frozenset({"items", "propensities", "context", "attributes", "vectors"})
_MAX_TS_DIGITS = 18  # an int64 holds as many


class CsvReader:
    """Reads CSV and TSV; keeps the contract of `Reader`.

    An empty cell is a missing field; ids are kept as written. Cells of `items`, `propensities`,
    `context`, `attributes` and `vectors` hold JSON.
    """

    def __init__(self, source: Input, settings: ReaderSettings) -> None:
        self._source = source
        self._settings = settings
        self._blocks = Blocks(source)
        self._decoder = EventDecoder(settings.kind)
        self._delimiter = _DELIMITERS[source.format]
        header = self._read_header()
        self._first = header[1] if header else None
        self._n_columns = len(header[0]) if header else 0
        columns = find_columns(source.path, header[0], settings) if header else {}
        self._cells = [(name, header[0].index(columns[name])) for name in columns] if header else []
        self._special = [name for name in columns if name in _STRUCTURED_FIELDS | {"value"}]

    @property
    def bytes_read(self) -> int:
        return self._blocks.bytes_read

    def _read_header(self) -> tuple[list[str], Place] | None:
        """The names of the columns and where the rows begin; None in an empty file."""
        path = self._source.path
        cutter = LineCutter(Blocks(self._source), self._settings.max_line_bytes)
        lines = next(cutter.cut(1), None)
        if lines is None:
            return None
        if lines.faults:
            raise UsageError(f"{path}: its header cannot be read: {lines.faults.popitem()[1]}")
        try:
            text = lines.lines[0].removeprefix(UTF8_BOM).decode()
            names = next(csv.reader([text], delimiter=self._delimiter, strict=True))
        except (UnicodeDecodeError, csv.Error) as err:
            raise UsageError(f"{path}: its header cannot be read: {err}") from err
        return names, Place(lines.ends[0], lines.numbers[0] + 1)

    def read(self, file_number: int, place: Place) -> Iterator[Records]:
        if self._first is None:
            return
        if place.offset < self._first.offset:
            place = self._first
        lines = LineCutter(self._blocks, self._settings.max_line_bytes, keep_blank=True)
        cutter = CsvRowCutter(self._delimiter, self._n_columns)
        ts_ms = place.ts_ms
        for rows in _rows(lines, cutter, place, self._settings.chunk_records):
            records = self._records(rows, file_number, ts_ms)
            ts_ms = int(records.ts_N[-1])
            yield records

    def _records(self, rows: CsvRows, file_number: int, ts_ms: int) -> Records:
        def bury(i: int, reason: str) -> DeadLetter:
            return dead_letter(f"{self._source.path}:{rows.numbers[i]}", reason, rows.raws[i])

        good = [i for i, cells in enumerate(rows.cells) if not isinstance(cells, str)]
        fields = [self._row(cells) for cells in rows.cells if not isinstance(cells, str)]
        events = self._decoder.decode_rows(fields, lambda i, reason: bury(good[i], reason))
        if len(good) == len(rows.cells):
            entries = events
        else:
            entries = [bury(i, str(cells)) for i, cells in enumerate(rows.cells)]
            for i, event in zip(good, events, strict=True):
                entries[i] = event
        return Records(
            entries=entries,
            raws=rows.raws,
            file_N=np.full(len(entries), file_number, np.int64),
            ts_N=times(entries, ts_ms),
            number_N=np.array(rows.numbers, np.int64),
            end_N=np.array(rows.ends, np.int64),
            next_number_N=np.array(rows.next_numbers, np.int64),
        )

    def _row(self, cells: list[str]) -> Row:
        row: Row = {name: cells[i] for name, i in self._cells if cells[i]}
        ts = row.get("ts", "")
        if ts.isdecimal() and ts.isascii() and len(ts) <= _MAX_TS_DIGITS:
            row["ts"] = int(ts)
        for name in self._special:
            if name in row:
                row[name] = _number(row[name]) if name == "value" else _structure(row[name])
        return row


def _rows(lines: LineCutter, cutter: CsvRowCutter, place: Place, n_lines: int) -> Iterator[CsvRows]:
    for some in lines.cut(n_lines, place.offset, place.number):
        rows = cutter.take(some)
        if rows.cells:
            yield rows
    rows = cutter.finish()
    if rows.cells:
        yield rows


def _number(cell: str) -> float | str:
    """A number; other text stays as it is, and msgspec then names the field."""
    try:
        return float(cell)
    except ValueError:
        return cell


def _structure(cell: str) -> object:
    """A JSON array or object; other text stays as it is, and msgspec then names the field."""
    try:
        return msgspec.json.decode(cell)
    except (ValueError, RecursionError):
        return cell
