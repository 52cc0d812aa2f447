import pytest

from stream.errors import UsageError
from stream.sources.reader import ReaderSettings, find_columns

PRESENT = ["visitorid", "itemid", "ts", "title"]


def test_only_columns_of_the_default_type_are_taken():
    settings = ReaderSettings(columns={"user": "visitorid", "item": "itemid"})
    assert find_columns("t.csv", PRESENT, settings) == {
        "user": "visitorid", "item": "itemid", "ts": "ts",
    }  # fmt: skip


def test_with_a_type_column_only_the_time_is_needed():
    found = find_columns("t.csv", ["type", "ts", "title"], ReaderSettings())
    assert found == {"type": "type", "ts": "ts", "title": "title"}


def test_missing_columns_are_named_with_what_is_there_and_what_to_do():
    with pytest.raises(UsageError) as refused:
        find_columns("t.csv", PRESENT, ReaderSettings(columns={"session": "visit"}))
    assert str(refused.value) == (
        "t.csv: has no column user, item, visit; its columns are visitorid, itemid, ts, title; "
        "name the right ones with --map user=COLUMN,item=COLUMN,session=COLUMN"
    )


def test_a_column_that_comes_twice_is_refused():
    with pytest.raises(UsageError, match="two columns user"):
        find_columns("t.csv", ["user", "item", "ts", "user"], ReaderSettings())
