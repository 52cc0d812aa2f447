import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stream.events import Click
from stream.sources.records import Records, joined, times
from stream.values import DeadLetter

LETTER = DeadLetter("f:1", "broken", b"")


def records(n, first=0):
    index = np.arange(first, first + n, dtype=np.int64)
    return Records(
        entries=[Click("u", str(i), int(i)) for i in index],
        raws=[b"%d" % i for i in index],
        file_N=index,
        ts_N=index,
        number_N=index + 1,
        end_N=index + 2,
        next_number_N=index + 3,
    )


def as_plain(some):
    names = ("file_N", "ts_N", "number_N", "end_N", "next_number_N")
    columns = [getattr(some, name).tolist() for name in names]
    return some.entries, list(some.raws), columns


@given(n=st.integers(0, 9), cut=st.integers(0, 9))
def test_parts_joined_are_the_whole(n, cut):
    whole = records(n)
    again = joined([whole.part(0, cut), whole.part(cut, n)])
    assert as_plain(again) == as_plain(whole)


def test_columns_move_together():
    picked = records(3).pick(np.array([2, 0]))
    assert as_plain(picked) == (
        [Click("u", "2", 2), Click("u", "0", 0)],
        [b"2", b"0"],
        [[2, 0], [2, 0], [3, 1], [4, 2], [5, 3]],
    )


def test_a_bad_record_has_the_time_of_the_one_before():
    entries = [LETTER, Click("u", "a", 9), LETTER, LETTER, Click("u", "b", 4), LETTER]
    assert times(entries, ts_before_ms=3).tolist() == [3, 9, 9, 9, 4, 4]


def test_times_of_good_records_are_their_own():
    assert times([Click("u", "a", 9), Click("u", "b", 4)], ts_before_ms=3).tolist() == [9, 4]
