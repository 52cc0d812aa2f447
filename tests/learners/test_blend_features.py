import numpy as np
import pytest

from learners.blend_features import features, n_features, union
from learners.ranked import Ranked
from tests.stream_values import make_contexts


def ranked_of(rows: list[list[int]], scores: list[list[float]], total: list[float]) -> Ranked:
    row_BN = np.array(rows, np.int32)
    score_BN = np.array(scores)
    return Ranked(row_BN, score_BN, np.array(total), (row_BN >= 0).sum(axis=1))


SCORED = ranked_of([[3, 5], [5, 2]], [[2.0, 1.0], [4.0, 3.0]], [2.5, 4.5])
VOTES = ranked_of([[5, -1], [-1, -1]], [[6.0, -np.inf], [-np.inf, -np.inf]], [8.0, 0.0])


def test_the_union_holds_every_row_once_for_each_query_that_any_part_names_it_for():
    joined = union([SCORED.row_BN, VOTES.row_BN], n_items=6)
    assert list(zip(joined.query_U.tolist(), joined.row_U.tolist(), strict=True)) == [
        (0, 3),
        (0, 5),
        (1, 2),
        (1, 5),
    ]
    assert [place.tolist() for place in joined.place_of] == [[0, 1, 3, 2], [1]]


def test_nothing_named_is_an_empty_union():
    joined = union([np.full((2, 3), -1, np.int32)], n_items=0)
    assert len(joined.row_U) == 0


@pytest.fixture(name="found")
def fixture_found():
    joined = union([SCORED.row_BN, VOTES.row_BN], n_items=6)
    scored_U = np.array([2.0, 1.0, 3.0, 4.0])
    contexts = make_contexts([[5, 1, 5], []])
    return features(joined, scored_U, SCORED, [VOTES], contexts)


def test_each_candidate_has_as_many_features_as_are_announced(found):
    assert found.shape == (4, n_features(1))
    assert found.dtype == np.float32
    assert np.isfinite(found).all()


def test_the_transformers_features_are_shares_of_all_items(found):
    log_share = np.array([2.0 - 2.5, 1.0 - 2.5, 3.0 - 4.5, 4.0 - 4.5])
    assert found[:, 0] == pytest.approx(log_share / 4 + 1.5)
    assert found[:, 1] == pytest.approx((log_share - [-0.5, -0.5, -0.5, -0.5]) / 4)
    assert found[:, 3] == pytest.approx(np.log1p([0, 1, 1, 0]) / 4)
    assert found[:, 4] == pytest.approx(np.log1p([3, 3, 0, 0]) / 2)


def test_votes_count_as_shares_and_against_the_best(found):
    assert found[:, 5] == pytest.approx(np.log(np.array([0, 6 / 8, 0, 0]) + 1e-4) / 4 + 1)
    assert found[:, 6].tolist() == [0, 1, 0, 0]
    assert found[:, 8].tolist() == [0, 1, 0, 0]
    assert found[:, 9] == pytest.approx(np.log1p([2, 0, 2, 2]) / 4)  # behind all: as many places


def test_a_candidate_that_was_clicked_is_told_how_often_and_whether_last(found):
    assert found[:, -3].tolist() == [0, 1, 0, 0]
    assert found[:, -2].tolist() == [0, 1, 0, 0]
    assert found[:, -1].tolist() == [0, 1, 0, 0]
