import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learners.popularity import Popularity, PopularityConfig
from tests.conformance.learner_contract import LearnerContract
from tests.stream_values import make_changes, make_lessons, make_outcomes, make_queries

N_ITEMS = 8


def make_popularity(half_life_clicks: int = 10) -> Popularity:
    return Popularity(PopularityConfig(half_life_clicks=half_life_clicks))


class TestPopularity(LearnerContract):
    make = staticmethod(make_popularity)


def learn(learner: Popularity, targets: list[int]) -> None:
    learner.learn(make_outcomes(make_lessons([[]] * len(targets), targets)))


def ranking(learner: Popularity, n_items: int = N_ITEMS, **settings: object) -> list[int]:
    queries = make_queries([[]], n_items=n_items, **{"k": n_items, **settings})
    return learner.predict(queries).top_items_BK[0].tolist()


@given(
    batches=st.lists(st.lists(st.integers(0, N_ITEMS - 1), max_size=12), max_size=12),
    half_life_clicks=st.sampled_from([3, 20]),
)
def test_the_ranking_is_that_of_counts_that_halve(
    batches: list[list[int]], half_life_clicks: int
) -> None:
    learner = make_popularity(half_life_clicks)
    for targets in batches:
        learn(learner, targets)
    clicks = [target for targets in batches for target in targets]
    weight = np.zeros(N_ITEMS)
    for age, target in enumerate(reversed(clicks)):
        weight[target] += 0.5 ** (age / half_life_clicks)
    # Rounding may order what is equal but for its last bits either way.
    ranked = weight[ranking(learner)]
    assert (ranked[1:] <= ranked[:-1] * (1 + 1e-12)).all()


def test_a_newer_click_outweighs_an_older_one_after_thousands_of_half_lives() -> None:
    learner = make_popularity(half_life_clicks=1)
    for _ in range(40):
        learn(learner, [4] * 100)
    learn(learner, [2, 6])
    assert ranking(learner)[:3] == [6, 2, 4]
    assert np.isfinite(learner.state_dict()["weight"]).all()


def test_a_batch_longer_than_float64_has_half_lives_is_learned() -> None:
    learner = make_popularity(half_life_clicks=1)
    learn(learner, [0] * 3000 + [3, 3, 5])
    assert ranking(learner)[:3] == [5, 3, 0]


def test_items_that_nobody_clicked_fill_the_list_in_tie_order() -> None:
    learner = make_popularity()
    learn(learner, [2])
    assert ranking(learner, n_items=4, tie_hash=[5, 1, 9, 3]) == [2, 1, 3, 0]


def test_each_user_is_shown_the_best_that_the_user_has_not_seen() -> None:
    learner = make_popularity()
    learn(learner, [0, 0, 0, 1, 1, 2])
    queries = make_queries([[], [], []], n_items=4, k=2, seen=[[0, 0], [], [2, 0, 1]])
    assert learner.predict(queries).top_items_BK.tolist() == [[1, 2], [0, 1], [3, -1]]


def test_rows_past_the_catalogue_are_not_ranked() -> None:
    learner = make_popularity()
    learn(learner, [5, 5, 1])
    assert ranking(learner, n_items=3, k=4) == [1, 0, 2, -1]


def test_a_recycled_row_has_no_clicks() -> None:
    learner = make_popularity()
    learn(learner, [2, 2, 1])
    learner.follow(make_changes(N_ITEMS, recycled=[2]))
    assert ranking(learner, n_items=3) == [1, 0, 2]


def test_a_half_life_of_no_clicks_is_refused() -> None:
    with pytest.raises(ValueError, match="half_life_clicks"):
        PopularityConfig(half_life_clicks=0)
