"""What alerts and reactions say, in a sentence each, to whoever listens to the log."""

import logging
from collections.abc import Sequence

from stream.durations import lasted_text
from stream.notices import Notice
from stream.values import Record

LOGGER = logging.getLogger("freshrank.alerts")

_MUTED = {"muted": ", muted from now on", "unmuted": ", muted no longer"}
_COMPARED = {"below": "below", "above": "above", "drop": "below", "worse_than": "below"}


def announce(notices: Sequence[Notice], reactions: Sequence[Record]) -> None:
    """Log each transition and each reaction; an alert that begins to fire is a warning.

    What is muted is not told.
    """
    for notice in notices:
        if notice.record.get("muted_by"):
            continue
        level = logging.WARNING if notice.state == "firing" else logging.INFO
        LOGGER.log(level, "%s", notice_text(notice.record))
    for record in reactions:
        LOGGER.warning("%s", reaction_text(record))


def notice_text(record: Record) -> str:
    """A transition, as a sentence.

    Examples
    --------
    >>> notice_text({"rule": "recall_low", "state": "firing", "kind": "below", "value": 0.1234,
    ...     "metric": "recall@20", "over": "time", "policy": None, "threshold": 0.18,
    ...     "samples": 1200.0, "severity": "page", "ts": 7_200_000, "since": 3_600_000})
    'alert recall_low is firing (page): recall@20 over time is 0.1234, below 0.18 for 1h'
    >>> notice_text({"rule": "ctr_drop", "state": "resolved", "kind": "drop", "value": 0.05,
    ...     "metric": "ctr", "over": "events", "policy": "main", "threshold": 0.04,
    ...     "samples": 90.0, "severity": "warning", "ts": 5, "since": 5})
    'alert ctr_drop is resolved: ctr of main over events is 0.05'
    >>> notice_text({"rule": "beaten", "state": "firing", "kind": "worse_than", "value": -0.021,
    ...     "metric": "recall@20", "over": "time", "policy": None, "shadow": "item_knn",
    ...     "threshold": 0.0, "severity": "page", "ts": 5, "since": 5})
    'alert beaten is firing (page): recall@20 ahead of item_knn over time is -0.021, below 0'
    >>> notice_text({"rule": "recall_low", "state": "resolved", "withdrawn": True})
    'alert recall_low is resolved: its rule was withdrawn'
    >>> notice_text({"rule": "ctr_drop", "state": "firing", "change": "unmuted", "kind": "drop",
    ...     "metric": "ctr", "over": "time", "policy": None, "value": 0.03, "threshold": 0.04,
    ...     "severity": "warning", "ts": 60_000, "since": 0})
    'alert ctr_drop is firing, muted no longer (warning): ctr over time is 0.03, below 0.04 for 1m'
    """
    # A daemon that was down may tell today what was true days ago.
    behind = " (while catching up a backlog)" if record.get("catching_up") else ""
    muted = _MUTED.get(record.get("change", "state"), "")
    if muted_by := record.get("muted_by"):
        muted += f" (muted by {', '.join(muted_by)})"
    return f"alert {record['rule']} is {record['state']}{muted}{_details(record)}{behind}"


def reaction_text(record: Record) -> str:
    """What a reaction did or did not do, as a sentence.

    Examples
    --------
    >>> reaction_text({"reaction": "rollback", "action": "done", "rule": "recall_low",
    ...     "reason": "to anchor-000000000040"})
    'reaction rollback to recall_low: done, to anchor-000000000040'
    """
    reason = f", {record['reason']}" if record["reason"] else ""
    return f"reaction {record['reaction']} to {record['rule']}: {record['action']}{reason}"


def _details(record: Record) -> str:
    if record.get("withdrawn"):
        return ": its rule was withdrawn"
    policy = f" of {record['policy']}" if record["policy"] is not None else ""
    if (shadow := record.get("shadow")) is not None:
        policy = f" ahead of {shadow}"
    figure = f"{record['metric']}{policy} over {record['over']} is {record['value']:.4g}"
    if record["state"] in ("resolved", "inactive"):
        normal = ", taken for normal by now" if record.get("renewed") else ""
        return f": {figure}{normal}"
    lasted_ms = record["ts"] - record["since"]
    lasted = f" for {lasted_text(lasted_ms)}" if lasted_ms else ""
    compared = f"{_COMPARED[record['kind']]} {record['threshold']:.4g}"
    return f" ({record['severity']}): {figure}, {compared}{lasted}"
