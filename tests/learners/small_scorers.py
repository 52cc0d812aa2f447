"""Scorers small enough for tests."""

import torch

from learners.item_content import ItemContent, ItemContentConfig
from learners.item_vectors import ItemVectors
from learners.scorer import Scorer
from learners.user_tower import TowerConfig, TowerShape


def item_vectors(config: ItemContentConfig | None = None, width: int = 8) -> ItemVectors:
    """An item tower without items, of few token buckets."""
    return ItemVectors(width, ItemContent(config or ItemContentConfig(tokens=4, token_buckets=16)))


def small_scorer(
    n_items: int = 0,
    *,
    history_items: int = 6,
    layers: int = 1,
    dropout: float = 0.1,
    temperature: float = 8.0,
    seed: int = 0,
    tower: TowerConfig | None = None,
) -> Scorer:
    """A scorer of width 8 that serves, with random item vectors."""
    shape = TowerShape(history_items + 1, 8, layers, heads=2, dropout=dropout)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        scorer = Scorer(item_vectors(), shape, temperature, tower).eval()
        scorer.items.vector_VD = torch.nn.Parameter(torch.randn(n_items, 8))
    scorer.items.n_rows["vector_VD"] = n_items
    return scorer
