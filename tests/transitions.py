"""Records of notices and incidents, for tests of their delivery."""

from typing import Any

from stream.delivery.transitions import Transition, of_notice


def notice_record(rule: str, state: str, seq: int, **changes: Any) -> dict[str, Any]:
    """A line of `alerts.jsonl`."""
    return {
        "seq": seq,
        "name": f"alert:{rule}:{state}",
        "rule": rule,
        "kind": "below",
        "state": state,
        "severity": "page",
        "metric": "recall@20",
        "over": "time",
        "policy": None,
        "ts": 1_700_000_000_000 + seq * 60_000,
        "since": 1_700_000_000_000 + seq * 60_000,
        "renewed": False,
        "events": seq * 256,
        "catching_up": False,
        "description": "",
        "react": "none",
        "anchor": None,
        "end": {"clicks/0": {"offset": seq * 256}},
        "value": 0.1,
        "threshold": 0.18,
        "clear": 0.18,
        "reference": None,
        "samples": 1200.0,
        **changes,
    }


def incident_record(kind: str, name: str, state: str, seq: int, **changes: Any) -> dict[str, Any]:
    """A line of `incidents.jsonl`."""
    return {
        "seq": seq,
        "name": name,
        "ts": "2026-01-01T00:00:00.500Z",
        "ts_ms": 1_767_225_600_500 + seq,
        "kind": kind,
        "state": state,
        "severity": "page",
        "text": f"{name} is in trouble",
        "details": {},
        **changes,
    }


def transition(rule: str, state: str, seq: int, told_ms: int = 1_000, **changes: Any) -> Transition:
    """What such a notice tells."""
    told = of_notice(notice_record(rule, state, seq, **changes), "r1", told_ms)
    assert told is not None
    return told
