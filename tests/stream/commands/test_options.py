import pytest

from stream.commands.options import above_zero, columns_of, time_ms
from stream.errors import UsageError


def test_what_is_not_given_stays_so():
    assert (time_ms("--from", None), above_zero("--speed", None), columns_of(None)) == (
        None,
    ) * 2 + ({},)


def test_a_time_is_iso_or_milliseconds():
    assert time_ms("--from", "2024-01-01") == 1_704_067_200_000
    assert time_ms("--from", "1704067200000") == 1_704_067_200_000
    with pytest.raises(UsageError, match="--from yesterday: expected ISO 8601"):
        time_ms("--from", "yesterday")


@pytest.mark.parametrize("number", [0.0, -1.0, float("inf"), float("nan")])
def test_nothing_is_paced_by_such_a_number(number):
    with pytest.raises(UsageError, match=r"--speed .*: expected a number above 0"):
        above_zero("--speed", number)


def test_columns_are_pairs():
    assert columns_of("user=visitor,item=sku") == {"user": "visitor", "item": "sku"}
    for text in ("user", "user=", "=visitor", "user=a,,item=b"):
        with pytest.raises(UsageError, match=r"--map .*: expected FIELD=COLUMN"):
            columns_of(text)
