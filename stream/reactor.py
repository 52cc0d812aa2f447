"""What the loop does about alerts: learn faster, stop learning, go back, or serve somebody else.

boost     while a rule fires, replay and learning rate are raised; undone when it resolves
freeze    while a rule fires, the champion learns nothing; undone when it resolves. It wins over
          boost, which waits until the champion learns again
switch    while a rule fires, the shadow that was best when it began is served in the champion's
          place; undone when it resolves. Everyone goes on learning, and every figure stays that of
          the learner it names: the champion's tell when it has recovered
rollback  when a rule fires, the champion's weights go back to the newest anchor from before the
          condition became true, and to older ones if that does not help, a few times. There is
          nothing to undo when the rule resolves: what was learned since the anchor is gone

A boost, freeze or switch lasts no longer than its `at_most` of event time; a boost that a freeze
has interrupted begins anew. Then it ends, and the rules that fire have no further say until they
have resolved and fire again. Each begins at most `at_most_per_day` times, and no sooner than
`cool_down` after the last one; a rule that has to wait is told so once.

When other settings are put in force, what is on stays as it was begun: a boost keeps its factors,
and lasting reactions their `at_most`, until they end. Only a rule that is withdrawn lets go of
what it asked for, as if it had resolved. One that has changed, for example its `react`, is
withdrawn and starts afresh: if its condition still holds, it fires anew, after its own `for`, and
only then does its new reaction begin, with all of its time. A rollback goes to before the new
episode: what was learned during the one that was cut short is kept.
"""

from collections.abc import Sequence
from typing import Protocol

from evaluators.alert_rules import Rule
from evaluators.reaction_settings import ReactionsConfig
from stream.durations import format_duration_ms
from stream.errors import CheckpointError
from stream.notices import Moment, Notice
from stream.reactions.change import Change, record_of
from stream.reactions.lasting import Lasting, Terms
from stream.reactions.rollbacks import Rollbacks, Way
from stream.values import Bools, Reading, Record, State

_SCHEMA_VERSION = 3
_NOT_ADJUSTABLE = "the champion learns in a way that can neither be boosted nor undone"


class Adjustable(Protocol):
    """Who learns. Factors, the freeze and who is served are part of its own state.

    `is_adjustable` says whether the champion can be adjusted and restored. `restore` takes back
    the weights of the rows that still mean the same item; other rows stay as they are. `serve`
    puts a shadow in the champion's place, and None the champion itself.
    """

    @property
    def is_adjustable(self) -> bool: ...

    def adjust(self, replay_factor: float, learning_rate_factor: float) -> None: ...

    def freeze(self, is_frozen: bool) -> None: ...

    def restore(self, state: State, is_same_V: Bools) -> None: ...

    def serve(self, shadow: str | None) -> None: ...


class AnchorStates(Protocol):
    """What a rollback may go back to.

    `before` names the newest anchor that holds nothing later than an event time, and that is
    older than another one if that is named. `champion_state` raises `CheckpointError` if the
    anchor cannot be read.
    """

    def before(self, ts_ms: int, older_than: str | None = None) -> str | None: ...

    def champion_state(self, name: str) -> tuple[State, Bools]: ...


class Standings(Protocol):
    """How champion and shadows do by one figure over one window, the champion first.

    Empty without a sample.
    """

    def standings(self, figure: str, over: str) -> dict[str, Reading]: ...


