from learners.counting import CountingLearner
from tests.conformance.learner_contract import LearnerContract
from tests.stream_values import make_lessons, make_outcomes, make_queries


class TestCountingLearner(LearnerContract):
    make = staticmethod(CountingLearner)


def test_lessons_are_counted_and_nothing_is_recommended() -> None:
    learner = CountingLearner()
    learner.learn(make_outcomes(make_lessons([[1], [2], []], [4, 4, 5])))
    assert learner.n_lessons == 3
    assert learner.predict(make_queries([[1]], n_items=9, k=2)).top_items_BK.tolist() == [[-1, -1]]
