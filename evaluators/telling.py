"""What of an alert is told, and what is muted."""

from collections.abc import Sequence
from typing import Literal

from stream.notices import AlertState
from stream.values import State

_SCHEMA_VERSION = 1

Change = Literal["muted", "unmuted"]


class Telling:
    """Follows one rule's notices and what mutes them.

    Who was told that a rule fires is told that it is over, muted or not: nothing stays open for
    ever. Who was not told of it is not told of its end either. When a rule still fires and nothing
    mutes it any more, that it fires is told then.

    `muted_by` is what mutes the rule: while it fires as of the last step, else of its last notice.

    Examples
    --------
    >>> telling = Telling()
    >>> telling.of_transition("firing", ["alert:upstream"])
    ['alert:upstream']
    >>> telling.of_firing([])
    'unmuted'
    >>> telling.of_transition("resolved", ["alert:upstream"])
    []
    """

    def __init__(self) -> None:
        self.muted_by: list[str] = []
        # What muted the state that the rule is in; empty where it was told.
        self._untold_by: list[str] = []

    def of_transition(self, state: AlertState, muted_by: Sequence[str]) -> list[str]:
        """What mutes the notice of a transition; empty if it is to be told.

        Parameters
        ----------
        state : str
            The state reached.
        muted_by : sequence of str
            What mutes the rule at this step.
        """
        if state in ("pending", "firing"):
            self._untold_by = list(muted_by)
            self.muted_by = list(muted_by)
            return list(muted_by)
        told = (list(muted_by) or self._untold_by) if self._untold_by else []
        self._untold_by, self.muted_by = [], []
        return told

    def of_firing(self, muted_by: Sequence[str]) -> Change | None:
        """Whether a rule that goes on firing has become muted, or is no longer."""
        before, self.muted_by = self.muted_by, list(muted_by)
        if bool(before) == bool(muted_by):
            return None
        if muted_by:
            return "muted"
        self._untold_by = []
        return "unmuted"

    def state_dict(self) -> State:
        return {
            "schema_version": _SCHEMA_VERSION,
            "muted_by": list(self.muted_by),
            "untold_by": list(self._untold_by),
        }

    def load_state_dict(self, state: State) -> None:
        self.muted_by = list(state["muted_by"])
        self._untold_by = list(state["untold_by"])
