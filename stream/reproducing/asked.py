"""Which notice is to be computed again: what it says of where it came from."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from stream.config import FreshrankConfig
from stream.errors import ReproductionError, UsageError
from stream.starts import Start
from stream.values import Position, Record


@dataclass(frozen=True, slots=True)
class Range:
    """What lies behind a notice: an anchor, None for the run's beginning, and the records after.

    The batches are those from the anchor's up to `last_seq`, the notice's own.
    """

    anchor: str | None
    start: Position
    end: Position
    last_seq: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where a stream goes on: position, number of the next batch, event time."""

    position: Position
    next_seq: int
    watermark_ms: int


@dataclass(frozen=True, slots=True)
class RunBefore:
    """A run as its folder tells it: settings, starts, and where its anchors and journal lie."""

    out: Path
    config: FreshrankConfig
    starts: tuple[Start, ...]

    @property
    def checkpoints(self) -> Path:
        """The folder of its checkpoints."""
        return self.out / self.config.checkpoint.dir


class _Told(msgspec.Struct):
    """What every notice tells."""

    seq: int
    name: str
    rule: str
    state: str
    anchor: str | None
    start: dict[str, dict[str, Any]]
    end: dict[str, dict[str, Any]]


def range_of(notice: Record) -> Range:
    """The range that a notice names.

    Raises
    ------
    UsageError
        If it is no notice, or one of a release that did not tell.

    Examples
    --------
    >>> notice = {"seq": 9, "name": "alert:low:firing", "rule": "low", "state": "firing"}
    >>> range_of(notice | {"anchor": None, "start": {}, "end": {"a.jsonl": {"line": 90}}})
    Range(anchor=None, start={}, end={'a.jsonl': {'line': 90}}, last_seq=9)
    """
    try:
        told = msgspec.convert(notice, _Told)
    except msgspec.ValidationError as err:
        raise UsageError(
            f"the notice does not tell what it was computed from: {err}; give a line of "
            "alerts.jsonl that this release wrote, whole and unchanged"
        ) from err
    return Range(told.anchor, told.start, told.end, told.seq)


def ended_early(last_seq: int, reached_seq: int, what: str) -> ReproductionError:
    """The error of a range that ends before its notice."""
    return ReproductionError(
        f"{what} after batch {reached_seq}, and the notice is of batch {last_seq}"
    )
