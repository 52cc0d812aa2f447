"""The champion and its shadows: all are asked the same, and taught the same."""

from collections.abc import Mapping

from stream.errors import CheckpointError
from stream.protocols import Learner
from stream.values import Changes, Outcomes, Predictions, Queries, State


class Panel:
    """Learners by name, the champion first.

    Parameters
    ----------
    champion : tuple of str and Learner
        The learner whose predictions are served, and its name.
    shadows : mapping of str to Learner
        Learners that predict beside it, to be compared.

    Raises
    ------
    ValueError
        If a shadow has the champion's name.
    """

    def __init__(self, champion: tuple[str, Learner], shadows: Mapping[str, Learner]) -> None:
        name, learner = champion
        if name in shadows:
            raise ValueError(f"champion and a shadow are both named {name!r}; names are distinct")
        self._learners = {name: learner, **shadows}

    @property
    def names(self) -> tuple[str, ...]:
        """The learners' names, the champion's first."""
        return tuple(self._learners)

    def predict(self, queries: Queries) -> dict[str, Predictions]:
        """Everyone's predictions, by name, the champion's first."""
        return {name: learner.predict(queries) for name, learner in self._learners.items()}

    def learn(self, outcomes: Outcomes) -> None:
        """Teach everyone."""
        for learner in self._learners.values():
            learner.learn(outcomes)

    def follow(self, changes: Changes) -> None:
        """Tell everyone how the catalogue and the users moved."""
        for learner in self._learners.values():
            learner.follow(changes)

    def state_dict(self) -> State:
        return {
            "schema_version": 1,
            "learners": {name: learner.state_dict() for name, learner in self._learners.items()},
        }

    def load_state_dict(self, state: State) -> None:
        saved = state["learners"]
        if set(saved) != set(self._learners):
            raise CheckpointError(
                f"panel: the checkpoint holds the learners {', '.join(sorted(saved))} but the"
                f" settings want {', '.join(sorted(self._learners))}; name the same learners or use"
                " an empty checkpoint.dir"
            )
        for name, learner in self._learners.items():
            learner.load_state_dict(saved[name])
