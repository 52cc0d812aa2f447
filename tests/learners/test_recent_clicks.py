import numpy as np

from learners.recent_clicks import recent_clicks
from tests.stream_values import make_contexts


def test_the_newest_clicks_of_each_context_come_newest_first() -> None:
    contexts = make_contexts([[1, 2, 3], [], [4]], width=5)
    recent = recent_clicks(contexts, np.array([2, 0, 1, 0]), np.array([3, 2, 3, 0]))
    assert recent.asked_H.tolist() == [0, 1, 1]
    assert recent.age_H.tolist() == [0, 0, 1]
    assert recent.row_H.tolist() == [4, 3, 2]
