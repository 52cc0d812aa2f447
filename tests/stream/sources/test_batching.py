import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from stream.events import Click, User
from stream.sources.batching import BatchConfig, as_batch, cut, to_batch, without_far_future
from stream.sources.records import Records, times
from stream.values import DeadLetter


def records(entries, first=0):
    index = np.arange(first, first + len(entries), dtype=np.int64)
    return Records(
        entries=list(entries),
        raws=[b"raw %d" % i for i in index],
        file_N=np.zeros(len(entries), np.int64),
        ts_N=times(entries, 0),
        number_N=index + 1,
        end_N=index + 1,
        next_number_N=index + 2,
    )


def batch_of(entries, watermark_ms=0, max_ahead_ms=1000):
    return to_batch(3, records(entries), ["f"], watermark_ms, max_ahead_ms, {"f": {"offset": 9}})


@given(
    sizes=st.lists(st.integers(0, 7), max_size=8),
    n_records=st.integers(1, 6),
    limit=st.none() | st.integers(0, 40),
)
def test_runs_are_cut_by_count_alone(sizes, n_records, limit):
    firsts = np.cumsum([0, *sizes]).tolist()
    runs = [
        records([Click("u", "i", 1)] * n, first) for n, first in zip(sizes, firsts, strict=False)
    ]
    got = [run.number_N.tolist() for run in cut(iter(runs), n_records, limit)]
    numbers = list(range(1, sum(sizes) + 1))[:limit]
    assert got == [numbers[i : i + n_records] for i in range(0, len(numbers), n_records)]


def test_nothing_is_read_past_the_limit():
    def runs():
        yield records([Click("u", "i", 1)] * 4)
        raise AssertionError("read on")

    assert [len(run) for run in cut(runs(), 3, limit=4)] == [3, 1]


def test_a_batch_holds_what_came():
    letter = DeadLetter("f:2", "broken", b"{")
    batch = batch_of([Click("u", "late", 9), letter, User("u", 7), Click("v", "early", 8)])
    assert (batch.seq, batch.n_records, batch.watermark_ms) == (3, 4, 8)
    assert batch.clicks.item_B == ["early", "late"]
    assert batch.others == (User("u", 7),)
    assert batch.dead_letters == (letter,)
    assert batch.end == {"f": {"offset": 9}}


@pytest.mark.parametrize(
    ("times", "reached"),
    [([7], 7), ([3, 7], 3), ([3, 7, 7], 7), ([*range(40), 900], 39), ([*range(60), 900, 901], 59)],
)
def test_time_is_what_more_than_one_clock_has_reached(times, reached):
    batch = batch_of([Click("u", f"i{n}", ts) for n, ts in enumerate(times)])
    assert batch.watermark_ms == reached


def test_a_watermark_never_goes_back():
    assert batch_of([Click("u", "i", 9)], watermark_ms=50).watermark_ms == 50
    assert batch_of([DeadLetter("f:1", "broken", b"")], watermark_ms=50).watermark_ms == 50


def test_an_event_from_the_far_future_is_buried_and_moves_no_watermark():
    letter = DeadLetter("f:1", "broken", b"{")
    batch = batch_of([letter, Click("u", "i", 1), Click("u", "i", 9_000), Click("u", "j", 2)])
    assert batch.watermark_ms == 1
    assert batch.clicks.item_B == ["i", "j"]
    reason = "far future: ts 9000 is more than 1s ahead of the stream"
    assert batch.dead_letters == (letter, DeadLetter("f:3", reason, b"raw 2"))


def test_which_records_are_events_is_told_after_the_far_future_was_buried():
    letter = DeadLetter("f:1", "broken", b"{")
    entries = [Click("u", "i", 5), letter, Click("u", "j", 9_000), Click("u", "k", 6)]
    ts_N = np.array([5, 5, 9_000, 6])
    found, is_event_N = without_far_future(
        entries, ts_N, 0, 1000, lambda i, reason: DeadLetter(f"f:{i}", reason[:10], b"raw")
    )
    assert found == [entries[0], letter, DeadLetter("f:2", "far future", b"raw"), entries[3]]
    assert is_event_N.tolist() == [True, False, False, True]
    assert entries[2].item == "j"


def test_a_batch_of_checked_records_has_the_time_it_is_given():
    letter = DeadLetter("f:2", "broken", b"{")
    batch = as_batch(7, [Click("u", "b", 9), letter, Click("u", "a", 8)], ["x", "y", "z"], 5, {})
    assert (batch.seq, batch.n_records, batch.watermark_ms) == (7, 3, 5)
    assert (batch.clicks.item_B, batch.clicks.origin_B) == (["a", "b"], ["z", "x"])
    assert batch.dead_letters == (letter,)


def test_a_setting_is_checked():
    assert BatchConfig.model_validate({"max_age_ms": 1000}).max_age_ms == 1000
    with pytest.raises(ValidationError, match="events"):
        BatchConfig(events=0)
