import math

import numpy as np
import pytest

from learners.session_neighbours import SessionNeighbours, SessionNeighboursConfig
from tests.conformance.learner_contract import LearnerContract
from tests.conformance.stateful_contract import assert_same_bits
from tests.stream_values import make_changes, make_lessons, make_outcomes, make_queries

N_ITEMS = 10


def make_learner(**settings: int) -> SessionNeighbours:
    return SessionNeighbours(SessionNeighboursConfig(**settings))


class TestSessionNeighbours(LearnerContract):
    make = staticmethod(lambda: make_learner(max_sessions=9, session_items=4, sample_sessions=6))


class TestSessionNeighboursThatKeepAll(LearnerContract):
    make = staticmethod(make_learner)


def learn_sessions(learner: SessionNeighbours, sessions: list[list[int]], first: int = 0) -> None:
    """Each session as its own batch, click by click; the user has the session's number."""
    for number, rows in enumerate(sessions, start=first):
        histories = [rows[:i] for i in range(len(rows))]
        learner.learn(make_outcomes(make_lessons(histories, rows, [number] * len(rows))))


def top_items(learner: SessionNeighbours, current: list[int], **settings: object) -> list[int]:
    queries = make_queries([current], **{"n_items": N_ITEMS, "k": 4, **settings})
    return learner.predict(queries).top_items_BK[0].tolist()


def scores_by_hand(
    sessions: list[list[int]], current: list[int], n_sample: int, n_neighbours: int
) -> dict[int, float]:
    """The method as it is written down, one session after the other."""
    age_of: dict[int, int] = {}
    for age, row in enumerate(reversed(current[-10:])):
        age_of.setdefault(row, age)
    similar = [
        (sum((1 - age / 10) ** 2 for row, age in age_of.items() if row in rows), seq)
        for seq, rows in enumerate(sessions)
        if set(rows) & set(age_of)
    ]
    similar = sorted(similar, key=lambda pair: -pair[1])[:n_sample]
    freshness = {seq: (10 + n_newer) ** -0.3 for n_newer, (_, seq) in enumerate(similar)}
    scores: dict[int, float] = {}
    for similarity, seq in sorted(similar, key=lambda pair: (-pair[0], -pair[1]))[:n_neighbours]:
        rows = sessions[seq]
        shared = min((row for row in rows if row in age_of), key=lambda row: age_of[row])
        weight = similarity * (1 - age_of[shared] / 10) ** 2 * freshness[seq]
        for place, row in enumerate(rows):
            distance = place - rows.index(shared)
            closeness = (1 + abs(distance)) ** (-0.75 if distance >= 0 else -1.0)
            n_holders = sum(row in other for other in sessions)
            rarity = math.log1p(len(sessions) / n_holders)
            scores[row] = scores.get(row, 0.0) + weight * closeness * rarity
    return scores


@pytest.mark.parametrize("seed", range(30))
def test_the_ranking_is_that_of_the_method_written_out(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sessions = [
        rng.permutation(N_ITEMS)[: rng.integers(1, 5)].tolist() for _ in range(rng.integers(1, 25))
    ]
    learner = make_learner(sample_sessions=7, neighbours=4)
    learn_sessions(learner, sessions)
    for length in (1, 3, 13):
        current = rng.integers(0, N_ITEMS, length).tolist()
        scores = scores_by_hand(sessions, current, n_sample=7, n_neighbours=4)
        listed = top_items(learner, current, k=N_ITEMS)
        listed = listed[: listed.index(-1)] if -1 in listed else listed
        assert set(listed) == set(scores)
        ranked = np.array([scores[row] for row in listed])
        # Sums in another order may differ in their last bits, and so may the order of equals.
        assert (ranked[1:] <= ranked[:-1] * (1 + 1e-9)).all()


def test_only_the_current_session_is_compared() -> None:
    learner = make_learner()
    learn_sessions(learner, [[1, 2], [5, 6]])
    assert top_items(learner, [1, 5], session_lengths=[1]) == [5, 6, -1, -1]


def test_a_session_without_clicks_is_answered_with_an_empty_list() -> None:
    learner = make_learner()
    learn_sessions(learner, [[1, 2], [5, 6]])
    assert top_items(learner, [1, 5], session_lengths=[0]) == [-1, -1, -1, -1]


def test_queries_of_one_context_differ_by_the_length_of_their_session() -> None:
    learner = make_learner()
    learn_sessions(learner, [[1, 2], [5, 6]])
    queries = make_queries([[1, 5], [1, 5]], n_items=N_ITEMS, k=4, session_lengths=[2, 1])
    assert set(learner.predict(queries).top_items_BK[0].tolist()) == {1, 2, 5, 6}
    assert set(learner.predict(queries).top_items_BK[1].tolist()) == {5, 6, -1}


def test_seen_items_and_items_past_the_catalogue_are_left_out() -> None:
    learner = make_learner()
    learn_sessions(learner, [[1, 2, 8], [1, 3]])
    assert top_items(learner, [1], seen=[[1, 2]], n_items=5) == [3, -1, -1, -1]


def test_a_click_is_known_to_the_next_query() -> None:
    learner = make_learner()
    learn_sessions(learner, [[1, 2]])
    learner.learn(make_outcomes(make_lessons([[1, 2]], [3], sessions=[0])))
    assert 3 in top_items(learner, [2])


def test_a_learner_whose_rows_were_all_recycled_ranks_as_one_that_never_learned_them() -> None:
    past = [[1, 2, 3], [2, 3], [4, 1]]
    learner, fresh = make_learner(), make_learner()
    learn_sessions(learner, past)
    learner.follow(make_changes(N_ITEMS, recycled=range(N_ITEMS)))
    assert top_items(learner, [1, 2]) == [-1, -1, -1, -1]
    future = [[1, 5, 2], [5, 3], [2, 5]]
    learn_sessions(learner, future, first=10)
    learn_sessions(fresh, future, first=10)
    assert top_items(learner, [1, 2]) == top_items(fresh, [1, 2])


def test_sessions_of_a_forgotten_user_no_longer_vote() -> None:
    learner = make_learner()
    learn_sessions(learner, [[1, 2], [1, 3]])
    learner.follow(make_changes(N_ITEMS, forgotten=[0]))
    assert top_items(learner, [1]) == [1, 3, -1, -1]


def test_large_catalogues_are_answered_as_small_ones() -> None:
    rng = np.random.default_rng(1)
    learner = make_learner()
    learn_sessions(learner, [rng.integers(0, 50, 4).tolist() for _ in range(40)])
    histories = [rng.integers(0, 50, 3).tolist() for _ in range(20)]
    small = learner.predict(make_queries(histories, n_items=50, k=10))
    large = learner.predict(make_queries(histories, n_items=1_500_000, k=10))
    assert_same_bits(large, small)
