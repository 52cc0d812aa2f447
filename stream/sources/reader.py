"""What every reader of a file is given and promises."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO, Protocol

from stream.decoding import event_fields, required_fields
from stream.errors import UsageError
from stream.sources.records import Records


@dataclass(frozen=True, slots=True)
class Place:
    """A point in a file: the byte (or row) that comes next, and its line (or row) number.

    `ts_ms` is the time of the record before it.
    """

    offset: int = 0
    number: int = 1
    ts_ms: int = 0


@dataclass(frozen=True, slots=True)
class ReaderSettings:
    """What all readers of a source share.

    `kind` is the type of an event that names none, `columns` the column of an event's field.
    """

    kind: str = "click"
    columns: Mapping[str, str] = field(default_factory=dict)
    max_line_bytes: int = 1 << 20
    chunk_records: int = 256
    stdin: BinaryIO | None = None


class Reader(Protocol):
    """One input as records, in its own order.

    Making one checks the input and raises `UsageError`. `read` yields some records at a time
    (never none); how many is its own affair. A file that breaks off ends in one dead letter, and
    nothing follows its end. `bytes_read` grows towards the input's size on disk.
    """

    @property
    def bytes_read(self) -> int: ...

    def read(self, file_number: int, place: Place) -> Iterator[Records]: ...


def find_columns(path: str, present: Sequence[str], settings: ReaderSettings) -> dict[str, str]:
    """The column of each event field that a table has.

    Raises
    ------
    UsageError
        If a column that was asked for or that every event needs is missing, or comes twice.

    Examples
    --------
    >>> settings = ReaderSettings(columns={"user": "visitorid"})
    >>> find_columns("t.csv", ["visitorid", "item", "ts", "colour"], settings)
    {'user': 'visitorid', 'item': 'item', 'ts': 'ts'}
    """
    has_type = settings.columns.get("type", "type") in present
    needed = {"ts"} if has_type else set(required_fields(settings.kind))
    found: dict[str, str] = {}
    missing: dict[str, str] = {}
    for name in event_fields(None if has_type else settings.kind):
        column = settings.columns.get(name, name)
        if column in present:
            found[name] = column
        elif name in needed or name in settings.columns:
            missing[name] = column
    if missing:
        hint = ",".join(f"{name}=COLUMN" for name in missing)
        raise UsageError(
            f"{path}: has no column {', '.join(missing.values())}; its columns are "
            f"{', '.join(present)}; name the right ones with --map {hint}"
        )
    for column in found.values():
        if list(present).count(column) > 1:
            raise UsageError(f"{path}: has two columns {column}; rename one of them")
    return found
