import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from learners.candidate_scores import contexts_at_once, seen_rows, summed_votes
from tests.stream_values import make_ragged

VOTES = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 6), st.sampled_from([0.5, 1.0, 2.0])), max_size=40
)
SEEN = st.lists(st.lists(st.integers(0, 6), max_size=4), min_size=4, max_size=4)


@given(votes=VOTES, seen=st.none() | SEEN, n_items=st.integers(1, 7))
def test_votes_are_summed_for_each_item_that_may_be_ranked(
    votes: list[tuple[int, int, float]], seen: list[list[int]] | None, n_items: int
) -> None:
    votes = sorted(votes, key=lambda vote: vote[0])
    context_N, row_N, weight_N = (np.array([vote[i] for vote in votes]) for i in range(3))
    candidates = summed_votes(
        context_N.astype(np.int64),
        row_N.astype(np.int32),
        weight_N.astype(np.float64),
        n_items,
        None if seen is None else make_ragged(seen),
    )
    expected: dict[tuple[int, int], float] = {}
    for context, row, weight in votes:
        if row < n_items and not (seen and row in seen[context]):
            expected[context, row] = expected.get((context, row), 0.0) + weight
    pairs = zip(candidates.context_U.tolist(), candidates.row_U.tolist(), strict=True)
    assert dict(zip(pairs, candidates.score_U.tolist(), strict=True)) == expected
    assert (np.diff(candidates.context_U) >= 0).all()


@given(seen=SEEN, asked=st.lists(st.integers(0, 3), max_size=6))
def test_what_was_seen_follows_the_contexts_asked_for(
    seen: list[list[int]], asked: list[int]
) -> None:
    picked = seen_rows(make_ragged(seen), np.array(asked, np.int64))
    assert picked is not None
    rows = [
        picked.values[start:end].tolist()
        for start, end in zip(picked.starts[:-1], picked.starts[1:], strict=True)
    ]
    assert rows == [seen[context] for context in asked]


def test_a_large_catalogue_is_summed_a_few_contexts_at_a_time() -> None:
    assert contexts_at_once(100) == 256
    assert contexts_at_once(1_000_000) == 4
    assert contexts_at_once(100_000_000) == 1
