"""The champion and its shadows: all are asked the same, and taught the same."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol, runtime_checkable

from stream.errors import CheckpointError
from stream.protocols import Learner
from stream.values import Bools, Changes, Lessons, Outcomes, Predictions, Queries, State, Steps


@runtime_checkable
class Adjustable(Protocol):
    """A learner with weights, whose learning can be raised and taken back.

    `adjust` multiplies what was configured, from the next `learn` on; 1 and 1 undo it. `restore`
    takes back the weights of an earlier `state_dict`, those of a row only where it still means
    the same item. Both are part of the state. `steps` goes on counting through all of it.
    """

    @property
    def steps(self) -> Steps: ...

    def adjust(self, replay_factor: float, learning_rate_factor: float) -> None: ...

    def restore(self, state: State, is_same_V: Bools) -> None: ...


@runtime_checkable
class Rehearsing(Protocol):
    """A learner with weights, which gains by going over lessons once more.

    `rehearse` takes lessons that it learned before, in the order given, and moves the weights
    alone: nothing counts or remembers them a second time.
    """

    def rehearse(self, lessons: Lessons) -> None: ...


class Listener(Protocol):
    """Who hears what everyone is taught, and is no part of the state."""

    def learn(self, outcomes: Outcomes) -> None: ...

    def follow(self, changes: Changes) -> None: ...


@runtime_checkable
class Ensemble(Protocol):
    """A learner made up of others, each of which also answers for itself."""

    @property
    def parts(self) -> tuple[str, ...]: ...

    def predict_all(self, queries: Queries) -> tuple[Predictions, dict[str, Predictions]]: ...


class Panel:
    """Learners by name, the champion first.

    A shadow that is a part of the champion is asked and taught through it, and stands still while
    the champion is frozen. One that is served in the champion's place goes on as a shadow.

    Parameters
    ----------
    champion : tuple of str and Learner
        The learner whose predictions are served, and its name.
    shadows : mapping of str to Learner or None
        Learners that predict beside it, to be compared; None for a part of the champion.

    Raises
    ------
    ValueError
        If a shadow has the champion's name, or is to be a part of it that it has not.
    """

    def __init__(
        self, champion: tuple[str, Learner], shadows: Mapping[str, Learner | None]
    ) -> None:
        name, learner = champion
        if name in shadows:
            raise ValueError(f"champion and a shadow are both named {name!r}; names are distinct")
        parts = learner.parts if isinstance(learner, Ensemble) else ()
        for shadow, own in shadows.items():
            if own is None and shadow not in parts:
                raise ValueError(f"{shadow!r} is no part of the champion {name!r}")
        self._names = (name, *shadows)
        self._learners = {name: learner}
        self._learners |= {shadow: own for shadow, own in shadows.items() if own is not None}
        self._champion = name
        self._is_frozen = False
        self._serving = name
        self._listener: Listener | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The learners' names, the champion's first."""
        return self._names

    def predict(self, queries: Queries) -> dict[str, Predictions]:
        """Everyone's predictions, by name, the champion's first."""
        found: dict[str, Predictions] = {}
        for name, learner in self._learners.items():
            asked = queries if name == self._champion else _without_choice(queries)
            if isinstance(learner, Ensemble):
                found[name], parts = learner.predict_all(asked)
                found |= {part: parts[part] for part in parts if part in self._names}
            else:
                found[name] = learner.predict(asked)
        return {name: found[name] for name in self._names}

    def learn(self, outcomes: Outcomes) -> None:
        """Teach everyone; a frozen champion is left out."""
        for name, learner in self._learners.items():
            if not (self._is_frozen and name == self._champion):
                learner.learn(outcomes)
        if self._listener is not None:
            self._listener.learn(outcomes)

    def follow(self, changes: Changes) -> None:
        """Tell everyone how the catalogue and the users moved."""
        for learner in self._learners.values():
            learner.follow(changes)
        if self._listener is not None:
            self._listener.follow(changes)

    def attend(self, listener: Listener | None) -> None:
        """Have somebody hear lessons and changes from now on; None sends whoever did away."""
        self._listener = listener

    @property
    def is_rehearsing(self) -> bool:
        """Whether the champion has weights that gain by a further pass over its lessons."""
        return isinstance(self._learners[self._champion], Rehearsing)

    def rehearse(self, lessons: Lessons) -> None:
        """Have the champion go over lessons that it learned before.

        Raises
        ------
        ValueError
            If the champion has no weights.
        """
        champion = self._learners[self._champion]
        if not isinstance(champion, Rehearsing):
            raise ValueError(f"the champion {self._champion!r} has no weights to rehearse with")
        champion.rehearse(lessons)

    @property
    def is_frozen(self) -> bool:
        """Whether the champion is not taught; it predicts and follows all the same."""
        return self._is_frozen

    def freeze(self, is_frozen: bool) -> None:
        """Stop teaching the champion, or go on; what it misses meanwhile is not made up for."""
        self._is_frozen = is_frozen

    @property
    def serving(self) -> str:
        """The learner whose predictions are served: the champion, unless a shadow stands in."""
        return self._serving

    def serve(self, shadow: str | None) -> None:
        """Have a shadow's predictions served from now on; None has the champion's served again.

        Nobody learns otherwise for it, and nobody is judged under another name.

        Raises
        ------
        ValueError
            If there is no shadow of that name.
        """
        if shadow is not None and shadow not in self._names[1:]:
            raise ValueError(
                f"there is no shadow {shadow!r}; known are {', '.join(self._names[1:]) or 'none'}"
            )
        self._serving = shadow or self._champion

    def served(self, predictions: Mapping[str, Predictions]) -> Predictions:
        """Of everyone's predictions those that users get."""
        return predictions[self._serving]

    @property
    def is_adjustable(self) -> bool:
        """Whether the champion has weights: whether it can be adjusted and restored."""
        return isinstance(self._learners[self._champion], Adjustable)

    @property
    def steps(self) -> Steps | None:
        """The optimizer steps that the champion took; None from one without weights."""
        champion = self._learners[self._champion]
        return champion.steps if isinstance(champion, Adjustable) else None

    def adjust(self, replay_factor: float, learning_rate_factor: float) -> None:
        """Multiply the champion's replay and learning rates as configured; 1 and 1 undo it.

        Raises
        ------
        ValueError
            If the champion is not adjustable, or a factor cannot be used.
        """
        self._adjustable_champion().adjust(replay_factor, learning_rate_factor)

    def restore(self, champion_state: State, is_same_V: Bools) -> None:
        """Take back the champion's weights from an earlier state of its own.

        Parameters
        ----------
        champion_state : State
            The champion's part of an earlier `state_dict`.
        is_same_V : bool array
            For each item now, whether its row meant the same item then.

        Raises
        ------
        ValueError
            If the champion is not adjustable, or `is_same_V` has another length than it has items.
        """
        self._adjustable_champion().restore(champion_state, is_same_V)

    def take_over(self, state: State) -> None:
        """Go on with the learners of another panel, as if no alert had ever touched it.

        Learners that only the other panel has are left behind.

        Raises
        ------
        CheckpointError
            If the other panel has not all of these.
        """
        saved = state["learners"]
        if missing := sorted(set(self._learners) - set(saved)):
            raise CheckpointError(
                f"panel: the checkpoint holds the learners {', '.join(sorted(saved))} but not "
                f"{', '.join(missing)}, which the settings want; name none but those as champion "
                "and shadows"
            )
        for name, learner in self._learners.items():
            learner.load_state_dict(saved[name])
        self.freeze(False)
        self.serve(None)
        if self.is_adjustable:
            self.adjust(1.0, 1.0)

    def state_dict(self) -> State:
        return {
            "schema_version": 2,
            "serving": self._serving,
            "is_frozen": self._is_frozen,
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
        self._is_frozen = state["is_frozen"]
        self._serving = state["serving"]

    def _adjustable_champion(self) -> Adjustable:
        champion = self._learners[self._champion]
        if not isinstance(champion, Adjustable):
            raise ValueError(
                f"the champion {self._champion!r} has no weights that could be adjusted or restored"
            )
        return champion


def _without_choice(queries: Queries) -> Queries:
    """The queries without the question how the learner would choose: it is the champion's."""
    if queries.shown is None or queries.shown.choice is None:
        return queries
    return replace(queries, shown=replace(queries.shown, choice=None))
