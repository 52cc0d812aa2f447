"""What happened to the demo's shop, and what the loop said and did about it, in order of time."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from stream.announcing import notice_text, reaction_text
from stream.durations import lasted_text
from stream.values import Record

if TYPE_CHECKING:
    from stream.sources.shop_config import ScheduledEvent

_DAY_MS = 86_400_000
_TOLD_STATES = ("firing", "resolved")


def story_table(schedule: Sequence["ScheduledEvent"], alerts: Sequence[Record]) -> Table:
    """Scheduled events, alerts that fired and resolved, and reactions, a row each.

    Parameters
    ----------
    schedule : sequence of ScheduledEvent
        What was done to the shop.
    alerts : sequence of dict
        The records of `alerts.jsonl`.
    """
    rows = [(event.start_ms, 0, Text(event_text(event), "magenta")) for event in schedule]
    for record in alerts:
        if "reaction" in record:
            rows.append((record["ts"], 2, Text(reaction_text(record), "cyan")))
        elif record["state"] in _TOLD_STATES:
            style = "bold red" if record["state"] == "firing" else "green"
            rows.append((record["ts"], 1, Text(notice_text(record), style)))
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, style="bold")
    table.add_column()
    for ts_ms, _, told in sorted(rows, key=lambda row: row[:2]):
        table.add_row(day_text(ts_ms), told)
    return table


def event_text(event: "ScheduledEvent") -> str:
    """What was done to the shop, as a sentence; the learners were not told."""
    lasted = lasted_text(event.end_ms - event.start_ms)
    return {
        "taste_shift": f"{event.share:.0%} of the users take up another favourite within {lasted}",
        "broken_policy": f"for {lasted} a bug turns {event.share:.0%} of the shop's lists around",
        "catalogue_switch": f"{event.share:.0%} of the items on sale give way to new ones",
        "tracking_outage": f"for {lasted} {event.share:.0%} of the clicks are lost",
    }[event.kind]


def verdicts(alerts: Sequence[Record]) -> list[str]:
    """Which alert fired when, and when it was resolved: a line for each time that one fired."""
    told, firing = list[str](), dict[str, Record]()
    for record in alerts:
        if record.get("state") == "firing":
            firing[record["rule"]] = record
        elif record.get("state") == "resolved":
            fired = firing.pop(record["rule"])
            told.append(
                f"Alert {record['rule']} fired on {day_text(fired['ts'])} "
                f"and was resolved on {day_text(record['ts'])}, "
                f"{lasted_text(record['ts'] - fired['ts'])} later."
            )
    told += [
        f"Alert {rule} fired on {day_text(record['ts'])} and still does."
        for rule, record in firing.items()
    ]
    return told


def day_text(ts_ms: int) -> str:
    """An event time by the day of the shop, counted from 1.

    Examples
    --------
    >>> from stream.sources.shop_config import START_MS
    >>> day_text(START_MS + 30 * 3_600_000)
    'day 2, 06:00'
    """
    from stream.sources.shop_config import START_MS

    day, left_ms = divmod(ts_ms - START_MS, _DAY_MS)
    return f"day {day + 1}, {left_ms // 3_600_000:02}:{left_ms // 60_000 % 60:02}"
