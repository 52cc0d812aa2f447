import numpy as np
import pytest

from learners.item_neighbours import ItemNeighbours, ItemNeighboursConfig
from tests.conformance.learner_contract import LearnerContract
from tests.conformance.stateful_contract import assert_same_bits
from tests.stream_values import make_changes, make_lessons, make_outcomes, make_queries

N_ITEMS = 8


def make_learner(**settings: float) -> ItemNeighbours:
    return ItemNeighbours(ItemNeighboursConfig(**settings))


class TestItemNeighbours(LearnerContract):
    make = staticmethod(make_learner)


class TestItemNeighboursInANarrowTable(LearnerContract):
    make = staticmethod(lambda: make_learner(neighbours=2, window_items=2, context_items=3))


def learn(learner: ItemNeighbours, histories: list[list[int]], targets: list[int]) -> None:
    learner.learn(make_outcomes(make_lessons(histories, targets)))


def top_items(learner: ItemNeighbours, history: list[int], **settings: object) -> list[int]:
    queries = make_queries([history], **{"n_items": N_ITEMS, "k": 4, **settings})
    return learner.predict(queries).top_items_BK[0].tolist()


@pytest.mark.parametrize("seed", range(20))
def test_the_ranking_is_that_of_weighted_co_clicks_counted_by_hand(seed: int) -> None:
    rng = np.random.default_rng(seed)
    learner = make_learner(window_items=3, context_items=2, shrinkage_clicks=1.5)
    weight, n_clicks = np.zeros((N_ITEMS, N_ITEMS)), np.zeros(N_ITEMS)
    for _ in range(5):
        histories = [rng.integers(0, N_ITEMS, n).tolist() for n in rng.integers(0, 6, 10)]
        targets = rng.integers(0, N_ITEMS, 10).tolist()
        learn(learner, histories, targets)
        for history, target in zip(histories, targets, strict=True):
            n_clicks[target] += 1
            for age, row in enumerate(reversed(history[-3:])):
                weight[row, target] += (1 + age) ** -0.5
                if row != target:
                    weight[target, row] += 0.5 * (1 + age) ** -0.5
    rarity = (np.maximum(n_clicks, 1) + 1.5) ** -0.5
    history = rng.integers(0, N_ITEMS, 4).tolist()
    scores = sum(
        (1 + age) ** -0.5 * rarity[row] * weight[row] * rarity
        for age, row in enumerate(reversed(history[-2:]))
    )
    listed = top_items(learner, history, k=N_ITEMS)
    listed = listed[: listed.index(-1)] if -1 in listed else listed
    assert set(listed) == set(np.flatnonzero(scores).tolist())
    # Weights are kept as float32: what is nearly equal may stand in either order.
    assert (scores[listed][1:] <= scores[listed][:-1] * (1 + 1e-5)).all()


def test_both_items_of_a_pair_become_neighbours() -> None:
    learner = make_learner()
    learn(learner, [[1], [2]], [4, 5])
    assert top_items(learner, [1]) == [4, -1, -1, -1]
    assert top_items(learner, [4]) == [1, -1, -1, -1]


def test_an_item_that_users_come_back_to_is_its_own_neighbour() -> None:
    learner = make_learner()
    learn(learner, [[3], [3]], [3, 3])
    assert top_items(learner, [3]) == [3, -1, -1, -1]


def test_clicks_before_the_window_are_no_neighbours() -> None:
    learner = make_learner(window_items=2)
    learn(learner, [[1, 2, 3]], [4])
    assert top_items(learner, [4]) == [3, 2, -1, -1]


def test_seen_items_and_items_past_the_catalogue_are_left_out() -> None:
    learner = make_learner()
    learn(learner, [[1], [1], [1]], [2, 3, 7])
    assert top_items(learner, [1], seen=[[2]], n_items=5) == [3, -1, -1, -1]


def test_a_history_row_that_was_never_learned_has_no_neighbours() -> None:
    assert top_items(make_learner(), [6]) == [-1, -1, -1, -1]


def test_a_learner_whose_rows_were_all_recycled_ranks_as_one_that_never_learned_them() -> None:
    learner, fresh = make_learner(neighbours=2), make_learner(neighbours=2)
    learn(learner, [[1], [1, 2]] + [[2]] * 50, [2, 3] + [3] * 50)
    learner.follow(make_changes(N_ITEMS, recycled=range(N_ITEMS)))
    assert top_items(learner, [1]) == [-1, -1, -1, -1]
    for each in (learner, fresh):
        learn(each, [[1], [1], [1], [2]], [3, 3, 5, 1])
    assert top_items(learner, [1]) == top_items(fresh, [1]) == [3, 5, -1, -1]


def test_large_catalogues_are_answered_as_small_ones() -> None:
    rng = np.random.default_rng(1)
    learner = make_learner()
    histories = [rng.integers(0, N_ITEMS, 3).tolist() for _ in range(20)]
    learn(learner, histories, rng.integers(0, N_ITEMS, 20).tolist())
    small = learner.predict(make_queries(histories, n_items=N_ITEMS, k=10))
    large = learner.predict(make_queries(histories, n_items=1_500_000, k=10))
    assert_same_bits(large, small)
