import pytest

from stream.errors import ReproductionError, UsageError
from stream.reproducing.asked import Range, ended_early, range_of

NOTICE = {
    "seq": 9,
    "name": "alert:low:firing",
    "rule": "low",
    "state": "firing",
    "anchor": "anchor-000000000004",
    "start": {"events/0": {"offset": 3, "topic_id": "9f", "ts_ms": 5}},
    "end": {"events/0": {"offset": 8, "topic_id": "9f", "ts_ms": 6}},
}


def test_a_notice_tells_its_range():
    assert range_of(NOTICE) == Range("anchor-000000000004", NOTICE["start"], NOTICE["end"], 9)


@pytest.mark.parametrize("key", ["seq", "rule", "state", "anchor", "start", "end"])
def test_a_record_that_lacks_something_is_refused_by_name(key):
    without = {name: value for name, value in NOTICE.items() if name != key}
    with pytest.raises(UsageError, match=rf"missing required field `{key}`.*alerts\.jsonl"):
        range_of(without)


def test_a_range_that_ends_too_early_is_told_by_its_batches():
    error = ended_early(9, 7, "a.jsonl: ends")
    assert isinstance(error, ReproductionError)
    assert str(error) == "a.jsonl: ends after batch 7, and the notice is of batch 9"
