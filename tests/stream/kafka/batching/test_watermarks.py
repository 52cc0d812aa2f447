import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.kafka.batching.watermarks import PartitionTime, Standing, by_partition, stream_time

standings = st.lists(
    st.builds(Standing, st.integers(0, 50), st.booleans(), st.floats(0, 60)), max_size=5
)


@given(runs=st.lists(st.lists(st.integers(0, 99), max_size=60), max_size=6))
def test_the_time_of_a_partition_never_goes_back_nor_ahead_of_all(runs):
    time, largest = PartitionTime(20), 0
    for run in runs:
        before = time.ts_ms
        time.observe(np.array(run, np.int64))
        largest = max([largest, *run])
        assert before <= time.ts_ms <= largest


@pytest.mark.parametrize("n_wrong", [1, 2])
def test_one_wrong_clock_moves_no_time_whatever_the_batches_are_cut_to(n_wrong):
    time = PartitionTime(500)
    for ts_ms in [*range(100, 150), *[9_000] * n_wrong, 150]:
        time.observe(np.array([ts_ms]))
    assert time.ts_ms == (150 if n_wrong == 1 else 132 + 500)  # the median, and what it may


@pytest.mark.parametrize("ts_ms", [0, 50])
def test_a_record_alone_is_not_believed_and_two_are(ts_ms):
    time = PartitionTime(500, ts_ms)
    time.observe(np.array([70]))
    assert time.ts_ms == ts_ms
    time.observe(np.array([71]))
    assert time.ts_ms == 70


def test_a_first_record_of_years_ahead_does_not_stop_time():
    time = PartitionTime(500)
    for ts_ms in [9_000_000, 70, 71]:
        time.observe(np.array([ts_ms]))
    assert time.ts_ms == 71


@pytest.mark.parametrize("is_resumed", [True, False])
def test_time_follows_a_stream_that_was_silent_for_long(is_resumed):
    time = PartitionTime(500, 100 if is_resumed else 0)
    if not is_resumed:
        time.observe(np.arange(61, 101))
    for ts_ms in range(9_000, 9_024):
        time.observe(np.array([ts_ms]))
    assert time.ts_ms == 9_022


@given(known=standings, before=st.integers(0, 60))
def test_the_time_of_the_stream_never_goes_back_nor_ahead_of_all(known, before):
    assert before <= stream_time(known, 30.0, before)
    assert stream_time(known, 30.0, before) <= max([before, *(one.ts_ms for one in known)])


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ([Standing(40, False, 29)], 40),  # silent, and not for long
        ([Standing(40, False, 30)], 90),  # silent for long: excused
        ([Standing(40, True, 99)], 40),  # behind, however long nothing came
        ([Standing(0, False, 0)], 90),  # never had a record
        ([Standing(0, True, 0)], 0),  # has one that nobody read
    ],
)
def test_who_is_waited_for(others, expected):
    assert stream_time([Standing(90, False, 0), *others], 30, 0) == expected


def test_when_all_are_silent_the_furthest_counts():
    assert stream_time([Standing(90, False, 99), Standing(40, False, 99)], 30, 10) == 90


@given(st.dictionaries(st.sampled_from("abcd"), st.lists(st.integers(), max_size=4)))
def test_a_column_falls_into_the_parts_it_was_made_of(parts):
    column = np.array([value for part in parts.values() for value in part], object)
    lengths = {name: len(part) for name, part in parts.items()}
    assert {name: part.tolist() for name, part in by_partition(column, lengths).items()} == parts
