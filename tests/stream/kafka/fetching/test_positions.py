import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.errors import GapError, SourceError
from stream.journal import Entry, Range
from stream.kafka.fetching.positions import Cursor, Stretch, cursors_of, is_same, stretches


def entries_of(*ranges):
    return [Entry(seq, {"clicks/0": part}, 0) for seq, part in enumerate(ranges)]


def test_a_position_is_read_back_as_it_was_written():
    cursors = {"clicks/0": Cursor(7, "9f", 1000), "views/2": Cursor(0)}
    position = {name: cursor.fields() for name, cursor in cursors.items()}
    assert cursors_of(position, ["clicks", "views"]) == cursors


@pytest.mark.parametrize(
    ("position", "message"),
    [
        ({"events.jsonl": {"offset": 9, "line": 2}}, "is none of a partition"),
        ({"clicks/0": {"offset": 9}}, "is none of a partition"),
        ({"views/0": {"offset": 9, "topic_id": "", "ts_ms": 0}}, "names only clicks"),
    ],
)
def test_a_position_of_something_else_is_refused(position, message):
    with pytest.raises(SourceError, match=message):
        cursors_of(position, ["clicks"])


def test_ranges_that_touch_are_one_stretch_and_the_last_has_no_end():
    ahead = stretches(
        {"clicks/0": Cursor(10, "a")},
        entries_of(
            Range("a", 10, 20, 0),
            Range("a", 20, 30, 0),
            Range("a", 50, 50, 0),
            Range("a", 50, 60, 0),
            Range("b", 0, 5, 0),
        ),
        ["clicks"],
    )
    assert ahead["clicks/0"] == (
        Stretch("a", 10, 30),
        Stretch("a", 50, 60),
        Stretch("b", 0),
    )


def test_a_partition_that_only_the_journal_knows_begins_where_it_says():
    ahead = stretches({}, entries_of(Range("a", 3, 9, 0)), ["clicks"])
    assert ahead == {"clicks/0": (Stretch("a", 3),)}


def test_a_topic_that_only_the_journal_knows_must_be_named():
    with pytest.raises(SourceError, match=r"clicks/0: the journal goes on in it.*only views"):
        stretches({}, entries_of(Range("a", 3, 9, 0)), ["views"])


@pytest.mark.parametrize("between", [[], [Range("a", 9, 9, 0)]])
def test_a_journal_that_goes_back_is_of_a_log_that_was_written_anew(between):
    entries = entries_of(Range("a", 0, 8, 0), *between, Range("a", 6, 12, 0))
    with pytest.raises(GapError, match=r"clicks/0: its log was shortened to offset 6, .* up to 8"):
        stretches({"clicks/0": Cursor(0, "a")}, entries, ["clicks"])


def test_a_log_that_was_shortened_before_anything_is_repeated_is_read_on():
    entries = entries_of(Range("a", 6, 12, 0))
    ahead = stretches({"clicks/0": Cursor(8, "a")}, entries, ["clicks"])
    assert ahead == {"clicks/0": (Stretch("a", 6),)}


@given(st.lists(st.integers(0, 5), max_size=8), st.integers(0, 9))
def test_without_a_gap_there_is_one_stretch_from_the_cursor_on(lengths, offset):
    parts, start = [], offset
    for length in lengths:
        parts.append(Range("a", start, start + length, 0))
        start += length
    ahead = stretches({"clicks/0": Cursor(offset, "a")}, entries_of(*parts), ["clicks"])
    assert ahead == {"clicks/0": (Stretch("a", offset),)}


@pytest.mark.parametrize(
    ("one", "other", "expected"), [("a", "a", True), ("a", "b", False), ("", "b", True)]
)
def test_a_topic_without_an_id_may_be_any(one, other, expected):
    assert is_same(one, other) is is_same(other, one) is expected
