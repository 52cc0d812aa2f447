import time
from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from kafka.errors import CorruptRecordError, UnsupportedCodecError

from stream.errors import GapError, KafkaError, SourceError
from stream.kafka.fetching import starting
from tests.conformance.source_contract import as_plain
from tests.stream.kafka.fakes_kafka import FakeBroker, running


def full(batch):
    """A batch as values that compare with `==`, what the wall clock decided included."""
    return {
        **as_plain(batch),
        "end_order": list(batch.end),
        "origins": batch.clicks.origin_B,
        "is_backlog": batch.is_backlog,
        "commands": batch.commands,
    }


def items(batches):
    return [item for batch in batches for item in batch.clicks.item_B]


def offsets(batch):
    return {name: cursor["offset"] for name, cursor in batch.end.items()}


def test_every_record_of_every_partition_is_handed_out_once(tmp_path):
    broker = FakeBroker(clicks=3)
    for n in range(30):
        broker.click(f"clicks/{n % 3}", 1000 + n, f"i{n}")
    with running(broker, tmp_path) as run:
        batches = run.begin().records(30)
    assert sorted(items(batches)) == sorted(f"i{n}" for n in range(30))
    assert offsets(batches[-1]) == {"clicks/0": 10, "clicks/1": 10, "clicks/2": 10}
    assert [batch.seq for batch in batches] == list(range(len(batches)))


def test_a_batch_is_full_when_there_is_enough(tmp_path):
    broker = FakeBroker(clicks=2)
    for n in range(20):
        broker.click(f"clicks/{n % 2}", 1000 + n)
    with running(broker, tmp_path) as run:
        assert [batch.n_records for batch in run.begin().records(20)] == [4] * 5


def test_a_batch_is_cut_when_its_first_record_has_waited_long_enough(tmp_path):
    broker = FakeBroker(clicks=1)
    broker.click("clicks/0", 1000)
    with running(broker, tmp_path, batch={"events": 4, "max_age_ms": 3_600_000}) as run:
        run.begin()
        run.until(lambda: run.source.status().lag_records == 1 and run.source._lanes.n_ready == 1)
        run.clock.skip(3_601)
        assert run.batch().n_records == 1


def test_a_backlog_is_read_in_order_of_event_time(tmp_path):
    broker = FakeBroker(clicks=3)
    for n in range(40):
        for number in range(3):
            broker.click(f"clicks/{number}", 1000 * n + number, f"{n}-{number}")
    with running(broker, tmp_path, batch={"events": 6, "max_age_ms": 5_000}) as run:
        batches = run.begin().records(120)
    assert items(batches) == [f"{n}-{number}" for n in range(40) for number in range(3)]


def test_records_of_equal_time_come_by_partition_and_offset(tmp_path):
    broker = FakeBroker(clicks=11)
    for number in (10, 9, 2):
        for n in range(2):
            broker.click(f"clicks/{number}", 1000, f"{number}-{n}")
    with running(broker, tmp_path, batch={"events": 6, "max_age_ms": 20}) as run:
        assert items(run.begin().records(6)) == ["2-0", "2-1", "9-0", "9-1", "10-0", "10-1"]


def test_what_cannot_be_used_is_a_dead_letter_with_all_of_its_bytes(tmp_path):
    broker = FakeBroker(clicks=1)
    noise = b"\xff" * 5_000
    for value in (None, noise, b'{"type": "tap", "ts": 1}', b"x" * 9_000):
        broker.send("clicks/0", value)
    with running(broker, tmp_path, max_record_bytes=8_000) as run:
        letters = run.begin().batch().dead_letters
    assert [letter.origin for letter in letters] == [f"clicks[0]@{n}" for n in range(4)]
    assert [letter.raw for letter in letters] == [
        b"",
        noise,
        b'{"type": "tap", "ts": 1}',
        b"x" * 9_000,
    ]
    assert letters[0].reason == "null value"
    assert letters[2].reason == "Invalid value 'tap' - at `$.type`"
    assert letters[3].reason == "too long: 9000 bytes, more than max_record_bytes 8000"


