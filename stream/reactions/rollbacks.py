"""Going back: the champion's weights are put back to an anchor, and again to an older one.

A rule that fires has them go back to the newest anchor from before its condition became true. One
that still fires `at_most_every` later was not helped: they go back further, to an older anchor.
After `attempts` of them, or where no older anchor is kept, this stops, says so, and waits until
all rules that ask for it have resolved.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from evaluators.reaction_settings import RollbackConfig
from stream.errors import CheckpointError
from stream.reactions.change import Action, Change
from stream.reactions.limits import Limits
from stream.values import State

_REACTION = "rollback"


@dataclass(frozen=True, slots=True)
class Way:
    """How weights go back.

    `before` names the newest anchor that holds nothing later than an event time and is older than
    another one, if one is named. `go_back_to` raises `CheckpointError` if it cannot be read.
    `obstacle` is why it cannot be done at all.
    """

    before: Callable[[int, str | None], str | None]
    go_back_to: Callable[[str], None]
    obstacle: str | None = None


class Rollbacks:
    """Who asks for a rollback, and what was done about it since they began to."""

    def __init__(self) -> None:
        self._firing: list[str] = []
        # Rules that fire and may have another attempt, with when their conditions became true.
        self._waiting: dict[str, int] = {}
        self._n_done = 0
        self._last_anchor: str | None = None
        self._is_stopped = False
        self._limits = Limits("were done", "was done")

    def step(
        self,
        fired: Mapping[str, int],
        resolved: Sequence[str],
        now_ms: int,
        config: RollbackConfig,
        way: Way,
    ) -> list[Change]:
        """Go back where rules that fired ask for it, or where the last time did not help.

        Parameters
        ----------
        fired : mapping
            Rules that have begun to fire, and when their conditions became true.
        resolved : sequence of str
            Those that have resolved.
        now_ms : int
            The event time.
        config : RollbackConfig
            The bounds in force.
        way : Way
            How it is done.
        """
        self._firing = [rule for rule in self._firing if rule not in resolved]
        self._waiting = {rule: ms for rule, ms in self._waiting.items() if rule not in resolved}
        if not self._firing:
            self._n_done, self._last_anchor, self._is_stopped = 0, None, False
        changes = []
        for rule, since_ms in fired.items():
            if rule not in self._firing:
                self._firing.append(rule)
            changes.append(self._first(rule, since_ms, now_ms, config, way))
        if not changes and self._waiting:
            changes += self._again(now_ms, config, way)
        return changes

    def state_dict(self) -> State:
        return {
            "schema_version": 1,
            "firing": list(self._firing),
            "waiting": dict(self._waiting),
            "n_done": self._n_done,
            "last_anchor": self._last_anchor,
            "is_stopped": self._is_stopped,
            "limits": self._limits.state_dict(),
        }

    def load_state_dict(self, state: State) -> None:
        self._firing = list(state["firing"])
        self._waiting = dict(state["waiting"])
        self._n_done = state["n_done"]
        self._last_anchor = state["last_anchor"]
        self._is_stopped = state["is_stopped"]
        self._limits.load_state_dict(state["limits"])

    def _first(
        self, rule: str, since_ms: int, now_ms: int, config: RollbackConfig, way: Way
    ) -> Change:
        """What is done for a rule that has begun to fire."""
        if way.obstacle is not None:
            return _told("refused", rule, way.obstacle)
        if self._is_stopped:
            return _told("refused", rule, "those before did not help, and a rule still fires")
        self._waiting[rule] = since_ms
        refusal = self._refusal(now_ms, config)
        if self._n_done >= config.attempts:
            refusal = f"{self._n_done} were done and a rule still fires: no more are tried"
        if refusal is not None:
            return _told("refused", rule, refusal)
        anchor = way.before(since_ms, None)
        if anchor is None:
            del self._waiting[rule]
            return _told("refused", rule, "no anchor is kept from before the condition became true")
        return self._go_back(rule, anchor, now_ms, config, way)

    def _again(self, now_ms: int, config: RollbackConfig, way: Way) -> list[Change]:
        """What is done for a rule that still fires, once it is time."""
        rule, since_ms = next(iter(self._waiting.items()))
        if self._limits.is_cooling(now_ms, config.at_most_every):
            return []
        if self._n_done >= config.attempts:
            return [self._stop(rule, f"{self._n_done} did not help")]
        if self._refusal(now_ms, config) is not None:
            return []
        anchor = way.before(since_ms, self._last_anchor)
        if anchor is None:
            tried = f"{self._n_done} did not help" if self._n_done else "none could be done"
            return [self._stop(rule, f"{tried}, and no older anchor is kept")]
        return [self._go_back(rule, anchor, now_ms, config, way)]

    def _go_back(
        self, rule: str, anchor: str, now_ms: int, config: RollbackConfig, way: Way
    ) -> Change:
        try:
            way.go_back_to(anchor)
        except CheckpointError as err:
            self._last_anchor = anchor  # the next attempt is to an older one
            return _told("refused", rule, str(err))
        self._n_done += 1
        self._last_anchor = anchor
        self._limits.begin(now_ms, config.at_most_per_day)
        self._limits.end(now_ms)
        number = f", attempt {self._n_done} of {config.attempts}" if self._n_done > 1 else ""
        return Change(_REACTION, "done", rule, f"to {anchor}{number}", anchor)

    def _stop(self, rule: str, reason: str) -> Change:
        self._waiting = {}
        self._is_stopped = True
        return _told("stopped", rule, f"{reason}; waits until its rules resolve")

    def _refusal(self, now_ms: int, config: RollbackConfig) -> str | None:
        return self._limits.refusal(now_ms, config.at_most_per_day, config.at_most_every)


def _told(action: Action, rule: str, reason: str) -> Change:
    return Change(_REACTION, action, rule, reason)
