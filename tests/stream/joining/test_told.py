import numpy as np

from stream.joining.growing_columns import GrowingColumns
from stream.joining.told import keep_told, told_before
from stream.values import Predictions

NO_ITEMS = np.zeros((0, 3), np.int32)


def test_what_each_learner_answers_stands_in_its_column_from_the_first_item_on():
    items = GrowingColumns({"probability": (np.float64, 2), "conversion": (np.float64, 2)})
    items.extend(3, probability=np.nan, conversion=np.nan)
    told = {"b": Predictions(NO_ITEMS, np.array([0.1, 0.2]), np.array([0.3, 0.4]))}
    keep_told(items, 1, ["a", "b"], told | {"stranger": Predictions(NO_ITEMS, np.ones(2))})
    np.testing.assert_array_equal(items["probability"][:, 1], [np.nan, 0.1, 0.2])
    np.testing.assert_array_equal(items["conversion"][:, 1], [np.nan, 0.3, 0.4])
    assert np.isnan(items["probability"][:, 0]).all()


def test_a_learner_finds_what_it_had_told_and_a_new_one_nothing():
    items = {"probability": np.array([[0.1, 0.2]]), "conversion": np.array([[0.3, 0.4]])}
    known = told_before(items, ["a", "b"], ["new", "a"])
    np.testing.assert_array_equal(known["probability"], [[np.nan, 0.1]])
    np.testing.assert_array_equal(known["conversion"], [[np.nan, 0.3]])
