"""Dead letters by reason, with some of the lines behind each."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from stream.values import Record

MAX_SAMPLES = 3
# What the run's counts have where a reason holds a value.
_VALUE = "…"


@dataclass(frozen=True, slots=True)
class Sample:
    """One dead letter: where it came from and what it said."""

    origin: str
    raw: str


@dataclass(slots=True)
class Reason:
    """A reason, how many dead letters have it, and the first few of them."""

    text: str
    count: int
    samples: list[Sample] = field(default_factory=list)


def dead_letter_reasons(
    counts: Mapping[str, Any] | None, letters: Iterable[Record]
) -> list[Reason]:
    """Reasons, the most frequent first.

    Parameters
    ----------
    counts : mapping, optional
        Count by kind of reason, where the run told it; without it the letters are counted.
    letters : iterable of dict
        Lines of `dead_letters.jsonl`, as far as they are to be read.

    Examples
    --------
    >>> letter = {"origin": "a.jsonl:7", "reason": "unknown type 'clik'", "raw": "{}"}
    >>> [reason] = dead_letter_reasons({"unknown type …": 2}, [letter])
    >>> reason.count, reason.samples
    (2, [Sample(origin='a.jsonl:7', raw='{}')])
    """
    reasons = [
        Reason(text, count) for text, count in (counts or {}).items() if isinstance(count, int)
    ]
    patterns = [(_pattern(reason.text), reason) for reason in reasons]
    reason_of: dict[str, Reason | None] = {}
    is_counted = counts is not None
    for letter in letters:
        text = str(letter.get("reason", ""))
        if text not in reason_of:
            found = next((reason for pattern, reason in patterns if pattern.fullmatch(text)), None)
            if found is None and not is_counted:
                found = Reason(text, 0)
                reasons.append(found)
            reason_of[text] = found
        reason = reason_of[text]
        if reason is None:
            continue
        reason.count += not is_counted
        if len(reason.samples) < MAX_SAMPLES:
            sample = Sample(str(letter.get("origin", "")), str(letter.get("raw", "")))
            reason.samples.append(sample)
    return sorted(reasons, key=lambda reason: -reason.count)


def _pattern(kind: str) -> re.Pattern[str]:
    return re.compile(".*?".join(re.escape(part) for part in kind.split(_VALUE)), re.DOTALL)
