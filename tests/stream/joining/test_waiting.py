import numpy as np
import pytest

from stream.joining.waiting import Waiting
from tests.conformance.stateful_contract import StatefulContract


def filled() -> Waiting:
    table = Waiting({"user": np.int64}, ["request"])
    table.add(np.array([3, 8]), {"user": [30, 80]}, {"request": ["three", "eight"]})
    table.add(np.array([2, 8]), {"user": [20, 81]}, {"request": ["two", None]})
    return table


def test_rows_are_taken_by_time_and_then_by_arrival():
    table = filled()
    assert table.take_until(3).tolist() == [2, 0]
    assert table.take_oldest(1).tolist() == [1]
    assert table.take_oldest(9).tolist() == [3]
    assert len(table) == 0


def test_a_row_that_was_dropped_is_taken_no_more():
    table = filled()
    table.drop(np.array([2, 0, 2]))
    assert len(table) == 2
    assert table.take_oldest(2).tolist() == [1, 3]


def test_what_is_taken_stays_readable_until_it_is_cleared_away():
    table = filled()
    taken = table.take_until(3)
    assert table.array("user")[taken].tolist() == [20, 30]
    assert [table.texts["request"][place] for place in taken.tolist()] == ["two", "three"]


def test_clearing_away_gives_new_places_in_order_of_arrival():
    table = filled()
    table.take_until(2)
    assert table.clear_away().tolist() == [0, 1, 3]
    assert table.texts["request"] == ["three", "eight", None]
    assert table.waiting().tolist() == [0, 1, 2]
    assert table.take_oldest(2).tolist() == [0, 1]


@pytest.mark.parametrize(("n_gone", "is_sparse"), [(1_024, False), (1_025, True)])
def test_it_is_sparse_when_more_is_gone_than_waits(n_gone, is_sparse):
    table = Waiting({})
    table.add(np.arange(1_030), {}, {})
    table.take_oldest(n_gone)
    assert table.is_sparse == is_sparse


class TestWaitingState(StatefulContract):
    make = staticmethod(lambda: Waiting({"user": np.int64}, ["request"]))

    @staticmethod
    def drive(obj: Waiting, step: int) -> object:
        ts = np.array([10 * step - 12 * (step % 2), 10 * step + 3])
        obj.add(ts, {"user": step}, {"request": [f"r{step}", None]})
        requests = [obj.texts["request"][place] for place in obj.take_oldest(step % 3).tolist()]
        obj.clear_away()
        return requests, len(obj)