class Reactor:
    """Turns notices into orders to the panel, and tells each order once.

    A record names the rule that began a reaction, also where it ends, although other rules may
    have joined in; `anchor` is the one that was rolled back to, `serves` the shadow that a switch
    has served. Times are the watermark's.

    After `load_state_dict` nothing has to be repeated: the panel's own state holds what was
    ordered.

    Parameters
    ----------
    config : ReactionsConfig
        Bounds, until others are put in force.
    rules : sequence of Rule
        Those that notices come from.
    figure : str
        By which shadows are compared where `switch.metric` names none.
    """

    def __init__(self, config: ReactionsConfig, rules: Sequence[Rule], figure: str) -> None:
        self._config = config
        self._reaction_of: dict[str, str] = {rule.name: rule.react for rule in rules}
        self._figure = figure
        self._freeze = Lasting("freeze")
        self._boost = Lasting("boost")
        self._switch = Lasting("switch")
        self._rollbacks = Rollbacks()

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
        self,
        notices: Sequence[Notice],
        moment: Moment,
        panel: Adjustable,
        anchors: AnchorStates,
        standings: Standings,
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
            *self._step_switch(notices, moment, panel, standings),
            *self._step_rollbacks(notices, moment, panel, anchors),
        ]
        return [record_of(change, moment) for change in changes]

    @property
    def active(self) -> dict[str, int]:
        """The reactions that are on, and the event times since when."""
        lasting = (self._boost, self._freeze, self._switch)
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
            "switch": self._switch.state_dict(),
            "rollbacks": self._rollbacks.state_dict(),
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
        self._switch.load_state_dict(state["switch"])
        self._rollbacks.load_state_dict(state["rollbacks"])

    def _step_freeze(
        self, notices: Sequence[Notice], moment: Moment, panel: Adjustable
    ) -> list[Change]:
        fired, resolved = self._asking("freeze", notices)
        bounds = self._config.freeze
        terms = Terms(f"at most for {format_duration_ms(bounds.at_most)}", bounds)
        changes = self._freeze.step(fired, resolved, moment.watermark_ms, terms)
        if _has_moved(changes):
            panel.freeze(self._freeze.is_on)
        return changes

    def _step_boost(
        self, notices: Sequence[Notice], moment: Moment, panel: Adjustable
    ) -> list[Change]:
        fired, resolved = self._asking("boost", notices)
        if fired and not panel.is_adjustable:
            return [Change("boost", "refused", rule, _NOT_ADJUSTABLE) for rule in fired]
        config = self._config.boost
        told = f"replay x {config.replay_factor:g}, learning rate x {config.learning_rate_factor:g}"
        obstacle = "the champion is frozen" if self._freeze.is_on else None
        terms = Terms(told, config, obstacle)
        changes = self._boost.step(fired, resolved, moment.watermark_ms, terms)
        if _has_moved(changes) and self._boost.is_on:
            panel.adjust(config.replay_factor, config.learning_rate_factor)
        elif _has_moved(changes):
            panel.adjust(1.0, 1.0)
        return changes

    def _step_switch(
        self, notices: Sequence[Notice], moment: Moment, panel: Adjustable, standings: Standings
    ) -> list[Change]:
        fired, resolved = self._asking("switch", notices)
        terms = Terms("", self._config.switch)
        if fired or self._switch.is_wanted:  # else nobody needs to know who is the best
            terms = self._terms_of_switch(standings)
        changes = self._switch.step(fired, resolved, moment.watermark_ms, terms)
        if _has_moved(changes):
            panel.serve(terms.serves if self._switch.is_on else None)
        return changes

    def _terms_of_switch(self, standings: Standings) -> Terms:
        """The shadow that would be served now, or why none would."""
        config = self._config.switch
        figure = config.metric or self._figure
        by = f"{figure} over {config.over}"
        found = standings.standings(figure, config.over)
        if not found or min(one.samples for one in found.values()) < config.min_samples:
            return Terms("", config, not_yet=f"{by} has fewer than {config.min_samples} samples")
        (champion, own), *shadows = found.items()
        # The first of equal ones, in the order of the settings.
        name, best = max(shadows, key=lambda shadow: shadow[1].value)
        told = f"{by} of {name} is {best.value:.4g}, of {champion} {own.value:.4g}"
        if best.value - own.value <= config.better_by:
            return Terms("", config, not_yet=f"no shadow is better: {told}")
        return Terms(f"{name} is served: {told}", config, serves=name)

    def _step_rollbacks(
        self, notices: Sequence[Notice], moment: Moment, panel: Adjustable, anchors: AnchorStates
    ) -> list[Change]:
        fired, resolved = self._asking("rollback", notices)
        since_ms_of = {notice.rule: notice.since_ms for notice in notices}
        way = Way(
            before=anchors.before,
            go_back_to=lambda anchor: panel.restore(*anchors.champion_state(anchor)),
            obstacle=None if panel.is_adjustable else _NOT_ADJUSTABLE,
        )
        return self._rollbacks.step(
            {rule: since_ms_of[rule] for rule in fired},
            resolved,
            moment.watermark_ms,
            self._config.rollback,
            way,
        )

    def _asking(self, reaction: str, notices: Sequence[Notice]) -> tuple[list[str], list[str]]:
        """The rules of a reaction that have begun to fire, and those that have resolved."""
        told = [notice for notice in notices if self._reaction_of[notice.rule] == reaction]
        return (
            [notice.rule for notice in told if notice.state == "firing"],
            [notice.rule for notice in told if notice.state == "resolved"],
        )


def _has_moved(changes: Sequence[Change]) -> bool:
    """Whether a reaction has begun or ended; to be told that it may not moves nothing."""
    return any(change.action in ("begin", "end") for change in changes)
