import pytest

from stream.reporting.reliability import Bin, reliability_bins

LISTS = {"predicted": [0.2, 0.1, 0.3], "observed": [0.25, 0.1, 0.0], "samples": [5, 9, 0]}
ROWS = [
    {"predicted": p, "observed": o, "samples": n} for p, o, n in zip(*LISTS.values(), strict=True)
]
EXPECTED = [Bin(0.1, 0.1, 9.0), Bin(0.2, 0.25, 5.0)]


@pytest.mark.parametrize(
    "value",
    [
        LISTS,
        ROWS,
        [list(row.values()) for row in ROWS],
        {"total": ROWS},
        {"other": [], "me": LISTS},
    ],
)
def test_bins_are_read_in_every_shape_by_prediction_and_without_empty_ones(value):
    assert reliability_bins(value, champion="me") == EXPECTED


@pytest.mark.parametrize(
    "value",
    [None, {}, [], 7, {"predicted": [0.1]}, [{"predicted": 0.1}], [[1, 2]], [7], {"a": 3}],
)
def test_what_is_no_curve_has_no_bins(value):
    assert reliability_bins(value) == []


def test_a_bin_that_holds_no_number_is_left_out():
    rows = [{"predicted": None, "observed": None, "samples": 3}, ROWS[1]]
    assert reliability_bins(rows) == EXPECTED[:1]
