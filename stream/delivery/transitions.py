"""What is told of alerts and incidents: a transition, with an id that is its own for good.

An alert is told by its notices, an incident by its records. Both become `Transition`s here, which
is all that queues and destinations know.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec.structs import replace

from stream.announcing import notice_text
from stream.values import Record

# These happen, and nobody ever tells that they are over.
_EVENTS = ("checkpoint", "gap", "refused")

_NOTICE_PREFIX = "alert:"
_INCIDENT_PREFIX = "incident:"

# What ends, and how it is told.
_ENDS = {"resolved": "firing", "inactive": "pending"}


class Transition(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something began to fire, or is resolved.

    Attributes
    ----------
    id : str
        The same whenever this is told again, in this process or a later one.
    key : str
        The same from firing to resolved.
    state : str
        pending, firing, resolved or inactive.
    severity : str
        page, warning or info.
    text : str
        What happened, in a sentence.
    labels : dict
        What the alert is known by; the same from firing to resolved.
    annotations : dict
        What else a person is told.
    record : dict
        The line of `alerts.jsonl` or `incidents.jsonl`.
    told_ms : int
        When it was first told, by the wall clock.
    since_ms : int
        When the alert that this resolves was first told to fire; `told_ms` of one that fires.
    is_event : bool
        Whether it is over by itself, and nothing will tell so.
    is_muted : bool
        Whether a rule or a person wants nobody told.
    """

    id: str
    key: str
    state: str
    severity: str
    text: str
    labels: dict[str, str]
    annotations: dict[str, str]
    record: dict[str, Any]
    told_ms: int
    since_ms: int
    is_event: bool = False
    is_muted: bool = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a destination is told.

    What it was told to fire it is also told to be over, be it muted by then or not: nobody is left
    with an alert that never ends.
    """

    states: tuple[str, ...]
    severities: tuple[str, ...]

    def __call__(self, told: Transition, before: str | None) -> bool:
        """Whether this is told to whom `before` was told last.

        Examples
        --------
        >>> told = Transition("7c", "alert:low", "resolved", "page", "", {}, {}, {}, 5, 5)
        >>> wanted = Wanted(("firing", "resolved"), ("page",))
        >>> wanted(told, "firing"), wanted(told, None)
        (True, False)
        """
        if told.state not in self.states:
            return False
        if told.state in _ENDS:
            return before == _ENDS[told.state]
        # A rule that is muted no longer says again that it fires: who was told knows.
        is_news = told.state != before
        return is_news and not told.is_muted and told.severity in self.severities


def of_notice(record: Record, run_id: str, told_ms: int) -> Transition | None:
    """The transition that a record of `alerts.jsonl` tells; None of a reaction.

    Examples
    --------
    >>> record = {"seq": 7, "name": "alert:low:resolved", "rule": "low", "state": "resolved",
    ...     "severity": "page", "withdrawn": True, "description": "", "ts": 5_000}
    >>> told = of_notice(record, "r1", told_ms=9_000)
    >>> told.key, told.state, told.labels
    ('alert:low', 'resolved', {'alertname': 'low', 'severity': 'page'})
    >>> told.id == of_notice(record, "r1", told_ms=10_000).id
    True
    """
    if not str(record["name"]).startswith(_NOTICE_PREFIX):
        return None
    rule, text = record["rule"], notice_text(record)
    labels = {name: str(value) for name, value in (record.get("labels") or {}).items()}
    annotations = {"summary": text}
    if record.get("description"):
        annotations["description"] = record["description"]
    if record.get("runbook"):
        annotations["runbook_url"] = record["runbook"]
    annotations |= {name: str(value) for name, value in (record.get("annotations") or {}).items()}
    return Transition(
        id=_id(run_id, str(record["seq"]), record["name"]),
        key=f"{_NOTICE_PREFIX}{rule}",
        state=record["state"],
        severity=record["severity"],
        text=text,
        labels=labels | {"alertname": rule, "severity": record["severity"]},
        annotations=annotations,
        record=dict(record),
        told_ms=told_ms,
        since_ms=told_ms,
        is_muted=bool(record.get("muted_by")),
    )


def of_incident(record: Record, run_id: str) -> Transition:
    """The transition that a record of `incidents.jsonl` tells."""
    kind, name, state, told_ms = (record[key] for key in ("kind", "name", "state", "ts_ms"))
    is_event = kind in _EVENTS
    # Of events each is one of its own: the next one of this name is another.
    own = f":{told_ms}:{record['seq']}" if is_event else ""
    return Transition(
        id=_id(run_id, "incident", kind, name, state, str(told_ms), str(record["seq"])),
        key=f"{_INCIDENT_PREFIX}{kind}:{name}{own}",
        state=state,
        severity=record["severity"],
        text=f"{kind} {name} is {state}: {record['text']}",
        labels={"alertname": kind, "name": name, "severity": record["severity"]},
        annotations={"summary": record["text"]},
        record=dict(record),
        told_ms=told_ms,
        since_ms=told_ms,
        is_event=is_event,
    )


def is_incident(told: Transition) -> bool:
    """Whether it tells of an incident, and not of a notice."""
    return told.key.startswith(_INCIDENT_PREFIX)


def ended_with_its_process(told: Transition, told_ms: int) -> Transition:
    """The end of an incident that an earlier process saw, and nobody else will tell the end of."""
    text = f"{told.text}; the process that saw it has ended"
    return replace(told, id=_id(told.id, "ended"), state="resolved", text=text, told_ms=told_ms)


def _id(*parts: str) -> str:
    """32 hexadecimal digits; parts may hold anything, and headers may not."""
    text = "\0".join(parts).encode("utf-8", "backslashreplace")
    return hashlib.sha256(text).hexdigest()[:32]
