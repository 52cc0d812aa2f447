"""Beside what `test_experience.py` asks of them through the figures."""

import numpy as np
import pytest

from evaluators.exposure import PLACE_UNIT, GroupExposure, ItemExposure
from evaluators.item_groups import GroupsConfig, ItemGroups
from evaluators.list_windows import ListRing
from evaluators.windows import WindowSizes
from tests.stream_values import make_changes

N_ITEMS = 5


def item_exposure(fade: float, n_lists: int) -> ItemExposure:
    """Lists that hold row 0 first, and another row in turn."""
    groups = ItemGroups(GroupsConfig())
    groups.follow(make_changes(N_ITEMS))
    ring = ListRing(WindowSizes(events=8, time_ms=60_000, fade=fade))
    items = ItemExposure(8, 2, groups)
    items.follow(make_changes(N_ITEMS))
    for number in range(n_lists):
        items.add(ring.add(1), np.array([[0, 1 + number % 4]], np.int32))
    return items


def test_what_fades_fast_neither_vanishes_nor_overflows():
    faded = item_exposure(fade=1e-7, n_lists=60).over("faded", N_ITEMS)
    assert faded == pytest.approx([1 + 1e-7, 1e-21, 1e-14, 1e-7, 1.0], rel=1e-9)


def test_only_the_items_that_are_there_are_told_of():
    assert item_exposure(0.5, 4).over("total", n_items=3).tolist() == [4, 1, 1]


def test_many_rows_are_counted_like_few():
    """A table that is large against the lists is added to in another way."""
    groups = ItemGroups(GroupsConfig())
    for n_items in (N_ITEMS, 5_000):
        groups.follow(make_changes(n_items))
        items = ItemExposure(8, 2, groups)
        items.follow(make_changes(n_items))
        ring = ListRing(WindowSizes(events=8, time_ms=60_000, fade=0.5))
        for number in range(12):
            items.add(ring.add(1), np.array([[0, 1 + number % 4]], np.int32))
        assert items.over("events", N_ITEMS).tolist() == [8, 2, 2, 2, 2]
        assert items.over("total", N_ITEMS).tolist() == [12, 3, 3, 3, 3]


def test_a_window_that_nobody_knows_is_refused():
    with pytest.raises(ValueError, match="day"):
        item_exposure(0.5, 1).over("day", N_ITEMS)


def test_a_place_weighs_as_in_ndcg():
    exposure = GroupExposure(n_places=4, k=3, n_groups=3)
    ring = ListRing(WindowSizes(events=4, time_ms=60_000, fade=0.5))
    exposure.add(ring.add(1), np.array([[1, 2, 1]], np.uint8))
    weights = [0, PLACE_UNIT + PLACE_UNIT // 2, round(PLACE_UNIT / np.log2(3))]
    assert exposure.over("total").tolist() == weights
