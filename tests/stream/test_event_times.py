from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from stream.event_times import InstantMs, iso_text, parse_instant_ms
from stream.events import MAX_TS_MS

INSTANT = TypeAdapter(InstantMs)


@pytest.mark.parametrize(
    "written",
    [
        1_704_067_200_000,
        "1704067200000",
        "2024-01-01",
        "2024-01-01T00:00:00Z",
        "2024-01-01T01:00:00+01:00",
        date(2024, 1, 1),
        datetime(2024, 1, 1),  # noqa: DTZ001 - YAML makes one of a time without a zone
        datetime(2024, 1, 1, tzinfo=UTC),
    ],
    ids=repr,
)
def test_an_instant_may_be_written_in_many_ways(written):
    assert parse_instant_ms(written) == 1_704_067_200_000


@pytest.mark.parametrize("written", ["tomorrow", "", None, True, 1.5, -1, MAX_TS_MS + 1], ids=repr)
def test_what_is_no_instant_is_refused_with_an_example(written):
    with pytest.raises(ValueError, match="such as 2024-05-01T00:00:00Z, got"):
        parse_instant_ms(written)


@given(st.integers(0, MAX_TS_MS))
def test_an_instant_that_was_written_down_reads_back(ts_ms):
    assert parse_instant_ms(iso_text(ts_ms)) == ts_ms
    assert INSTANT.validate_json(INSTANT.dump_json(ts_ms)) == ts_ms
