import numpy as np

from learners.candidate_scores import Candidates
from learners.ranked import end_to_end, ranked

CANDIDATES = Candidates(
    context_U=np.array([0, 0, 0, 2]),
    row_U=np.array([3, 1, 2, 5], np.int32),
    score_U=np.array([0.5, 2.0, 1.0, 4.0]),
)
TIE_HASH_V = np.arange(6, dtype=np.uint32)


def test_rows_and_scores_are_listed_best_first_and_places_without_a_row_are_marked():
    found = ranked(CANDIDATES, 3, TIE_HASH_V, n=2)
    assert found.row_BN.tolist() == [[1, 2], [-1, -1], [5, -1]]
    assert found.score_BN.tolist() == [[2.0, 1.0], [-np.inf, -np.inf], [4.0, -np.inf]]


def test_the_total_counts_candidates_without_a_place_too():
    found = ranked(CANDIDATES, 3, TIE_HASH_V, n=1)
    assert found.total_B.tolist() == [3.5, 0.0, 4.0]
    assert found.count_B.tolist() == [3, 0, 1]


def test_parts_are_put_end_to_end_and_taken_in_any_order():
    found = ranked(CANDIDATES, 3, TIE_HASH_V, n=2)
    both = end_to_end([found, found], 2).taken(np.array([5, 0]))
    assert both.row_BN.tolist() == [[5, -1], [1, 2]]
    assert both.total_B.tolist() == [4.0, 3.5]


def test_no_part_is_no_query_with_as_many_places():
    assert end_to_end([], 4).row_BN.shape == (0, 4)
