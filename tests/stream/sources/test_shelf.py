import numpy as np
import pytest

from stream.sources.shelf import Shelf

CATEGORY = np.array([1, 0, 1, 2, 1, 0])
WEIGHT = np.array([1.0, 2.0, 3.0, 0.5, 4.0, 6.0])


@pytest.mark.parametrize("category", [0, 1, 2])
def test_items_are_drawn_by_weight_within_the_category(category):
    point_N = (np.arange(8000) + 0.5) / 8000
    item_N = Shelf(CATEGORY, WEIGHT).at(np.full(8000, category), point_N)
    wanted_V = np.where(category == CATEGORY, WEIGHT, 0) / WEIGHT[category == CATEGORY].sum()
    assert np.bincount(item_N, minlength=6) / 8000 == pytest.approx(wanted_V, abs=1e-3)


def test_the_ends_of_a_category_are_its_own():
    category_N = np.repeat([0, 1, 2], 2)
    point_N = np.tile([0.0, np.nextafter(1.0, 0.0)], 3)
    item_N = Shelf(CATEGORY, WEIGHT).at(category_N, point_N)
    assert np.array_equal(CATEGORY[item_N], category_N)


def test_the_members_of_a_category_are_all_its_items():
    assert Shelf(CATEGORY, WEIGHT).members(1).tolist() == [0, 2, 4]
