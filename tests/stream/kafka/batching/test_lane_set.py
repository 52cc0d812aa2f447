from stream.kafka.batching.lane_set import LaneSet
from stream.kafka.fetching.chunks import nothing
from stream.kafka.fetching.handover import Mark, View
from stream.kafka.fetching.positions import Cursor
from tests.stream.kafka.made import chunk


def lanes(**cursors):
    made = LaneSet(10_000, lambda *_: None)
    for name, offset in cursors.items():
        made.add(name.replace("_", "/"), Cursor(offset, "a"), 0.0)
    return made


def test_lanes_stand_in_order_of_topic_and_partition():
    made = lanes(clicks_10=0, clicks_9=0, buys_1=0)
    assert [lane.name for lane in made.lanes] == ["buys/1", "clicks/9", "clicks/10"]


def test_a_partition_that_appears_gets_a_lane_from_its_first_offset_on():
    made = lanes()
    made.receive([("clicks/1", chunk(3, 5))], View(marks={"clicks/0": Mark("a", 0, 0)}), 7.0)
    assert [(lane.name, lane.offset, lane.is_moved) for lane in made.lanes] == [
        ("clicks/0", 0, False),
        ("clicks/1", 3, False),
    ]


def test_where_a_start_was_resolved_the_cursor_is_to_be_written_down():
    made = lanes()
    made.receive([], View(started={"clicks/0": Cursor(7, "a")}), 0.0)
    assert (made["clicks/0"].offset, made["clicks/0"].is_moved) == (7, True)
    assert made.take([0]) == {"clicks/0": []}


def test_lanes_without_a_record_are_left_out_unless_they_moved():
    made = lanes(clicks_0=0, clicks_1=0, clicks_2=0)
    chunks = [("clicks/0", chunk(0, 2)), ("clicks/2", nothing("a", 9, 9, 0.0))]
    made.receive(chunks, View(), 0.0)
    taken = made.take([1, 0, 0])
    assert {name: [len(one.entries) for one in part] for name, part in taken.items()} == {
        "clicks/0": [1],
        "clicks/2": [],
    }


def test_unread_is_what_is_here_and_what_is_still_at_the_broker():
    made = lanes(clicks_0=0, clicks_1=4)
    made.receive([("clicks/0", chunk(0, 3))], View(), 0.0)
    marks = {"clicks/0": Mark("a", 3, 10), "clicks/1": Mark("a", 4, None)}
    assert made.n_unread(marks) == 3 + 7


def test_silence_is_measured_up_to_when_the_broker_was_heard():
    made = lanes(clicks_0=0)
    made.receive([("clicks/0", chunk(0, 1, arrived_s=5.0))], View(), 5.0)
    made.take([1])
    [standing] = made.standings(View(marks={"clicks/0": Mark("a", 1, 1)}, heard_s=25.0))
    assert (standing.silent_s, standing.has_more) == (20.0, False)