def test_a_time_from_the_far_future_is_a_dead_letter_and_moves_no_time(tmp_path):
    broker = FakeBroker(clicks=1)
    for ts_ms in (1000, 1001, 90_000_000_000, 1002):
        broker.click("clicks/0", ts_ms)
    with running(broker, tmp_path) as run:
        batch = run.begin().batch()
    assert batch.watermark_ms == 1001
    assert [letter.origin for letter in batch.dead_letters] == ["clicks[0]@2"]
    assert batch.dead_letters[0].raw.endswith(b'"ts": 90000000000}')


@pytest.mark.parametrize("first", [[], [1_000, 2_000, 3_000]])
def test_a_broken_clock_moves_no_time_however_slow_the_stream_is(tmp_path, first):
    broker = FakeBroker(clicks=1)
    with running(broker, tmp_path, max_ahead="10s") as run:
        run.begin()
        for ts_ms in [*first, 90_000_000_000, 4_000, 5_000, *[90_000_000_001] * len(first[:1])]:
            broker.click("clicks/0", ts_ms)
            batch = run.batch()
    assert 4_000 <= batch.watermark_ms <= 14_000


def test_topics_differ_in_type_names_and_format(tmp_path):
    broker = FakeBroker(clicks=1, views=1)
    broker.send("clicks/0", b"\x83\xa4user\xa1u\xa4item\xa1a\xa2ts\xcd\x03\xe8")
    broker.send("clicks/0", b"\xc1")
    broker.send("views/0", b'{"visitor": "v", "ts": 1000, "likes": "tea"}')
    topics = (
        {"name": "clicks", "format": "msgpack"},
        {"name": "views", "type": "user", "map": {"user": "visitor", "text": "likes"}},
    )
    with running(broker, tmp_path, topics=topics) as run:
        batch = run.begin().batch()
    assert batch.clicks.item_B == ["a"]
    assert [(user.user, user.text) for user in batch.others] == [("v", "tea")]
    assert [letter.raw for letter in batch.dead_letters] == [b"\xc1"]


def test_nothing_is_said_now_and_then_while_there_is_nothing(tmp_path):
    with running(FakeBroker(clicks=1), tmp_path) as run:
        run.begin()
        began_s = time.monotonic()
        assert [run.step() for _ in range(3)] == [None] * 3
        assert time.monotonic() - began_s < 1.5
    assert list(run.journal.entries(0)) == []


def test_an_order_goes_into_the_next_batch_and_makes_one_if_none_comes(tmp_path):
    with running(FakeBroker(clicks=1), tmp_path) as run:
        run.begin()
        assert run.step() is None
        run.source.order({"alerts": {"rules": []}})
        ordered_s = time.monotonic()
        batch = run.batch()
    assert time.monotonic() - ordered_s < 0.5
    assert (batch.seq, batch.n_records, batch.commands) == (0, 0, ({"alerts": {"rules": []}},))


def test_a_batch_is_part_of_a_backlog_while_much_more_is_unread(tmp_path):
    broker = FakeBroker(clicks=1)
    for n in range(20):
        broker.click("clicks/0", 1000 + n)
    with running(broker, tmp_path, backlog_records=10) as run:
        batches = run.begin().records(20)
    assert [batch.is_backlog for batch in batches] == [True, True, False, False, False]


def test_a_silent_partition_is_excused_and_time_goes_on(tmp_path):
    broker = FakeBroker(clicks=2)
    for ts_ms in (1000, 1001):
        broker.click("clicks/0", ts_ms)
    for ts_ms in (5000, 5001):
        broker.click("clicks/1", ts_ms)
    with running(broker, tmp_path, idle_after="30s") as run:
        first = run.begin().batch()
        run.clock.skip(20)
        for ts_ms in (6000, 6001):
            broker.click("clicks/1", ts_ms)
        second = run.batch()
        run.clock.skip(20)
        broker.tell()
        third = run.batch()
    assert [batch.watermark_ms for batch in (first, second, third)] == [1000, 1000, 6000]
    assert (third.n_records, third.seq) == (0, 2)


