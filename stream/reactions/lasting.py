"""A reaction that is on while a rule asks for it, and no longer or more often than it may."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from stream.durations import format_duration_ms
from stream.reactions.change import Change
from stream.reactions.limits import Limits
from stream.values import State


class Bounds(Protocol):
    """How long it lasts at most, in milliseconds, and how often it may begin."""

    @property
    def at_most(self) -> int: ...

    @property
    def at_most_per_day(self) -> int: ...

    @property
    def cool_down(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms a reaction begins.

    `told` is the reason told. With an `obstacle` it is off, whatever the rules ask. With
    `not_yet` it does not begin, but one that is on goes on. `serves` goes into the record.
    """

    told: str
    bounds: Bounds
    obstacle: str | None = None
    not_yet: str | None = None
    serves: str | None = None


class Lasting:
    """A reaction that is on while a rule asks for it.

    One that has lasted for its longest time ends, and the rules that fire then have no further
    say until they have resolved and fire again. A rule that fires while it may not begin is told
    so once; it begins as soon as it may, if the rule still fires.

    Parameters
    ----------
    reaction : str
        Its name.
    """

    def __init__(self, reaction: str) -> None:
        self.reaction = reaction
        self.began_ms: int | None = None
        # Of the one that is on, or was last: other bounds hold for the next one only.
        self._at_most_ms = 0
        self._begun_by = ""
        self._serves: str | None = None
        self._firing: list[str] = []
        # Rules that fire, but whose time is used up until they resolve.
        self._spent: list[str] = []
        # Rules that fire, and have been told that it may not begin.
        self._told: list[str] = []
        self._limits = Limits("were begun", "ended")

    @property
    def is_on(self) -> bool:
        return self.began_ms is not None

    @property
    def is_wanted(self) -> bool:
        """Whether a rule asks for it and has to wait."""
        return not self.is_on and len(self._firing) > len(self._spent)

    def step(
        self, fired: Sequence[str], resolved: Sequence[str], now_ms: int, terms: Terms
    ) -> list[Change]:
        """Begin on these terms or end, as the rules ask."""
        changes = []
        if self.began_ms is not None and now_ms - self.began_ms >= self._at_most_ms:
            self._spent = list(self._firing)
            changes.append(
                self._end(now_ms, f"after {format_duration_ms(self._at_most_ms)}, the most")
            )
        self._firing = [rule for rule in self._firing if rule not in resolved] + list(fired)
        self._spent = [rule for rule in self._spent if rule not in resolved]
        self._told = [rule for rule in self._told if rule not in resolved]
        asking = [rule for rule in self._firing if rule not in self._spent]
        if self.is_on and not (asking and terms.obstacle is None):
            changes.append(self._end(now_ms, terms.obstacle or "resolved"))
        elif asking and terms.obstacle is None and not self.is_on:
            changes += self._begin(asking, now_ms, terms)
        return changes

    def state_dict(self) -> State:
        return {
            "schema_version": 1,
            "began_ms": self.began_ms,
            "at_most_ms": self._at_most_ms,
            "begun_by": self._begun_by,
            "serves": self._serves,
            "firing": list(self._firing),
            "spent": list(self._spent),
            "told": list(self._told),
            "limits": self._limits.state_dict(),
        }

    def load_state_dict(self, state: State) -> None:
        self.began_ms = state["began_ms"]
        self._at_most_ms = state["at_most_ms"]
        self._begun_by = state["begun_by"]
        self._serves = state["serves"]
        self._firing = list(state["firing"])
        self._spent = list(state["spent"])
        self._told = list(state["told"])
        self._limits.load_state_dict(state["limits"])

    def _begin(self, asking: Sequence[str], now_ms: int, terms: Terms) -> list[Change]:
        bounds = terms.bounds
        refusal = self._limits.refusal(now_ms, bounds.at_most_per_day, bounds.cool_down)
        refusal = refusal or terms.not_yet
        if refusal is not None:
            untold = [rule for rule in asking if rule not in self._told]
            self._told += untold
            return [Change(self.reaction, "refused", rule, refusal) for rule in untold]
        self._limits.begin(now_ms, bounds.at_most_per_day)
        self.began_ms, self._begun_by, self._serves = now_ms, asking[0], terms.serves
        self._at_most_ms = bounds.at_most
        return [Change(self.reaction, "begin", asking[0], terms.told, serves=terms.serves)]

    def _end(self, now_ms: int, reason: str) -> Change:
        self.began_ms = None
        self._limits.end(now_ms)
        return Change(self.reaction, "end", self._begun_by, reason, serves=self._serves)
