"""Which notice of a run somebody means: by batch, by id, by rule, or the notice itself."""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from stream.build import ALERTS_FILE
from stream.errors import UsageError
from stream.reporting.json_lines import JsonLines
from stream.values import Record

_ID = re.compile(r"(?P<seq>\d+)(?::(?P<name>.+))?")
_RULE = re.compile(r"(?P<rule>[a-z0-9_-]+)(?:@(?P<number>-?\d+))?")
_MAX_TOLD = 8


def notice_named(out: Path, named: str) -> Record:
    """The notice that is meant.

    Parameters
    ----------
    out : Path
        The run's folder.
    named : str
        `412`, the batch, if one rule told something in it; `412:alert:recall_low:firing`, the id;
        `recall_low@2`, the second time that the rule fired of those that the files still hold,
        `@-1` or nothing the last time; or the JSON line of a notice.

    Raises
    ------
    UsageError
        If there is none, or more than one: tells which there are.
    """
    if named.lstrip().startswith("{"):
        return _given(named)
    if match := _ID.fullmatch(named):
        seq, name = int(match["seq"]), match["name"]
        found = list(_notices(out, lambda one: one["seq"] == seq and name in (None, one["name"])))
        if len(found) > 1:
            raise UsageError(f"{out}: batch {seq} has several notices; name one: {_ids(found)}")
    elif match := _RULE.fullmatch(named):
        rule, number = match["rule"], int(match["number"] or -1)
        fired = list(_notices(out, lambda one: one["rule"] == rule and one["state"] == "firing"))
        place = number if number < 0 else number - 1
        found = fired[place:][:1] if number and -len(fired) <= place < len(fired) else []
    else:
        raise UsageError(
            f"{named}: expected a notice's batch, such as 412, its id, such as "
            "412:alert:recall_low:firing, a rule, such as recall_low or recall_low@2, or the "
            "notice itself, a line of alerts.jsonl"
        )
    if not found:
        raise UsageError(f"{out}: holds no notice {named}; {_those_there_are(out)}")
    return found[0]


def _given(text: str) -> Record:
    try:
        return msgspec.json.decode(text, type=Record)
    except msgspec.MsgspecError as err:
        raise UsageError(f"the notice is no JSON object: {err}; quote the whole line") from err


def _notices(out: Path, is_meant: Callable[[Record], bool]) -> Iterator[Record]:
    """The transitions of rules; reactions stand in the same file."""
    for record in JsonLines(out / ALERTS_FILE):
        if "state" in record and is_meant(record):
            yield record


def _those_there_are(out: Path) -> str:
    fired = list(_notices(out, lambda one: one["state"] == "firing"))
    if not fired:
        return "no rule has fired so far"
    return f"the last that fired: {_ids(fired[-_MAX_TOLD:])}"


def _ids(notices: Sequence[Record]) -> str:
    return ", ".join(f"{one['seq']}:{one['name']}" for one in notices)