def test_nobody_is_excused_while_the_broker_is_not_heard(tmp_path):
    broker = FakeBroker(clicks=2)
    for name, ts_ms in (("clicks/0", 1000), ("clicks/0", 1001), ("clicks/1", 5000)):
        broker.click(name, ts_ms)
    with running(broker, tmp_path, idle_after="30s") as run:
        assert run.begin().records(3)[-1].watermark_ms == 1000
        broker.is_mute = True
        run.clock.skip(8)
        run.until(lambda: not run.source.status().is_connected)
        run.clock.skip(10)
        assert [run.step() for _ in range(3)] == [None] * 3


def test_a_partition_that_appears_is_read_from_its_beginning(tmp_path):
    broker = FakeBroker(clicks=1)
    broker.click("clicks/0", 1000, "old")
    with running(broker, tmp_path, start="latest") as run:
        run.begin()
        run.until(lambda: run.source.status().is_connected)
        broker.grow("clicks", 2)
        broker.click("clicks/1", 1001, "new")
        batches = run.records(1)
    assert items(batches) == ["new"]
    assert offsets(batches[-1]) == {"clicks/0": 1, "clicks/1": 1}


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ("earliest", {"clicks/0": 2, "clicks/1": 0}),
        ("latest", {"clicks/0": 6, "clicks/1": 0}),
        (1400, {"clicks/0": 4, "clicks/1": 0}),
        ("1970-01-01T00:00:01.400Z", {"clicks/0": 4, "clicks/1": 0}),
        (9999, {"clicks/0": 6, "clicks/1": 0}),
        ({"clicks/0": 3}, {"clicks/0": 3, "clicks/1": 0}),
    ],
)
def test_the_first_run_starts_where_it_is_told_to(tmp_path, start, expected):
    broker = FakeBroker(clicks=2)
    for n in range(6):
        broker.send("clicks/0", b"{}", timestamp=1000 + 100 * n)
    broker.log("clicks/0").delete_before(2)
    with running(broker, tmp_path, start=start) as run:
        position = run.source.starting_position()
    assert {name: cursor["offset"] for name, cursor in position.items()} == expected
    assert {cursor["topic_id"] for cursor in position.values()} == {broker.ids["clicks"].hex}
    assert broker.opened[0].is_closed


@pytest.mark.parametrize(
    ("start", "message"),
    [
        ({"clicks/0": 7}, "source.kafka.start: clicks/0 holds the offsets 0 to 1, got 7"),
        ({"clicks/4": 0}, "source.kafka.start: clicks/4 is not there, clicks has 1 partitions"),
    ],
)
def test_a_start_that_is_not_there_is_refused(tmp_path, start, message):
    broker = FakeBroker(clicks=1)
    broker.click("clicks/0", 1)
    with running(broker, tmp_path, start=start) as run, pytest.raises(KafkaError, match=message):
        run.source.starting_position()


def test_an_unknown_topic_is_refused_with_the_name_that_was_meant(tmp_path, monkeypatch):
    monkeypatch.setattr(starting, "_APPEARS_WITHIN_S", 0.2)
    with (
        running(FakeBroker(clicks=1), tmp_path, topics=("clikcs",)) as run,
        pytest.raises(KafkaError, match=r"source\.kafka\.topics: .* clikcs .* did you mean clicks"),
    ):
        run.begin().batch(within_s=10)


def test_a_topic_that_may_not_be_seen_is_refused(tmp_path):
    broker = FakeBroker(clicks=1)
    broker.unauthorized = {"clicks"}
    with running(broker, tmp_path) as run, pytest.raises(KafkaError, match="clicks"):
        run.begin().batch(within_s=10)


