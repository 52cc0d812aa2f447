import sys

import pytest
from kafka import TopicPartition
from kafka.errors import LogTruncationError, TopicAuthorizationFailedError
from kafka.structs import OffsetAndMetadata

from stream.errors import GapError
from stream.kafka.fetching.gaps import Gaps
from stream.kafka.fetching.handover import Handover, View
from stream.kafka.fetching.partitions import Partitions
from stream.kafka.fetching.positions import Stretch
from stream.kafka.fetching.session import Session
from tests.stream.kafka.fakes_kafka import Clock, FakeBroker, config_of


class Made:
    """A session over a fake broker, turned by hand."""

    def __init__(self, broker, ahead=None, may_pass=True, **settings):
        self.broker = broker
        self.incidents = []
        self.clock = Clock()
        config = config_of(**settings)
        gaps = Gaps(may_pass, self.incidents.append)
        self.partitions = Partitions(config, gaps)
        self.handover = Handover()
        self.partitions.add(ahead or {})
        opened = broker.open()
        self.consumer = opened.consumer
        self.session = Session(config, opened, self.partitions, gaps, self.handover, self.clock)
        self.session.begin(lambda _: False)

    def turns(self, count=6):
        """What some turns handed out: (partition, start, stop, offsets)."""
        found = []
        for _ in range(count):
            chunks = self.session.turn()
            self.handover.deliver(chunks, View())
            found += [(name, one.start, one.stop, one.offsets) for name, one in chunks]
        return found


def ids(broker):
    return broker.ids["clicks"].hex


def part(number=0):
    return TopicPartition("clicks", number)


def test_what_is_there_is_handed_out_in_order():
    broker = FakeBroker(clicks=1)
    for n in range(7):
        broker.click("clicks/0", 1000 + n)
    found = Made(broker).turns()
    assert [offset for *_, offsets in found for offset in offsets] == list(range(7))
    assert [(start, stop) for _, start, stop, _ in found] == [(0, 5), (5, 7)]


def test_offsets_without_records_are_passed():
    broker = FakeBroker(clicks=1)
    broker.click("clicks/0", 1000)
    made = Made(broker)
    made.turns()
    broker.log("clicks/0").skip(4)
    assert made.turns() == [("clicks/0", 1, 5, [])]


def test_a_partition_is_fetched_little_beyond_its_share_and_on_when_half_of_it_is_used():
    broker = FakeBroker(clicks=2)
    for n in range(80):
        broker.click(f"clicks/{n % 2}", 1000 + n)
    made = Made(broker, buffer_records=20)
    made.turns(12)
    assert made.consumer.paused == {part(0), part(1)}
    assert made.handover.waiting("clicks/0")[0] == 10 + broker.fetch_records
    made.handover.used_up("clicks/0", 10, 0)
    made.turns(1)
    assert made.consumer.paused == {part(0), part(1)}
    made.handover.used_up("clicks/0", 1, 0)
    made.turns(1)
    assert made.consumer.paused == {part(1)}


def test_records_that_may_have_waited_on_our_side_say_nothing_of_the_broker():
    broker = FakeBroker(clicks=1)
    for n in range(80):
        broker.click("clicks/0", 1000 + n)
    made = Made(broker, buffer_records=20)
    made.turns(12)
    assert made.consumer.paused == {part(0)}
    broker.is_mute = True
    made.clock.skip(100)
    skipped_s = made.clock()
    made.handover.used_up("clicks/0", 20, 0)
    made.turns(1)
    assert made.session.arrived_s >= skipped_s > made.session.heard_s
    made.turns(1)
    assert made.session.heard_s >= skipped_s > made.session.answered_s


def test_while_enough_waits_in_all_only_partitions_of_which_nothing_waits_are_fetched():
    broker = FakeBroker(clicks=3)
    broker.fetch_records = 20
    for n in range(90):
        broker.click("clicks/0", 1000 + n)
    broker.click("clicks/1", 1000)
    made = Made(broker, buffer_records=30)
    made.turns()
    assert made.consumer.paused == {part(0), part(1)}
    broker.click("clicks/2", 1000)
    assert [name for name, *_ in made.turns()] == ["clicks/2"]
    assert made.consumer.paused == {part(0), part(1), part(2)}
    n_waiting, _ = made.handover.waiting("clicks/0")
    made.handover.used_up("clicks/0", n_waiting - 20, 0)
    made.turns(1)
    assert made.consumer.paused == {part(0)}


def test_positions_are_asked_for_of_a_few_partitions_at_a_time():
    broker = FakeBroker(clicks=40)
    broker.click("clicks/0", 1000)
    made = Made(broker)
    made.turns()
    asked = []
    position = made.consumer.position

    def noted(one, timeout_ms):
        asked.append(one.partition)
        return position(one, timeout_ms)

    made.consumer.position = noted
    for number in range(1, 40):
        broker.log(f"clicks/{number}").skip(1)
    found, n_most = [], 0
    for n in range(12):
        broker.click("clicks/0", 1001 + n)
        before = len(asked)
        found += made.turns(1)
        n_most = max(n_most, len(asked) - before)
    assert n_most == 8
    assert {name for name, *_ in found} == {f"clicks/{number}" for number in range(40)}


