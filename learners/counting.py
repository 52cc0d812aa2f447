"""A learner that costs nothing: what remains is the speed of the loop around it.

# B queries, K list length
"""

import numpy as np

from stream.values import Changes, Outcomes, Predictions, Queries, State


class CountingLearner:
    """Recommends nothing and counts what it was given to learn.

    Attributes
    ----------
    n_lessons : int
        Lessons so far.

    Examples
    --------
    >>> CountingLearner().n_lessons
    0
    """

    def __init__(self) -> None:
        self.n_lessons = 0

    def predict(self, queries: Queries) -> Predictions:
        return Predictions(np.full((len(queries), queries.k), -1, np.int32))

    def learn(self, outcomes: Outcomes) -> None:
        self.n_lessons += len(outcomes.lessons)

    def follow(self, changes: Changes) -> None:
        """Nothing is held by row or by user."""

    def state_dict(self) -> State:
        return {"schema_version": 1, "n_lessons": self.n_lessons}

    def load_state_dict(self, state: State) -> None:
        self.n_lessons = state["n_lessons"]
