"""What the loop does about alerts: learn faster, stop learning, or go back.

boost     while a rule fires, replay and learning rate are raised; undone when it resolves
freeze    while a rule fires, the champion learns nothing; undone when it resolves. It wins over
          boost, which waits until the champion learns again
rollback  once, when a rule fires: the champion's weights go back to the newest anchor from before
          the condition became true. There is nothing to undo when the rule resolves: what was
          learned between the anchor and the rollback is gone

A boost or freeze lasts no longer than its `at_most` of event time; a boost that a freeze has
interrupted begins anew. Then it ends, and the rules that fire have no further say until they have
resolved and fire again.

When other settings are put in force, what is on stays as it was begun: a boost keeps its factors,
and both lasting reactions their `at_most`, until they end. Only a rule that is withdrawn lets go
of what it asked for, as if it had resolved. One that has changed, for example its `react`, is
withdrawn and starts afresh: if its condition still holds, it fires anew, after its own `for`, and
only then does its new reaction begin, with all of its time. A rollback goes to before the new
episode: what was learned during the one that was cut short is kept.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol

from evaluators.alert_rules import ReactionsConfig, Rule
from stream.durations import format_duration_ms
from stream.errors import CheckpointError
from stream.notices import Moment, Notice
from stream.values import Bools, Record, State

_SCHEMA_VERSION = 2
_NOT_ADJUSTABLE = "the champion learns in a way that can neither be boosted nor undone"

Action = Literal["begin", "end", "refused", "done"]


class Adjustable(Protocol):
    """Who learns. Factors and the freeze are part of its own state.

    `is_adjustable` says whether the champion can be adjusted and restored. `restore` takes back
    the weights of the rows that still mean the same item; other rows stay as they are.
    """

    @property
    def is_adjustable(self) -> bool: ...

    def adjust(self, replay_factor: float, learning_rate_factor: float) -> None: ...

    def freeze(self, is_frozen: bool) -> None: ...

    def restore(self, state: State, is_same_V: Bools) -> None: ...


class AnchorStates(Protocol):
    """What a rollback may go back to.

    `before` names the newest anchor that holds nothing later than an event time. `champion_state`
    raises `CheckpointError` if the anchor cannot be read.
    """

    def before(self, ts_ms: int) -> str | None: ...

    def champion_state(self, name: str) -> tuple[State, Bools]: ...


class Reactor:
    """Turns notices into orders to the panel, and tells each order once.

    A record names the rule that began a reaction, also where it ends, although other rules may
    have joined in; `anchor` is the one that was rolled back to. Times are the watermark's.

    After `load_state_dict` nothing has to be repeated: the panel's own state holds what was
    ordered.

    Parameters
    ----------
    config : ReactionsConfig
        Bounds, until others are put in force.
    rules : sequence of Rule
        Those that notices come from.
    """

    def __init__(self, config: ReactionsConfig, rules: Sequence[Rule]) -> None:
        self._config = config
        self._reaction_of: dict[str, str] = {rule.name: rule.react for rule in rules}
        self._freeze = _Lasting("freeze")
        self._boost = _Lasting("boost")
        self._rolled_back_ms: int | None = None

    def reload(self, config: ReactionsConfig, rules: Sequence[Rule]) -> None:
        """Put other bounds and rules in force, for whatever begins from now on.

        `react` must have been told of the withdrawn rules before: it knows what they asked for.

        Parameters
        ----------
        config : ReactionsConfig
            Bounds.
        rules : sequence of Rule
            Those that notices come from.
        """
        self._config = config
        self._reaction_of = {rule.name: rule.react for rule in rules}

    def react(
        self, notices: Sequence[Notice], moment: Moment, panel: Adjustable, anchors: AnchorStates
    ) -> list[Record]:
        """Do what the notices ask for and the bounds allow; one record for each thing done or not.

        To be called after every batch, with or without notices: time ends reactions too. A rule
        that fires and is withdrawn within one batch asks for nothing.
        """
        notices = [notice for notice in notices if notice.is_transition]
        withdrawn = {notice.rule for notice in notices if notice.state == "resolved"}
        notices = [
            notice for notice in notices if notice.state != "firing" or notice.rule not in withdrawn
        ]
        changes = [
            *self._step_freeze(notices, moment, panel),
            *self._step_boost(notices, moment, panel),
        ]
        changes += [
            self._roll_back(notice, moment, panel, anchors)
            for notice in notices
            if notice.state == "firing" and self._reaction_of[notice.rule] == "rollback"
        ]
        return [_record(change, moment) for change in changes]

    @property
    def active(self) -> dict[str, int]:
        """The reactions that are on, and the event times since when."""
        lasting = (self._boost, self._freeze)
        return {one.reaction: one.began_ms for one in lasting if one.began_ms is not None}

    def state_dict(self) -> State:
        return {
            "schema_version": _SCHEMA_VERSION,
            "settings": {
                "reactions": self._config.model_dump(mode="json"),
                "rules": dict(self._reaction_of),
            },
            "freeze": self._freeze.state_dict(),
            "boost": self._boost.state_dict(),
            "rolled_back_ms": self._rolled_back_ms,
        }

    def load_state_dict(self, state: State) -> None:
        if state["schema_version"] != _SCHEMA_VERSION:
            raise CheckpointError(
                f"reactor: the checkpoint's state has version {state['schema_version']}, expected "
                f"{_SCHEMA_VERSION}; resume with the release that wrote it"
            )
        # The panel is as these rules and factors left it: nobody else could undo it.
        self._config = ReactionsConfig.model_validate(state["settings"]["reactions"])
        self._reaction_of = dict(state["settings"]["rules"])
        self._freeze.load_state_dict(state["freeze"])
        self._boost.load_state_dict(state["boost"])
        self._rolled_back_ms = state["rolled_back_ms"]

    def _step_freeze(
        self, notices: Sequence[Notice], moment: Moment, panel: Adjustable
    ) -> list["_Change"]:
        fired, resolved = self._asking("freeze", notices)
        at_most_ms = self._config.freeze.at_most
        told = f"at most for {format_duration_ms(at_most_ms)}"
        changes = self._freeze.step(fired, resolved, moment.watermark_ms, _Terms(told, at_most_ms))
        if changes:
            panel.freeze(self._freeze.is_on)
        return changes

    def _step_boost(
        self, notices: Sequence[Notice], moment: Moment, panel: Adjustable
    ) -> list["_Change"]:
        fired, resolved = self._asking("boost", notices)
        if fired and not panel.is_adjustable:
            return [_Change("boost", "refused", rule, _NOT_ADJUSTABLE) for rule in fired]
        config = self._config.boost
        told = f"replay x {config.replay_factor:g}, learning rate x {config.learning_rate_factor:g}"
        obstacle = "the champion is frozen" if self._freeze.is_on else None
        terms = _Terms(told, config.at_most, obstacle)
        changes = self._boost.step(fired, resolved, moment.watermark_ms, terms)
        if changes and self._boost.is_on:
            panel.adjust(config.replay_factor, config.learning_rate_factor)
        elif changes:
            panel.adjust(1.0, 1.0)
        return changes

    def _roll_back(
        self, notice: Notice, moment: Moment, panel: Adjustable, anchors: AnchorStates
    ) -> "_Change":
        def refused(reason: str) -> _Change:
            return _Change("rollback", "refused", notice.rule, reason)

        now_ms, at_most_every_ms = moment.watermark_ms, self._config.rollback.at_most_every
        if not panel.is_adjustable:
            return refused(_NOT_ADJUSTABLE)
        if self._rolled_back_ms is not None and now_ms - self._rolled_back_ms < at_most_every_ms:
            return refused(f"one was done within the last {format_duration_ms(at_most_every_ms)}")
        anchor = anchors.before(notice.since_ms)
        if anchor is None:
            return refused("no anchor is kept from before the condition became true")
        try:
            state, is_same_V = anchors.champion_state(anchor)
        except CheckpointError as err:
            return refused(str(err))
        panel.restore(state, is_same_V)
        self._rolled_back_ms = now_ms
        return _Change("rollback", "done", notice.rule, f"to {anchor}", anchor)

    def _asking(self, reaction: str, notices: Sequence[Notice]) -> tuple[list[str], list[str]]:
        """The rules of a reaction that have begun to fire, and those that have resolved."""
        told = [notice for notice in notices if self._reaction_of[notice.rule] == reaction]
        return (
            [notice.rule for notice in told if notice.state == "firing"],
            [notice.rule for notice in told if notice.state == "resolved"],
        )


class _Change(NamedTuple):
    """Something done, or not done, for a rule."""

    reaction: str
    action: Action
    rule: str
    reason: str
    anchor: str | None = None


class _Terms(NamedTuple):
    """On what terms a reaction begins: the reason told, its longest time, and what forbids it."""

    told: str
    at_most_ms: int
    obstacle: str | None = None


class _Lasting:
    """A reaction that is on while a rule asks for it, and no longer than it may."""

    def __init__(self, reaction: str) -> None:
        self.reaction = reaction
        self.began_ms: int | None = None
        # Of the one that is on, or was last: other bounds hold for the next one only.
        self._at_most_ms = 0
        self._begun_by = ""
        self._firing: list[str] = []
        # Rules that fire, but whose time is used up until they resolve.
        self._spent: list[str] = []

    @property
    def is_on(self) -> bool:
        return self.began_ms is not None

    def step(
        self, fired: Sequence[str], resolved: Sequence[str], now_ms: int, terms: _Terms
    ) -> list[_Change]:
        """Begin on these terms or end, as the rules ask.

        With an obstacle it is off, whatever they ask.
        """
        changes = []
        if self.began_ms is not None and now_ms - self.began_ms >= self._at_most_ms:
            self._spent = list(self._firing)
            changes.append(self._end(f"after {format_duration_ms(self._at_most_ms)}, the most"))
        self._firing = [rule for rule in self._firing if rule not in resolved] + list(fired)
        self._spent = [rule for rule in self._spent if rule not in resolved]
        asking = [rule for rule in self._firing if rule not in self._spent]
        if self.is_on and not (asking and terms.obstacle is None):
            changes.append(self._end(terms.obstacle or "resolved"))
        elif asking and terms.obstacle is None and not self.is_on:
            self.began_ms, self._begun_by = now_ms, asking[0]
            self._at_most_ms = terms.at_most_ms
            changes.append(_Change(self.reaction, "begin", asking[0], terms.told))
        return changes

    def state_dict(self) -> State:
        return {
            "began_ms": self.began_ms,
            "at_most_ms": self._at_most_ms,
            "begun_by": self._begun_by,
            "firing": list(self._firing),
            "spent": list(self._spent),
        }

    def load_state_dict(self, state: State) -> None:
        self.began_ms = state["began_ms"]
        self._at_most_ms = state["at_most_ms"]
        self._begun_by = state["begun_by"]
        self._firing = list(state["firing"])
        self._spent = list(state["spent"])

    def _end(self, reason: str) -> _Change:
        self.began_ms = None
        return _Change(self.reaction, "end", self._begun_by, reason)


def _record(change: _Change, moment: Moment) -> Record:
    return {
        "seq": moment.seq,
        "name": f"reaction:{change.reaction}:{change.action}:{change.rule}",
        "reaction": change.reaction,
        "action": change.action,
        "rule": change.rule,
        "reason": change.reason,
        "ts": moment.watermark_ms,
        "anchor": change.anchor,
    }
