from stream.kafka.batching.gathering import gather
from stream.kafka.batching.lanes import Lane
from stream.kafka.fetching.positions import Cursor
from tests.stream.kafka.made import chunk


def taken(number, *ts):
    lane = Lane(f"clicks/{number}", Cursor(0, "a"), 10**9, lambda *_: None)
    for n, ts_ms in enumerate(ts):
        lane.add(chunk(n, n + 1, ts=[ts_ms]))
    return lane.take(len(ts))


def test_records_stand_by_partition_and_offset():
    parts = {"clicks/0": taken(0, 9, 8), "clicks/1": [], "clicks/2": taken(2, 1)}
    gathered = gather(parts, 0, 1000)
    assert gathered.origins == ["clicks[0]@0", "clicks[0]@1", "clicks[2]@0"]
    assert {name: ts_N.tolist() for name, ts_N in gathered.believed.items()} == {
        "clicks/0": [9, 8],
        "clicks/1": [],
        "clicks/2": [1],
    }
    assert gathered.newest_timestamp_ms == 10


def test_a_time_that_nobody_believes_is_buried_with_its_bytes():
    gathered = gather({"clicks/0": taken(0, 5, 99_000), "clicks/1": taken(1, 6)}, 0, 1000)
    letter = gathered.entries[1]
    assert (letter.origin, letter.raw) == ("clicks[0]@1", b"value 1")
    assert gathered.believed["clicks/0"].tolist() == [5]


def test_of_nothing_nothing_is_gathered():
    gathered = gather({}, 0, 1000)
    assert (gathered.entries, gathered.believed, gathered.newest_timestamp_ms) == ([], {}, 0)