def test_a_partition_is_paused_only_after_all_that_was_fetched_was_taken():
    broker = FakeBroker(clicks=2)
    for n in range(80):
        broker.click(f"clicks/{n % 2}", 1000 + n)
    made = Made(broker, buffer_records=20)
    asked = []
    poll, pause = made.consumer.poll, made.consumer.pause

    def noted_poll(timeout_ms, max_records):
        asked.append(max_records)
        return poll(timeout_ms, max_records)

    def noted_pause(*parts):
        asked.append("pause")
        pause(*parts)

    made.consumer.poll, made.consumer.pause = noted_poll, noted_pause
    made.turns(12)
    pauses = [n for n, what in enumerate(asked) if what == "pause"]
    assert pauses
    assert all(asked[n - 1] in ("pause", sys.maxsize) for n in pauses)


def test_a_full_partition_of_a_topic_that_goes_and_comes_back_is_fetched_again():
    broker = FakeBroker(clicks=1)
    for n in range(40):
        broker.click("clicks/0", 1000 + n)
    made = Made(broker, buffer_records=10)
    made.turns(8)
    assert made.consumer.paused == {part()}
    logs, ids_ = dict(broker.logs), dict(broker.ids)
    broker.delete("clicks")
    broker.tell()
    made.turns(1)
    broker.logs, broker.ids = logs, ids_
    broker.tell()
    made.handover.used_up("clicks/0", 15, 0)
    assert made.turns(3)[0][3] == [15, 16, 17, 18, 19]


def test_a_plan_is_read_without_what_lies_between():
    broker = FakeBroker(clicks=1)
    for n in range(9):
        broker.click("clicks/0", 1000 + n)
    ahead = (Stretch(ids(broker), 1, 3), Stretch(ids(broker), 6))
    found = Made(broker, {"clicks/0": ahead}).turns()
    assert [offset for *_, offsets in found for offset in offsets] == [1, 2, 6, 7, 8]


def test_a_log_that_was_shortened_behind_what_was_handed_out_loses_nothing():
    broker = FakeBroker(clicks=1)
    for n in range(9):
        broker.click("clicks/0", 1000 + n)
    made = Made(broker)
    made.turns(2)
    broker.log("clicks/0").shorten(7)
    made.consumer.seek(part(), 9)
    for n in range(2):
        broker.click("clicks/0", 2000 + n)
    truncated = LogTruncationError({part(): OffsetAndMetadata(7, "", 1)})
    made.partitions.by_name["clicks/0"].offset = 9
    made.partitions.by_name["clicks/0"].delivered = 5
    made.session._held_back.drop(made.partitions.by_name["clicks/0"])
    made.consumer.error = truncated
    found = made.turns()
    assert [offset for *_, offsets in found for offset in offsets] == [5, 6, 7, 8]
    assert made.incidents == []


def test_a_log_that_was_shortened_before_it_is_told():
    broker = FakeBroker(clicks=1)
    for n in range(9):
        broker.click("clicks/0", 1000 + n)
    made = Made(broker)
    made.turns()
    broker.log("clicks/0").shorten(7)
    made.consumer.error = LogTruncationError({part(): OffsetAndMetadata(6, "", 1)})
    assert made.turns()[0] == ("clicks/0", 6, 6, [])
    [incident] = made.incidents
    assert (incident.details["from_offset"], incident.details["to_offset"]) == (9, 6)


def test_what_is_to_be_repeated_must_not_be_written_anew():
    broker = FakeBroker(clicks=1)
    for n in range(9):
        broker.click("clicks/0", 1000 + n)
    ahead = (Stretch(ids(broker), 3, 12), Stretch(ids(broker), 20))
    with pytest.raises(GapError, match=r"its log was shortened to offset 9, .* up to 20"):
        Made(broker, {"clicks/0": ahead}).turns()


def test_a_permission_that_is_taken_away_ends_it():
    broker = FakeBroker(clicks=1)
    made = Made(broker)
    broker.unauthorized = {"clicks"}
    broker.tell()
    with pytest.raises(TopicAuthorizationFailedError):
        made.turns()


def test_ends_are_asked_for_while_a_partition_is_full():
    broker = FakeBroker(clicks=1)
    for n in range(20):
        broker.click("clicks/0", 1000 + n)
    made = Made(broker, buffer_records=5)
    made.turns()
    for n in range(30):
        broker.click("clicks/0", 3000 + n)
    made.clock.skip(6)
    made.turns(1)
    assert made.partitions.by_name["clicks/0"].end == 50
