"""The public logs that can be imported, by the name of their format."""

import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from inspect import Parameter, signature
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Any

from stream.errors import UsageError
from stream.events import Event
from stream.importers.diginetica import diginetica_events
from stream.importers.event_files import check_target, write_events
from stream.importers.movielens import movielens_events
from stream.importers.open_bandit import open_bandit_events
from stream.importers.rows import BadRows

Importer = Callable[..., Iterator[Event]]
"""Called with the source's path, a `BadRows` and its own options by keyword."""

importers: Mapping[str, Importer] = MappingProxyType(
    {
        "movielens": movielens_events,
        "diginetica": diginetica_events,
        "open-bandit": open_bandit_events,
    }
)


@dataclass(frozen=True, slots=True)
class ImportCounts:
    """What came of an import.

    `n_by_type` counts the events written, without types that do not occur; `first_bad_rows`
    are the first ten bad rows as `file:line: reason`.
    """

    n_by_type: Mapping[str, int]
    n_bad_rows: int = 0
    first_bad_rows: tuple[str, ...] = ()

    @property
    def n_events(self) -> int:
        """Events of all types."""
        return sum(self.n_by_type.values())


def import_events(
    format_name: str,
    source: Path,
    target: Path,
    **options: Any,
) -> ImportCounts:
    """Turn a public log into a file of events, in order of time.

    A row that cannot be used is counted, and the import goes on. The same log makes the same
    bytes. After an error the target is as it was before.

    Parameters
    ----------
    format_name : str
        A key of `importers`.
    source : Path
        The folder or file of the log.
    target : Path
        Its name ends in `.jsonl`, `.jsonl.gz` or `.jsonl.zst`.
    **options
        Of the format: `with_catalogue` of `movielens` and `open-bandit`, `with_targets` of
        `open-bandit`, `periods` of `diginetica`.

    Raises
    ------
    UsageError
        If the format, an option or the target's extension is unknown, or the source is not
        there, not of the format, or without a single row that can be used.
    SourceError
        If a file cannot be read to its end.
    SinkError
        If the target cannot be written.
    """
    importer = _importer(format_name)
    _check_options(format_name, importer, options)
    check_target(target)
    bad_rows = BadRows()
    events = _at_least_one(importer(source, bad_rows, **options), source, bad_rows)
    n_by_type = write_events(events, target)
    return ImportCounts(n_by_type, bad_rows.n_rows, bad_rows.first)


def _importer(format_name: str) -> Importer:
    if format_name in importers:
        return importers[format_name]
    nearest = difflib.get_close_matches(format_name.lower(), importers, n=1)
    hint = f"did you mean {nearest[0]}? " if nearest else ""
    raise UsageError(f"unknown format {format_name!r}; {hint}known are {', '.join(importers)}")


def _check_options(format_name: str, importer: Importer, options: Mapping[str, Any]) -> None:
    parameters = signature(importer).parameters.values()
    known = [p.name for p in parameters if p.kind is Parameter.KEYWORD_ONLY]
    if unknown := [name for name in options if name not in known]:
        raise UsageError(
            f"{format_name} has no option {', '.join(unknown)}; it takes {', '.join(known)}"
        )


def _at_least_one(events: Iterator[Event], source: Path, bad_rows: BadRows) -> Iterator[Event]:
    first = next(events, None)
    if first is not None:
        return chain([first], events)
    reasons = "; ".join(bad_rows.first[:3]) or "its files are empty"
    raise UsageError(f"{source}: no row can be used ({bad_rows.n_rows} bad): {reasons}")
