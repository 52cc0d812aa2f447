import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.events import Click
from stream.sources.merge import merge
from stream.sources.records import Records, joined

FILES = st.lists(st.lists(st.integers(0, 9), max_size=12), min_size=1, max_size=5)


def records(number, times, first=0):
    index = np.arange(first, first + len(times), dtype=np.int64)
    return Records(
        entries=[Click(f"file {number}", str(i), ts) for i, ts in zip(index, times, strict=True)],
        raws=[b""] * len(times),
        file_N=np.full(len(times), number, np.int64),
        ts_N=np.array(times, np.int64),
        number_N=index + 1,
        end_N=index + 1,
        next_number_N=index + 2,
    )


class File:
    """Times of a file, read some at a time; knows how many readings of it are open."""

    open_now = 0
    open_most = 0

    def __init__(self, number, times, chunk, first=0):
        self._number = number
        self._times = times
        self._chunk = chunk
        self._first = first

    def __call__(self):
        File.open_now += 1
        File.open_most = max(File.open_most, File.open_now)
        try:
            for start in range(self._first, len(self._times), self._chunk):
                yield records(self._number, self._times[start : start + self._chunk], start)
        finally:
            File.open_now -= 1


def order(files, chunk=3, firsts=None, can_wait=True):
    """(file, place in the file) in the order of the merge."""
    firsts = firsts or [0] * len(files)
    reads = [File(n, times, chunk, firsts[n]) for n, times in enumerate(files)]
    runs = list(merge(reads, [can_wait and not first for first in firsts]))
    if not runs:
        return []
    merged = joined(runs)
    return list(zip(merged.file_N.tolist(), (merged.end_N - 1).tolist(), strict=True))


def by_heads(files):
    """The merge as it is told: the earliest head goes first, the first file among equals."""
    places = [0] * len(files)
    out = []
    while heads := [(f[places[n]], n) for n, f in enumerate(files) if places[n] < len(f)]:
        _, n = min(heads)
        out.append((n, places[n]))
        places[n] += 1
    return out


@given(files=FILES, chunk=st.integers(1, 5), can_wait=st.booleans())
def test_the_earliest_head_goes_first(files, chunk, can_wait):
    assert order(files, chunk, can_wait=can_wait) == by_heads(files)


@given(files=st.lists(st.lists(st.integers(0, 9)).map(sorted), min_size=1, max_size=4))
def test_sorted_files_merge_into_the_stable_sort_of_them_all(files):
    everything = [(ts, n, i) for n, times in enumerate(files) for i, ts in enumerate(times)]
    assert order(files) == [(n, i) for _, n, i in sorted(everything)]


@given(files=FILES, chunk=st.integers(1, 5))
def test_a_merge_goes_on_from_anywhere(files, chunk):
    whole = by_heads(files)
    for taken in range(len(whole)):
        firsts = [sum(n == number for n, _ in whole[:taken]) for number in range(len(files))]
        assert order(files, chunk, firsts) == whole[taken:]


def test_one_file_keeps_its_own_order():
    assert order([[5, 1, 9, 2]]) == [(0, 0), (0, 1), (0, 2), (0, 3)]


def test_files_of_days_are_open_one_at_a_time():
    File.open_most = 0
    files = [list(range(day * 10, day * 10 + 10)) for day in range(50)]
    assert len(order(files)) == 500
    assert File.open_most <= 2


def test_files_are_closed_when_nobody_reads_on():
    runs = merge([File(0, [1, 3], 1), File(1, [2, 4], 1)], [True, False])
    next(runs)
    assert File.open_now > 0
    runs.close()
    assert File.open_now == 0


def test_an_error_of_a_file_comes_through():
    def broken():
        yield records(0, [1])
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        list(merge([broken, File(1, [2], 1)], [False, False]))
