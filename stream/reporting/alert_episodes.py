"""`alerts.jsonl` as stretches of event time: when which rule was pending and fired, what it did."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from stream.values import Record


@dataclass(slots=True)
class Episode:
    """One rule, from the step at which its condition became true to its end.

    `fired_ms` is None where it never fired, `ended_ms` where it had not ended; `is_withdrawn` says
    that it ended because its rule did, with its figure as it was. `told_ms` is when that it fires
    was told, None where it never was, and `muted_by` what muted it while it fired. `values` are
    those that its transitions tell. `reactions` say what was done about it, and why not.
    """

    rule: str
    record: Record
    pending_ms: int
    fired_ms: int | None = None
    ended_ms: int | None = None
    is_withdrawn: bool = False
    told_ms: int | None = None
    muted_by: list[str] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    reactions: list[str] = field(default_factory=list)

    def text(self, key: str) -> str:
        """A field of its transitions, the last before it resolved first; empty without one."""
        value = self.record.get(key)
        return "" if value is None else str(value)

    @property
    def threshold(self) -> float | None:
        """What its metric was compared with."""
        value = self.record.get("threshold")
        return float(value) if isinstance(value, int | float) else None


@dataclass(slots=True)
class Reaction:
    """What was done while a rule fired; `ended_ms` is None where it had not been undone."""

    reaction: str
    rule: str
    began_ms: int
    ended_ms: int | None = None


@dataclass(frozen=True, slots=True)
class AlertLog:
    """Episodes and reactions, each in order of beginning."""

    episodes: list[Episode]
    reactions: list[Reaction]

    @property
    def fired(self) -> list[Episode]:
        """The episodes that fired."""
        return [episode for episode in self.episodes if episode.fired_ms is not None]


def read_alerts(records: Iterable[Record]) -> AlertLog:
    """Put transitions and reactions together; records of another shape are passed by.

    Examples
    --------
    >>> log = read_alerts(
    ...     [
    ...         {"rule": "ctr_low", "state": "pending", "ts": 60_000, "since": 60_000},
    ...         {"rule": "ctr_low", "state": "firing", "ts": 120_000, "since": 60_000},
    ...         {"rule": "ctr_low", "reaction": "boost", "action": "begin", "ts": 120_000},
    ...         {"rule": "ctr_low", "state": "resolved", "ts": 300_000, "since": 60_000},
    ...     ]
    ... )
    >>> [(episode.pending_ms, episode.fired_ms, episode.ended_ms) for episode in log.episodes]
    [(60000, 120000, 300000)]
    >>> log.episodes[0].reactions, log.reactions[0].ended_ms
    (['boost'], None)
    """
    log = AlertLog([], [])
    open_episodes: dict[str, Episode] = {}
    newest_episodes: dict[str, Episode] = {}
    open_reactions: dict[tuple[str, str], Reaction] = {}
    for record in records:
        rule, ts_ms = record.get("rule"), record.get("ts")
        if not isinstance(rule, str) or not isinstance(ts_ms, int):
            continue
        if isinstance(record.get("reaction"), str):
            _note_reaction(record, log, open_reactions, newest_episodes.get(rule))
            continue
        _step(record, log, open_episodes)
        newest_episodes |= open_episodes  # a reaction may end after its rule has
    return log


def worst_value(values: Iterable[float], kind: str) -> float | None:
    """The lowest value, of a rule that fires above its threshold the highest; nan is no value.

    Examples
    --------
    >>> worst_value([0.3, 0.1, float("nan")], "below"), worst_value([], "below")
    (0.1, None)
    """
    known = [value for value in values if value == value]
    if not known:
        return None
    return max(known) if kind == "above" else min(known)


def _step(record: Record, log: AlertLog, open_episodes: dict[str, Episode]) -> None:
    rule, ts_ms, state = record["rule"], record["ts"], record.get("state")
    episode = open_episodes.get(rule)
    if episode is None:
        if state not in ("pending", "firing"):
            return
        since_ms = record.get("since")
        pending_ms = min(since_ms, ts_ms) if isinstance(since_ms, int) else ts_ms
        episode = open_episodes[rule] = Episode(rule, record, pending_ms)
        log.episodes.append(episode)
    if state != "resolved":  # a drop's threshold moves on: what counts is where it fired
        episode.record = {**episode.record, **_known(record)}
    if isinstance(value := record.get("value"), int | float):
        episode.values.append(float(value))
    if state == "firing":
        _note_mute(record, episode)
    if state == "firing" and episode.fired_ms is None:
        episode.fired_ms = ts_ms
    elif state in ("resolved", "inactive"):
        episode.ended_ms = ts_ms
        episode.is_withdrawn = record.get("withdrawn") is True
        del open_episodes[rule]


def _note_mute(record: Record, episode: Episode) -> None:
    named = record.get("muted_by")
    muted_by = [str(one) for one in named] if isinstance(named, list) else []
    episode.muted_by += [one for one in muted_by if one not in episode.muted_by]
    if not muted_by and episode.told_ms is None:
        episode.told_ms = record["ts"]


def _note_reaction(
    record: Record,
    log: AlertLog,
    open_reactions: dict[tuple[str, str], Reaction],
    episode: Episode | None,
) -> None:
    name, rule, ts_ms = record["reaction"], record["rule"], record["ts"]
    action = record.get("action")
    key = (rule, name)
    if action == "end":
        if key in open_reactions:
            open_reactions.pop(key).ended_ms = ts_ms
        return
    if action != "refused":
        reaction = Reaction(name, rule, ts_ms, ts_ms if action == "done" else None)
        log.reactions.append(reaction)
        if action == "begin":
            open_reactions[key] = reaction
    if episode is not None:
        reason = record.get("reason")
        refused = f"{name} refused" + (f": {reason}" if reason else "")
        episode.reactions.append(refused if action == "refused" else name)


def _known(record: Record) -> dict[str, Any]:
    return {key: value for key, value in record.items() if value is not None}
