import io

from rich.console import Console

from stream.commands.demo_story import story_table, verdicts
from stream.sources.shop_config import START_MS, ScheduledEvent

HOUR_MS = 3_600_000


def notice(rule, state, hours):
    return {
        "rule": rule,
        "state": state,
        "kind": "below",
        "metric": "ctr",
        "over": "time",
        "policy": None,
        "value": 0.1,
        "threshold": 0.2,
        "severity": "page",
        "ts": START_MS + hours * HOUR_MS,
        "since": START_MS + hours * HOUR_MS,
    }


def test_verdicts_pair_each_firing_with_its_resolution():
    alerts = [
        notice("a", "pending", 1),
        notice("a", "firing", 2),
        notice("b", "firing", 3),
        notice("a", "resolved", 4),
        notice("a", "firing", 30),
        {"reaction": "boost", "action": "begin", "rule": "a", "reason": "", "ts": START_MS},
    ]
    assert verdicts(alerts) == [
        "Alert a fired on day 1, 02:00 and was resolved on day 1, 04:00, 2h later.",
        "Alert b fired on day 1, 03:00 and still does.",
        "Alert a fired on day 2, 06:00 and still does.",
    ]


def test_the_story_is_told_in_order_of_time():
    schedule = [
        ScheduledEvent(kind="catalogue_switch", day=0.5, share=0.25),
        ScheduledEvent(kind="taste_shift", day=2, days=0.5, share=0.6),
    ]
    reaction = {"reaction": "boost", "action": "begin", "rule": "a", "reason": ""}
    alerts = [
        notice("a", "pending", 13),
        notice("a", "firing", 14),
        reaction | {"ts": START_MS + 14 * HOUR_MS},
        notice("a", "resolved", 16),
    ]
    text = io.StringIO()
    Console(file=text, width=120).print(story_table(schedule, alerts))
    assert [line.rstrip() for line in text.getvalue().splitlines()] == [
        "day 1, 12:00  25% of the items on sale give way to new ones",
        "day 1, 14:00  alert a is firing (page): ctr over time is 0.1, below 0.2",
        "day 1, 14:00  reaction boost to a: begin",
        "day 1, 16:00  alert a is resolved: ctr over time is 0.1",
        "day 3, 00:00  60% of the users take up another favourite within 12h",
    ]
