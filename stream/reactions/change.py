"""Something that was done about an alert, or not done, and what is written down of it."""

from dataclasses import dataclass
from typing import Literal

from stream.notices import Moment
from stream.values import Record

Action = Literal["begin", "end", "refused", "done", "stopped"]


@dataclass(frozen=True, slots=True)
class Change:
    """Something done, or not done, for a rule.

    `anchor` is the one that was rolled back to, `serves` the learner that a switch has served.
    """

    reaction: str
    action: Action
    rule: str
    reason: str
    anchor: str | None = None
    serves: str | None = None


def record_of(change: Change, moment: Moment) -> Record:
    """What is written down; times are the watermark's.

    Examples
    --------
    >>> change = Change("freeze", "end", "loss_high", "resolved")
    >>> record_of(change, Moment(7, 60_000, 500, {}))["name"]
    'reaction:freeze:end:loss_high'
    """
    return {
        "seq": moment.seq,
        "name": f"reaction:{change.reaction}:{change.action}:{change.rule}",
        "reaction": change.reaction,
        "action": change.action,
        "rule": change.rule,
        "reason": change.reason,
        "ts": moment.watermark_ms,
        "anchor": change.anchor,
        "serves": change.serves,
    }