def test_a_broker_that_is_away_at_first_is_waited_for(tmp_path):
    broker = FakeBroker(clicks=1)
    broker.click("clicks/0", 1000)
    broker.is_away = True
    with running(broker, tmp_path) as run:
        run.begin()
        run.until(lambda: "away" in (run.source.status().problem or ""))
        assert not run.source.status().is_connected
        broker.is_away = False
        assert run.batch().n_records == 1
        assert run.source.status().is_connected


def test_the_first_position_is_waited_for_and_it_is_said_once_why(tmp_path, caplog):
    caplog.set_level("INFO", "freshrank.kafka")
    broker = FakeBroker(clicks=1)
    broker.is_away = True
    problems = []
    with running(broker, tmp_path) as run:

        def is_stopped():
            problems.append(run.source.status().problem)
            broker.is_away = len(problems) < 20
            return False

        position = run.source.starting_position(is_stopped)
        assert position["clicks/0"]["offset"] == 0
        assert run.source.status().problem == "not connected yet"
    assert problems[-1] == "source.kafka.connection.bootstrap: away"
    [lost, found] = [record.getMessage() for record in caplog.records]
    reason = "source.kafka.connection.bootstrap: away"
    assert lost == f"Kafka is not ready for us, trying again: {reason}"
    assert found.startswith("Kafka answers after ")


def test_the_wait_for_the_first_position_ends_when_it_is_told_to(tmp_path):
    broker = FakeBroker(clicks=1)
    broker.is_away = True
    asked = iter([False, False, True])
    with running(broker, tmp_path) as run:
        assert run.source.starting_position(lambda: next(asked)) is None


def test_a_broker_that_goes_away_and_comes_back_loses_and_doubles_nothing(tmp_path):
    broker = FakeBroker(clicks=1)
    for n in range(4):
        broker.click("clicks/0", 1000 + n, f"i{n}")
    with running(broker, tmp_path) as run:
        run.begin().records(4)
        broker.is_away = True
        for n in range(4, 8):
            broker.click("clicks/0", 1000 + n, f"i{n}")
        run.clock.skip(40)  # so long that the consumer is given up
        run.until(lambda: not run.source.status().is_connected)
        broker.is_away = False
        assert items(run.records(4)) == ["i4", "i5", "i6", "i7"]
    assert all(consumer.is_closed for consumer in broker.opened)


def test_a_partition_without_a_leader_keeps_no_other_from_being_read(tmp_path):
    broker = FakeBroker(clicks=2)
    broker.click("clicks/0", 1000, "i0")
    broker.click("clicks/1", 1001, "i1")
    broker.leaderless = {("clicks", 1)}
    with running(broker, tmp_path) as run:
        start = {
            f"clicks/{n}": {"offset": 0, "topic_id": broker.ids["clicks"].hex, "ts_ms": 0}
            for n in range(2)
        }
        assert items([run.begin(start).batch()]) == ["i0"]
        run.until(lambda: "nobody answers for clicks/1" in (run.source.status().problem or ""))
        assert run.source.status().is_connected
        assert run.source.status().lag_records is None
        broker.leaderless = set()
        run.clock.skip(6)
        assert items([run.batch()]) == ["i1"]
        run.until(lambda: run.source.status().problem is None)


def test_a_closed_source_leaves_no_thread_and_no_consumer(tmp_path):
    broker = FakeBroker(clicks=1)
    with running(broker, tmp_path) as run:
        run.begin()
        assert run.step() is None
    assert run.source._fetcher._work.done()
    assert [consumer.is_closed for consumer in broker.opened] == [True]


def test_damage_on_the_way_is_read_again_and_damage_on_disk_is_fatal(tmp_path):
    broker = FakeBroker(clicks=1)
    broker.click("clicks/0", 1000)
    with running(broker, tmp_path) as run:
        run.begin().batch()
        broker.opened[-1].error = CorruptRecordError("on the way")
        broker.click("clicks/0", 1001)
        assert run.batch().n_records == 1
        for _ in range(2):
            n_opened = len(broker.opened)
            broker.opened[-1].error = CorruptRecordError("at offset 1")
            run.until(lambda n=n_opened: len(broker.opened) > n)
        broker.opened[-1].error = CorruptRecordError("at offset 1")
        with pytest.raises(SourceError, match=r"at offset 1.*damaged where the broker keeps it"):
            run.batch()


