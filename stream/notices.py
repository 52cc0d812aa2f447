"""What is told beside the figures: where the stream stands, what alerts did, what went wrong."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from stream.values import Position, Record


@dataclass(frozen=True, slots=True)
class Moment:
    """Where the stream stands after a batch.

    `n_events` counts the events taken in since the stream began. `anchor` names the last anchor
    taken, None before the first; from there up to `end` is what reproduces this moment.
    `is_backlog` says that the stream is behind: much more was waiting to be read.
    """

    seq: int
    watermark_ms: int
    n_events: int
    end: Position
    anchor: str | None = None
    is_backlog: bool = False


AlertState = Literal["inactive", "pending", "firing", "resolved"]


@dataclass(frozen=True, slots=True)
class Notice:
    """An alert rule changed its state, or, going on firing, became muted or no longer is.

    `ts_ms` is the event time of the step that saw it, `since_ms` that of the step at which the
    condition became true. `record` is what is written down. It is delivered unless its `muted_by`
    names what mutes it. `is_transition` says that the state changed: nothing is to be done about
    a notice for which it did not.
    """

    rule: str
    state: AlertState
    ts_ms: int
    since_ms: int
    record: Record
    is_transition: bool = True


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that whoever runs the daemon should know, by the wall clock.

    Incidents stand apart from the reproducible record: they appear in no metric and cause no
    reaction. `kind` is what happened (`gap`, `silent`, `lagging`, `stuck`, ...), `name` the rule
    or the thing it happened to; `is_resolved` says that it is over. `details` is plain JSON.
    """

    kind: str
    name: str
    text: str
    severity: str = "warning"
    is_resolved: bool = False
    details: Mapping[str, Any] = field(default_factory=dict)
