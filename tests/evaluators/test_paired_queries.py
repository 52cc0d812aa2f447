from dataclasses import replace

import numpy as np

from evaluators.paired_queries import common_rows
from tests.conformance.evaluator_contract import LEARNERS, outcomes_of


def asked(*pairs):
    """Outcomes of clicks by (user, time)."""
    n = len(pairs)
    outcomes = outcomes_of(
        0,
        {name: np.zeros((n, 20), np.int32) for name in LEARNERS},
        np.arange(n, dtype=np.int32),
        np.array([ts for _, ts in pairs], np.int64),
        1000,
        np.ones(n, np.bool_),
    )
    return replace(outcomes, user_B=np.array([user for user, _ in pairs], np.int64))


def test_queries_of_equal_pipelines_are_paired_row_by_row():
    rows, n_unpaired = common_rows([asked((1, 5), (2, 5)), asked((1, 5), (2, 5))])
    assert [row.tolist() for row in rows] == [[0, 1], [0, 1]]
    assert n_unpaired == 0


def test_a_click_that_one_takes_for_a_repeat_is_left_out():
    rows, n_unpaired = common_rows([asked((1, 5), (2, 6), (1, 9)), asked((1, 5), (1, 9))])
    assert [row.tolist() for row in rows] == [[0, 2], [0, 1]]
    assert n_unpaired == 1


def test_clicks_of_one_user_at_one_instant_are_paired_in_their_order():
    rows, n_unpaired = common_rows([asked((1, 5), (1, 5)), asked((1, 5), (1, 5), (1, 5))])
    assert [row.tolist() for row in rows] == [[0, 1], [0, 1]]
    assert n_unpaired == 1


def test_nothing_in_common_is_no_pair():
    rows, n_unpaired = common_rows([asked((1, 5)), asked()])
    assert [row.tolist() for row in rows] == [[], []]
    assert n_unpaired == 1
