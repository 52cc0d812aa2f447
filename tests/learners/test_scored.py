import numpy as np
import pytest
import torch

from learners.scored import Scored, exclude
from tests.stream_values import make_ragged

N_CONTEXTS, N_ITEMS = 7, 30


def scored(monkeypatch: pytest.MonkeyPatch, cells: int | None) -> tuple[Scored, list[int]]:
    """Scores with ties and seen items; how many contexts were computed at once, each time."""
    generator = torch.Generator().manual_seed(0)
    score_CV = torch.randint(0, 9, (N_CONTEXTS, N_ITEMS), generator=generator).float()
    seen = make_ragged([[c, 2 * c] for c in range(N_CONTEXTS)])
    asked = []

    def scores_of(part: slice) -> torch.Tensor:
        part_CV = score_CV[part].clone()
        exclude(part_CV, seen, part)
        asked.append(len(part_CV))
        return part_CV

    if cells:
        monkeypatch.setattr("learners.scored._MAX_CELLS", cells)
    tie_hash_V = torch.arange(N_ITEMS) * 7 % 5
    return Scored(scores_of, N_CONTEXTS, tie_hash_V, None, cells is not None), asked


@pytest.mark.parametrize("cells", [10, 2 * N_ITEMS, 3 * N_ITEMS + 5])
def test_in_parts_everything_is_as_at_once(monkeypatch, cells):
    parts, asked = scored(monkeypatch, cells)
    whole, asked_at_once = scored(monkeypatch, None)
    context_U, row_U = np.array([6, 0, 3, 6]), np.array([1, 29, 3, 12])
    assert parts.top_items(5).tolist() == whole.top_items(5).tolist()
    assert parts.of(context_U, row_U).tolist() == whole.of(context_U, row_U).tolist()
    assert parts.total().tolist() == whole.total().tolist()
    assert whole.of(context_U, row_U)[3] == -np.inf, "seen items are not ranked"
    assert asked_at_once == [N_CONTEXTS]
    assert max(asked) == max(cells // N_ITEMS, 1)


def test_few_contexts_are_computed_once_for_all_questions(monkeypatch):
    parts, asked = scored(monkeypatch, N_CONTEXTS * N_ITEMS)
    parts.top_items(3)
    parts.total()
    assert asked == [N_CONTEXTS]
