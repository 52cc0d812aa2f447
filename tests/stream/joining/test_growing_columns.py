import numpy as np

from stream.joining.growing_columns import GrowingColumns


def made() -> GrowingColumns:
    columns = GrowingColumns({"ts": np.int64, "told": (np.float64, 2)})
    columns.extend(2, ts=[5, 6], told=[[0.1, 0.2], [0.3, 0.4]])
    columns.extend(1, ts=[7], told=np.nan)
    return columns


def test_rows_are_added_behind_and_one_value_fills_a_column():
    columns = made()
    assert columns["ts"].tolist() == [5, 6, 7]
    np.testing.assert_array_equal(columns["told"], [[0.1, 0.2], [0.3, 0.4], [np.nan] * 2])


def test_kept_rows_stand_in_the_order_given():
    columns = made()
    columns.keep(np.array([2, 0]))
    columns.extend(1, ts=9, told=0.0)
    assert columns["ts"].tolist() == [7, 5, 9]


def test_a_column_given_out_may_be_written_to():
    columns = made()
    columns["ts"][1] = 60
    assert columns["ts"].tolist() == [5, 60, 7]


def test_a_state_holds_the_rows_in_use_alone():
    columns, other = made(), GrowingColumns({"ts": np.int64, "told": (np.float64, 2)})
    other.load_state_dict(columns.state_dict())
    assert len(columns.state_dict()["ts"]) == 3
    assert len(other) == 3
    assert other["ts"].tolist() == [5, 6, 7]


def test_a_column_may_have_no_width():
    columns = GrowingColumns({"told": (np.float64, 0)})
    columns.extend(3, told=np.nan)
    assert columns["told"].shape == (3, 0)
    assert columns["told"].dtype == np.float64
