"""Lines become rows of cells: a quoted cell may run over several lines."""

import csv
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from stream.sources.lines import Lines

# An unclosed quote takes this many lines at most into the search for its end.
MAX_ROW_LINES = 100
_OPEN_QUOTE = "unexpected end of data"


@dataclass(slots=True)
class CsvRows:
    """Rows in order.

    `cells` holds a row's cells, or why it has none. Row i starts at line `numbers[i]`; it ends
    before the byte `ends[i]`, where line `next_numbers[i]` starts.
    """

    cells: list[list[str] | str] = field(default_factory=list)
    raws: list[bytes] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    next_numbers: list[int] = field(default_factory=list)


class CsvRowCutter:
    """Cuts lines into rows; lines of a row that is not complete wait for the next call."""

    def __init__(self, delimiter: str, n_columns: int) -> None:
        self._delimiter = delimiter
        self._n_columns = n_columns
        self._waiting: deque[_Line] = deque()

    def take(self, lines: Lines) -> CsvRows:
        """The rows that are complete with these lines, blank ones among them."""
        if not self._waiting and (rows := self._simple_rows(lines)):
            return rows
        self._waiting.extend(
            _Line(line, number, end, lines.faults.get(number))
            for line, number, end in zip(lines.lines, lines.numbers, lines.ends, strict=True)
        )
        return self._drain(is_end=False)

    def finish(self) -> CsvRows:
        """The rows that are left at the end of the file."""
        return self._drain(is_end=True)

    def _simple_rows(self, lines: Lines) -> CsvRows | None:
        """Rows of lines without a quote, one a line; None if anything is out of the ordinary."""
        block = b"\n".join(lines.lines)
        if lines.faults or b'"' in block:
            return None
        try:
            rows = list(csv.reader(block.decode().split("\n"), delimiter=self._delimiter))
        except (csv.Error, UnicodeDecodeError):
            return None
        if len(rows) != len(lines.lines) or {len(row) for row in rows} != {self._n_columns}:
            return None
        next_numbers = [number + 1 for number in lines.numbers]
        return CsvRows([*rows], lines.lines, lines.numbers, lines.ends, next_numbers)

    def _drain(self, is_end: bool) -> CsvRows:
        rows = CsvRows()
        while self._waiting:
            cells, n_lines = self._next_row(is_end)
            if not n_lines:
                break
            taken = [self._waiting.popleft() for _ in range(n_lines)]
            raw = b"\n".join(line.raw for line in taken)
            if n_lines == 1 and not taken[0].fault and not raw.strip():
                continue
            rows.cells.append(cells)
            rows.raws.append(raw)
            rows.numbers.append(taken[0].number)
            rows.ends.append(taken[-1].end)
            rows.next_numbers.append(taken[-1].number + 1)
        return rows

    def _next_row(self, is_end: bool) -> tuple[list[str] | str, int]:
        """A row, or why it is none, and its number of lines; 0 if it needs lines yet to come."""
        if fault := self._waiting[0].fault:
            return fault, 1
        reader = csv.reader(self._texts(), delimiter=self._delimiter, strict=True)
        try:
            cells = next(reader)
        except UnicodeDecodeError as err:
            return str(err), 1
        except csv.Error as err:
            if str(err) != _OPEN_QUOTE:
                return str(err), 1
            if len(self._waiting) > reader.line_num or is_end:
                return f"a quoted cell is not closed within {reader.line_num} lines", 1
            return [], 0
        if len(cells) != self._n_columns:
            return f"Expected {self._n_columns} cells, got {len(cells)}", max(reader.line_num, 1)
        return cells, reader.line_num

    def _texts(self) -> Iterator[str]:
        for line in islice(self._waiting, MAX_ROW_LINES):
            if line.fault:
                return
            yield line.raw.decode() + "\n"


@dataclass(frozen=True, slots=True)
class _Line:
    raw: bytes
    number: int
    end: int
    fault: str | None
