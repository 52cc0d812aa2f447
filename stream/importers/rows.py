"""Rows of a public log, one a line, and the ones that cannot be used."""

import gzip
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from stream.errors import SourceError, UsageError
from stream.events import MAX_ID_CHARS

T = TypeVar("T")

# Enough to see what is wrong with a file; a wholly foreign file must not fill the memory.
_MAX_KEPT = 10
_MAX_SHOWN_CHARS = 40


class BadRows:
    """Rows that cannot be used: all of them counted, the first ten kept with `file:line`.

    Examples
    --------
    >>> bad_rows = BadRows()
    >>> bad_rows.add(Path("u.data"), 17, "expected 4 fields, got 3")
    >>> bad_rows.n_rows, bad_rows.first
    (1, ('u.data:17: expected 4 fields, got 3',))
    """

    def __init__(self) -> None:
        self._n_rows = 0
        self._first: list[str] = []

    def add(self, path: Path, line_number: int, reason: str) -> None:
        """Count a row; `line_number` starts at 1."""
        self._n_rows += 1
        if len(self._first) < _MAX_KEPT:
            self._first.append(f"{path}:{line_number}: {reason}")

    @property
    def n_rows(self) -> int:
        """How many there were."""
        return self._n_rows

    @property
    def first(self) -> tuple[str, ...]:
        """The first of them, as `file:line: reason`."""
        return tuple(self._first)


def files_of(source: Path) -> list[Path]:
    """The files of a folder by name; a file alone; nothing if the path does not exist.

    Raises
    ------
    UsageError
        If the folder cannot be read.
    """
    try:
        paths = sorted(source.iterdir()) if source.is_dir() else [source]
        return [path for path in paths if path.is_file()]
    except OSError as err:
        raise UsageError(f"{source}: cannot be read: {err.strerror}") from err


def parsed_rows(
    path: Path,
    parse: Callable[[int, str], T],
    bad_rows: BadRows,
    *,
    encoding: str = "utf-8",
    first_line: int = 1,
) -> Iterator[T]:
    """What `parse` makes of each line from `first_line` on, in the file's order.

    `parse` is given the line's number (from 1) and its text; a `ValueError` from it makes the
    row a bad one, and so do bytes that are not of the encoding. Blank lines hold no row. A name
    that ends in `.gz` is read as gzip.

    Raises
    ------
    UsageError
        If the file cannot be opened.
    SourceError
        If it cannot be read to its end.
    """
    for line_number, line in enumerate(_lines(path), 1):
        if line_number < first_line or line.isspace():
            continue
        try:
            parsed = parse(line_number, line.decode(encoding).rstrip("\r\n"))
        except ValueError as err:
            bad_rows.add(path, line_number, str(err))
        else:
            yield parsed


def header_of(path: Path, encoding: str = "utf-8") -> str:
    """The first line of a file; empty if the file is.

    Raises
    ------
    UsageError
        If the file cannot be opened or the line is not of the encoding.
    SourceError
        If it cannot be read.
    """
    line = next(_lines(path), b"")
    try:
        return line.decode(encoding).rstrip("\r\n")
    except UnicodeDecodeError as err:
        raise UsageError(f"{path}:1: is no {encoding} text: {err.reason}") from err


def _lines(path: Path) -> Iterator[bytes]:
    try:
        file = gzip.GzipFile(path) if path.suffix == ".gz" else path.open("rb")
    except OSError as err:
        raise UsageError(f"{path}: cannot be opened: {err.strerror}") from err
    with file:
        try:
            yield from file
        except (OSError, EOFError, zlib.error) as err:
            raise SourceError(f"{path}: cannot be read to its end: {err}; fetch it again") from err


def fields_of(line: str, separator: str, n_fields: int) -> list[str]:
    """The fields of a row.

    Raises
    ------
    ValueError
        If their number is another one.

    Examples
    --------
    >>> fields_of("1::24::M", "::", 3)
    ['1', '24', 'M']
    """
    fields = line.split(separator)
    if len(fields) != n_fields:
        raise ValueError(f"expected {n_fields} fields, got {len(fields)}")
    return fields


def id_of(text: str, column: str) -> str:
    """An id as events may carry it.

    Raises
    ------
    ValueError
        If it is empty or too long.
    """
    if 0 < len(text) <= MAX_ID_CHARS:
        return text
    raise ValueError(f"{column}: expected 1 to {MAX_ID_CHARS} characters, got {len(text)}")


def whole_number(text: str, column: str) -> int:
    """A whole number without a sign.

    Raises
    ------
    ValueError
        If it is none.
    """
    if text.isascii() and text.isdecimal() and len(text) <= 18:
        return int(text)
    raise ValueError(f"{column}: expected a whole number, got {shown(text)}")


def shown(text: str) -> str:
    """A field as it stands in a reason: quoted, and cut where it is long."""
    return repr(text if len(text) <= _MAX_SHOWN_CHARS else f"{text[:_MAX_SHOWN_CHARS]}...")
