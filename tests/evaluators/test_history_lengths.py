from dataclasses import replace

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from evaluators.history_lengths import HistoryBounds, cohorts_of, length_names
from tests.conformance.evaluator_contract import random_outcomes
from tests.stream_values import make_queries


def test_a_query_belongs_to_the_cohort_of_its_history():
    outcomes = replace(
        random_outcomes(0, n_queries=0), queries=make_queries([[], [0] * 4, [0] * 5, [0] * 6], 1)
    )
    assert cohorts_of(outcomes, (1, 5)).tolist() == [0, 1, 2, 2]
    assert length_names((1, 5)) == ["0", "1-4", "5+"]


def test_queries_that_share_a_context_share_a_cohort():
    queries = make_queries([[], [0, 0]], 1)
    shared = replace(queries, context_of_B=np.array([1, 0, 1], np.int32))
    outcomes = replace(random_outcomes(0, n_queries=0), queries=shared)
    assert cohorts_of(outcomes, (1,)).tolist() == [1, 0, 1]


@pytest.mark.parametrize("bad", [(0,), (5, 1), (1, 1), tuple(range(1, 10)), (-1,)])
def test_bounds_that_make_no_sense_are_refused(bad):
    with pytest.raises(ValidationError, match=r"write for example \[1, 5, 20\]"):
        TypeAdapter(HistoryBounds).validate_python(bad)