def test_what_no_waiting_mends_ends_the_run(tmp_path):
    broker = FakeBroker(clicks=1)
    with running(broker, tmp_path) as run:
        run.begin()
        run.until(lambda: run.source.status().is_connected)
        for _ in range(2):
            n_opened = len(broker.opened)
            broker.opened[-1].error = UnsupportedCodecError("snappy")
            run.until(lambda n=n_opened: len(broker.opened) > n)
        broker.opened[-1].error = UnsupportedCodecError("snappy")
        with pytest.raises(KafkaError, match="snappy"):
            run.batch()


def test_offsets_without_records_are_no_lag(tmp_path):
    broker = FakeBroker(clicks=1)
    broker.click("clicks/0", 1000)
    broker.log("clicks/0").skip(3)
    with running(broker, tmp_path) as run:
        run.begin().batch()
        run.until(lambda: run.source.status().lag_records == 0)
        broker.click("clicks/0", 1001)
        batch = run.batch()
    assert offsets(batch) == {"clicks/0": 5}


def test_offsets_without_records_are_no_loss_when_retention_takes_them(tmp_path):
    broker = FakeBroker(clicks=1)
    for n in range(4):
        broker.click("clicks/0", 1000 + n)
    with running(broker, tmp_path) as run:
        before = run.begin().batch()
        broker.log("clicks/0").skip(2)
        run.until(lambda: run.source._lanes["clicks/0"].fetched == 6)
        run.clock.skip(4)
        after = run.batch()
        broker.log("clicks/0").skip(1)
        run.until(lambda: run.source._lanes["clicks/0"].fetched == 7)
        assert [run.step() for _ in range(3)] == [None] * 3  # not for each of them
    broker.log("clicks/0").delete_before(7)
    assert (after.n_records, offsets(after)) == (0, {"clicks/0": 6})
    with (
        running(broker, tmp_path) as again,
        pytest.raises(GapError, match="1 records from offset 6 on"),
    ):
        again.begin(after.end, after.seq + 1, after.watermark_ms).batch()
    broker.log("clicks/0").first = 6
    with running(broker, tmp_path) as again:
        repeated = again.begin(before.end, before.seq + 1, before.watermark_ms).batch()
        assert full(repeated) == full(after)
        broker.click("clicks/0", 2000)
        assert (again.batch().n_records, again.incidents) == (1, [])


def test_offsets_without_records_right_behind_a_batch_are_part_of_its_range(tmp_path):
    broker = FakeBroker(clicks=1)
    broker.click("clicks/0", 1000)
    broker.log("clicks/0").skip(1)
    with running(broker, tmp_path, batch={"events": 4, "max_age_ms": 2_000}) as run:
        run.begin()
        run.until(lambda: run.source._lanes.n_ready and run.source._lanes["clicks/0"].fetched == 2)
        run.clock.skip(2.001)  # not yet the time to write down such offsets for themselves
        batch = run.batch()
    assert (batch.n_records, offsets(batch)) == (1, {"clicks/0": 2})
    broker.log("clicks/0").delete_before(2)
    with running(broker, tmp_path) as again:
        broker.click("clicks/0", 2000)
        assert again.begin(batch.end, 1, batch.watermark_ms).batch().n_records == 1
        assert again.incidents == []


