import math

import numpy as np
import pytest
import torch

from learners.asker_vectors import AskerVectors
from stream.asker_values import Askers
from stream.input_settings import InputsConfig
from stream.values import Contexts
from tests.stream_values import make_contexts

INPUTS = InputsConfig.model_validate(
    {
        "context": {"device": "category", "load": "number"},
        "profile": {"words": 3, "attributes": {"age": "number"}},
        "token_buckets": 9,
    }
)
Asker = tuple[list[int], list[float]]
NOBODY: Asker = ([-1] * 4, [0, 0])


def vectors() -> AskerVectors:
    found = AskerVectors(2, INPUTS)
    with torch.no_grad():
        found.token_HD.copy_(torch.arange(18.0).reshape(9, 2))
        found.number_FD.copy_(torch.tensor([[100.0, 0.0], [0.0, 100.0]]))
    return found


def asked(histories: list[list[int]], *rows: Asker) -> Contexts:
    contexts = make_contexts(histories)
    askers = Askers(
        np.array([tokens for tokens, _ in rows], np.int32).reshape(-1, 4),
        np.array([numbers for _, numbers in rows], np.float32).reshape(-1, 2),
    )
    return Contexts(contexts.history_CT, contexts.length_C, askers=askers)


def test_profile_and_request_add_up():
    lean = vectors().leans(asked([[]], ([1, -1, -1, 4], [0.5, 0.25])))
    assert lean.tolist() == [[2 + 50 + 8, 3 + 9 + 25]]


def test_words_count_as_one_over_the_root_of_their_number():
    lean = vectors().leans(asked([[]], ([1, 2, -1, -1], [0, 0])))
    np.testing.assert_allclose(lean.detach(), [[6 / math.sqrt(2), 8 / math.sqrt(2)]], rtol=1e-6)


def test_a_profile_counts_less_after_clicks_and_a_request_does_not():
    rows = ([1, -1, -1, -1], [0, 0]), ([-1, -1, -1, 1], [0, 0])
    profile, request = vectors().leans(asked([[5, 5, 5]] * 2, *rows)).tolist()
    assert (profile, request) == ([1, 1.5], [2, 3])


def test_who_is_not_known_is_anybody():
    found = vectors()
    assert not found.leans(asked([[], [3]], NOBODY, NOBODY)).any()
    with torch.no_grad():
        found.anybody_D.fill_(7.0)
    assert found.leans(asked([[]], NOBODY)).tolist() == [[7, 7]]
    assert found.leans(make_contexts([[3]])).tolist() == [[7, 7]]


def test_before_anything_was_learned_nothing_leans():
    contexts = asked([[1, 2]], ([1, 2, 3, 4], [0.5, 0.25]))
    fresh = AskerVectors(2, INPUTS)
    assert not fresh.leans(contexts).any()
    assert not fresh.leans_before_items(contexts).any()


def test_before_its_last_item_a_sequence_leans_as_its_context_does():
    """What was asked is what is replayed; the request of the items before is not known."""
    row = ([1, 2, -1, 4], [0.5, 0.25])
    found = vectors()
    lean = found.leans_before_items(asked([[5, 6, 7], [8]], row, row))
    assert lean.shape == (4, 2)
    expected = found.leans(asked([[5, 6], []], row, row))
    np.testing.assert_allclose(lean[[2, 3]].detach(), expected.detach(), rtol=1e-6)
    without = found.leans(asked([[], [5]], *[([*row[0][:3], -1], [0.5, 0])] * 2))
    np.testing.assert_allclose(lean[:2].detach(), without.detach(), rtol=1e-6)


def test_tokens_that_nobody_has_learn_nothing():
    found = vectors()
    found.leans(asked([[], []], ([1, 2, -1, -1], [0, 0]), NOBODY)).sum().backward()
    assert found.token_HD.grad is not None
    assert torch.nonzero(found.token_HD.grad.any(dim=1)).flatten().tolist() == [1, 2]


@pytest.mark.parametrize("width", [2, 64])
def test_no_contexts_have_no_leans(width):
    found = AskerVectors(width, INPUTS)
    assert found.leans(asked([])).shape == (0, width)
    assert found.leans_before_items(make_contexts([])).shape == (0, width)
