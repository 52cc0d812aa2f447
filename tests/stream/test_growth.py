import numpy as np

from stream.growth import grown


def test_an_array_that_is_long_enough_is_handed_back():
    array = np.array([1, 2, 3])
    assert grown(array, 3, cap=10) is array


def test_growth_doubles_up_to_the_cap():
    array = np.arange(6).reshape(3, 2)
    larger = grown(array, 4, cap=10)
    assert larger.tolist() == [[0, 1], [2, 3], [4, 5], [0, 0], [0, 0], [0, 0]]
    assert len(grown(larger, 7, cap=10)) == 10