def test_where_a_topic_begins_that_was_added_is_decided_once(tmp_path):
    broker = FakeBroker(clicks=1, views=1)
    broker.click("clicks/0", 1000)
    broker.click("views/0", 1000, "old")
    with running(broker, tmp_path) as run:
        batch = run.begin().batch()
    both = {"topics": ("clicks", "views"), "start": "latest"}
    with running(broker, tmp_path, **both) as run:
        run.begin(batch.end, batch.seq + 1, batch.watermark_ms)
        run.until(lambda: len(run.source._lanes.lanes) == 2)
        run.clock.skip(4)
        assert offsets(run.batch()) == {"clicks/0": 1, "views/0": 1}
    broker.click("views/0", 1500, "new")
    with running(broker, tmp_path, **both) as run:
        run.begin(batch.end, batch.seq + 1, batch.watermark_ms)
        assert items(run.records(1)) == ["new"]


def test_the_status_tells_how_far_the_reading_is(tmp_path):
    broker = FakeBroker(clicks=1)
    for n in range(9):
        broker.send("clicks/0", b"{}", timestamp=50 + n)
    with running(broker, tmp_path) as run:
        assert run.source.status().lag_records is None  # not known yet, which is not 0
        run.begin().batch()
        status = run.source.status()
    assert (status.n_records, status.newest_ts_ms, status.is_repeating) == (4, 53, False)
    assert status.lag_records == 5


def test_how_many_records_wait_is_unknown_while_no_broker_is_heard(tmp_path):
    broker = FakeBroker(clicks=1)
    broker.click("clicks/0", 1000)
    with running(broker, tmp_path) as run:
        assert run.source.status().lag_records is None
        run.begin().batch()
        run.until(lambda: run.source.status().lag_records == 0)
        broker.is_away = True
        run.clock.skip(10)
        run.until(lambda: not run.source.status().is_connected)
        assert run.source.status().lag_records is None


def test_reading_ahead_stops_when_enough_waits(tmp_path):
    broker = FakeBroker(clicks=2)
    for n in range(400):
        broker.click(f"clicks/{n % 2}", 1000 + n)
    with running(broker, tmp_path, buffer_records=40) as run:
        run.begin().batch()
        time.sleep(0.1)
        waiting = [run.source._fetcher._handover.waiting(f"clicks/{n}")[0] for n in range(2)]
        assert max(waiting) <= 20 + broker.fetch_records
        assert sum(batch.n_records for batch in run.records(396)) == 396


@pytest.mark.parametrize("cause", ["retention", "recreated", "shortened"])
def test_records_that_are_gone_end_the_run(tmp_path, cause):
    broker = FakeBroker(clicks=1)
    for n in range(8):
        broker.click("clicks/0", 1000 + n)
    end = {"clicks/0": {"offset": 8, "topic_id": broker.ids["clicks"].hex, "ts_ms": 1000}}
    break_log(broker, cause)
    with (
        running(broker, tmp_path) as run,
        pytest.raises(GapError, match=r"clicks\[0\]: .*source\.kafka\.on_gap: earliest"),
    ):
        run.begin(end).batch()


def break_log(broker, cause):
    if cause == "retention":
        for n in range(8, 20):
            broker.click("clicks/0", 1000 + n, f"i{n}")
        broker.log("clicks/0").delete_before(15)
    elif cause == "recreated":
        broker.delete("clicks")
        broker.create("clicks", 1)
        for n in range(20):
            broker.click("clicks/0", 2000 + n, f"new{n}")
    else:
        broker.log("clicks/0").shorten(5)


@pytest.mark.parametrize(
    ("cause", "start", "lost", "expected"),
    [
        ("retention", 15, 7, ["i15", "i16", "i17", "i18", "i19"]),
        ("recreated", 0, 0, [f"new{n}" for n in range(20)]),
        ("shortened", 5, 0, ["later"]),
    ],
)
@pytest.mark.parametrize("is_running", [True, False])
def test_the_reading_goes_on_behind_a_gap(tmp_path, cause, start, lost, expected, is_running):
    broker = FakeBroker(clicks=1)
    for n in range(8):
        broker.click("clicks/0", 1000 + n)
    common = {"on_gap": "earliest", "batch": {"events": 8, "max_age_ms": 20}}
    with ExitStack() as stack:
        run = stack.enter_context(running(broker, tmp_path, **common))
        before = run.begin().records(8)[-1]
        if not is_running:
            run.close()
        break_log(broker, cause)
        broker.tell()
        if not is_running:
            run = stack.enter_context(running(broker, tmp_path, **common))
            run.begin(before.end, before.seq + 1, before.watermark_ms)
        if cause == "shortened":
            run.until(lambda: bool(run.incidents))
            broker.click("clicks/0", 3000, "later")
        batches = run.records(len(expected))
        ranges = next(iter(run.journal.entries(batches[0].seq))).ranges
    assert items(batches) == expected
    assert ranges["clicks/0"].start == start
    [incident] = run.incidents
    assert (incident.kind, incident.name) == ("gap", "clicks/0")
    assert incident.details["cause"] == cause
    assert incident.details["lost_records"] == lost


def test_a_gap_is_told_once_and_not_again_when_the_journal_is_repeated(tmp_path):
    broker = FakeBroker(clicks=1)
    for n in range(4):
        broker.click("clicks/0", 1000 + n)
    with running(broker, tmp_path, on_gap="earliest") as run:
        start = run.source.starting_position()
        broker.log("clicks/0").delete_before(2)
        live = run.begin(start).records(2)
    with running(broker, tmp_path, until_journal_end=True) as again:
        repeated = again.begin(start).rest()
    assert [full(batch) for batch in repeated] == [full(batch) for batch in live]
    assert (len(run.incidents), again.incidents) == (1, [])


def test_records_of_the_journal_that_are_gone_are_told_and_the_rest_is_repeated(tmp_path):
    broker = FakeBroker(clicks=2)
    for n in range(16):
        broker.click(f"clicks/{n % 2}", 1000 + n, f"i{n}")
    with running(broker, tmp_path) as run:
        start = run.source.starting_position()
        live = run.begin(start).records(16)
    broker.log("clicks/0").delete_before(5)
    with (
        running(broker, tmp_path) as run,
        pytest.raises(GapError, match=r"clicks\[0\]: 5 records from offset 0 on"),
    ):
        run.begin(start).records(1)
    broker.click("clicks/0", 2000, "later")
    with running(broker, tmp_path, on_gap="earliest") as run:
        batches = run.begin(start).records(12)
    assert sorted(items(batches)) == sorted(
        [*(f"i{n}" for n in range(1, 16, 2)), "i10", "i12", "i14", "later"]
    )
    assert [batch.seq for batch in batches] == list(range(len(live) + 1))
    assert [incident.details["lost_records"] for incident in run.incidents] == [5]


def test_a_journal_of_a_log_that_was_written_anew_is_not_repeated(tmp_path):
    broker = FakeBroker(clicks=1)
    for n in range(8):
        broker.click("clicks/0", 1000 + n, f"old{n}")
    with running(broker, tmp_path, on_gap="earliest") as run:
        first = run.begin().records(8)[0]
        broker.log("clicks/0").shorten(6)
        run.until(lambda: bool(run.incidents))
        for n in range(6):
            broker.click("clicks/0", 2000 + n, f"new{n}")
        run.records(4)
    with (
        running(broker, tmp_path, on_gap="earliest") as again,
        pytest.raises(GapError, match="what is repeated would be other records"),
    ):
        again.begin(first.end, first.seq + 1, first.watermark_ms).batch()


def test_a_topic_of_the_journal_that_is_not_read_any_more_is_refused(tmp_path):
    broker = FakeBroker(clicks=1, views=1)
    broker.click("views/0", 1000)
    with running(broker, tmp_path, topics=("clicks", "views")) as run:
        run.begin().batch()
    with (
        running(broker, tmp_path) as again,
        pytest.raises(SourceError, match="views/0: the journal goes on in it"),
    ):
        again.begin().batch()


def test_a_gap_beyond_what_was_repeated_is_told_once_over_two_resumes(tmp_path):
    broker = FakeBroker(clicks=1)
    for n in range(12):
        broker.click("clicks/0", 1000 + n, f"i{n}")
    with running(broker, tmp_path) as run:
        start = run.source.starting_position()
        run.begin(start).records(8)
    broker.log("clicks/0").delete_before(10)
    with running(broker, tmp_path, on_gap="earliest") as run:
        assert items(run.begin(start).records(2)) == ["i10", "i11"]
        [incident] = run.incidents
        assert incident.details["lost_records"] == 10
        before = run.journal.next_seq
    broker.click("clicks/0", 2000, "later")
    live_from = {"clicks/0": {"offset": 8, "topic_id": broker.ids["clicks"].hex, "ts_ms": 1000}}
    with running(broker, tmp_path) as run:
        assert items(run.begin(live_from, 2, 1006).records(3)) == ["i10", "i11", "later"]
    assert before == 3


def test_a_topic_created_again_is_never_read_at_the_old_offset(tmp_path):
    broker = FakeBroker(clicks=1)
    for n in range(4):
        broker.click("clicks/0", 1000 + n, f"old{n}")
    with running(broker, tmp_path) as run:
        run.begin().records(4)
        broker.is_mute = True  # nobody tells that it is another topic now
        broker.delete("clicks")
        broker.create("clicks", 1)
        for n in range(8):
            broker.click("clicks/0", 1000 + n, f"new{n}")
        run.until(lambda: broker.opened[-1].fetched_offsets["clicks"] > 4)
        assert [run.step() for _ in range(2)] == [None, None]
        broker.is_mute = False
        with pytest.raises(GapError, match="deleted and created again"):
            run.batch()


def test_a_topic_that_is_gone_is_waited_for(tmp_path):
    broker = FakeBroker(clicks=1)
    broker.click("clicks/0", 1000)
    with running(broker, tmp_path, on_gap="earliest") as run:
        run.begin().batch()
        broker.delete("clicks")
        broker.tell()
        run.until(lambda: "clicks does not exist" in (run.source.status().problem or ""))
        assert run.source.status().is_connected
        broker.create("clicks", 1)
        broker.click("clicks/0", 2000, "new")
        assert items(run.records(1)) == ["new"]
        assert run.source.status().problem is None


@hypothesis_settings(max_examples=50)
@given(data=st.data())
def test_a_repeated_journal_gives_equal_batches_from_any_checkpoint(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("journal")
    broker = FakeBroker(clicks=3, views=1)
    names = ("clicks/0", "clicks/1", "clicks/2", "views/0")
    values = st.tuples(st.sampled_from(names), st.integers(0, 6), st.integers(0, 40))
    sent = data.draw(st.lists(values, min_size=1, max_size=40))
    for n, (name, kind, step) in enumerate(sent):
        if kind == 0:
            broker.send(name, b"not json")
        elif kind == 1:
            broker.log(name).skip(2)
        elif kind == 2:
            broker.click(name, 10**12 + step, f"far{n}")
        else:
            broker.click(name, 1000 * step, f"i{n}")
    n_records = sum(kind != 1 for _, kind, _ in sent)
    batch = {"events": data.draw(st.integers(1, 9)), "max_age_ms": data.draw(st.integers(1, 15))}
    broker.fetch_records = data.draw(st.integers(1, 9))
    common = {"batch": batch, "topics": ("clicks", "views"), "max_ahead": "10s"}
    with running(broker, folder, **common) as run:
        start = run.source.starting_position()
        live = run.begin(start).records(n_records)
    broker.fetch_records = data.draw(st.integers(1, 9))
    from_batch = data.draw(st.integers(0, len(live)))
    before = live[from_batch - 1] if from_batch else None
    common["batch"] = {"events": 3, "max_age_ms": 1}
    with running(broker, folder, until_journal_end=True, **common) as run:
        if before is None:
            run.begin(start)
        else:
            run.begin(before.end, before.seq + 1, before.watermark_ms)
        repeated = run.rest()
    assert [full(one) for one in repeated] == [full(one) for one in live[from_batch:]]
