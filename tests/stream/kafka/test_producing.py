import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.errors import MessageSizeTooLargeError

from stream.errors import KafkaError, SinkError
from stream.events import Click
from stream.kafka.cluster.connection import ConnectionConfig
from stream.kafka.outbox import Outbox, open_outbox
from stream.kafka.producing import BadRecords, Production, due_times
from stream.sources.file import FileSource, FileSourceConfig, Pace
from stream.sources.records import Records
from stream.values import DeadLetter
from tests.brokers import read_topic
from tests.fakes_producer import FakeProducer
from tests.files import line, lines


class FakeTime:
    """A clock that only sleeping moves."""

    def __init__(self):
        self.now_s = 100.0

    def clock(self):
        return self.now_s

    def sleep(self, seconds):
        self.now_s += seconds


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def outbox_of(producer):
    return Outbox(producer, "clicks", range(4), KafkaError)


def produced(names, producer=None, wait_for=lambda _: None, config=None, **settings):
    """The producer and the production, after it has sent all of these files."""
    producer = producer or FakeProducer()
    source = FileSource(config or FileSourceConfig(), names)
    production = Production(outbox_of(producer), wait_for, **settings)
    production.run(source.records(), source.paths)
    return producer, production


def paced(name, speed=1.0):
    """By event, the second at which it was sent."""
    time = FakeTime()
    sent_at_s = []
    producer = FakeProducer(on_send=lambda _: sent_at_s.append(time.now_s - 100))
    produced([name], producer, Pace(speed, time.clock, time.sleep).wait_for)
    return sent_at_s


def test_events_go_out_as_normalised_json_under_the_id_they_belong_to(folder):
    (folder / "a.jsonl").write_text(
        '{"user": 7, "item": "a", "ts": "1970-01-01T00:00:01", "colour": "red"}\n'
        '{"type": "item", "item": 8, "title": "é", "ts": 1001.0}\n'
        '{"type": "impression", "request_id": 9, "user": "v", "items": [1, "b"], "ts": 1002}\n'
    )
    producer, production = produced(["a.jsonl"])
    assert [(sent.key, sent.value.decode()) for sent in producer.sent] == [
        (b"7", '{"type":"click","user":"7","item":"a","ts":1000}'),
        (b"8", '{"type":"item","item":"8","ts":1001,"title":"é"}'),
        (
            b"v",
            '{"type":"impression","request_id":"9","user":"v","items":["1","b"],"ts":1002}',
        ),
    ]
    assert (production.n_records, production.n_events, production.bad.n_records) == (3, 3, 0)


def test_what_went_out_is_read_as_the_same_events(folder):
    (folder / "a.jsonl").write_bytes(lines(30))
    producer, _ = produced(["a.jsonl"])
    (folder / "b.jsonl").write_bytes(b"\n".join(sent.value for sent in producer.sent))
    entries = [
        e for run in FileSource(FileSourceConfig(), ["a.jsonl"]).records() for e in run.entries
    ]
    again = [
        e for run in FileSource(FileSourceConfig(), ["b.jsonl"]).records() for e in run.entries
    ]
    assert again == [entry for entry in entries if type(entry) is not DeadLetter]


def test_files_are_merged_by_time(folder):
    (folder / "a.jsonl").write_bytes(line(1) + line(4))
    (folder / "b.jsonl").write_bytes(line(0) + line(2) + line(3))
    producer, _ = produced(["a.jsonl", "b.jsonl"])
    assert [msgspec.json.decode(sent.value)["ts"] for sent in producer.sent] == [0, 1, 2, 3, 4]


def test_bad_records_are_counted_by_reason_with_the_first_origins(folder):
    bad = b"{broken\n" * 5 + b'{"user": "", "item": "a", "ts": 1}\n'
    (folder / "a.jsonl").write_bytes(line(0) + bad + line(1))
    producer, production = produced(["a.jsonl"])
    assert len(producer.sent) == production.n_events == 2
    assert production.n_records == 8
    first, second = production.bad.texts()
    assert first.startswith("5 x JSON is malformed")
    assert first.endswith("(a.jsonl:2, a.jsonl:3, a.jsonl:4, ...)")
    assert second == "1 x Expected `str` of length >= 1 - at `$.user` (a.jsonl:7)"


def test_no_more_than_a_hundred_reasons_are_kept():
    bad = BadRecords()
    for number in range(150):
        bad.add("a:1", f"reason {number}")
    assert bad.n_records == 150
    assert len(bad.n_by_reason) == 101
    assert bad.texts()[0] == "50 x other (a:1, a:1, a:1, ...)"


def test_raw_records_go_out_byte_for_byte(folder):
    good = b' {"user": 7,  "item": "a", "ts": 5, "colour": "red"}\r'
    bad = [b"{broken", b"\xff\xfe", b"7", b'{"type":"view","ts":3}']
    (folder / "a.jsonl").write_bytes(b"\n".join([bad[0], good, *bad[1:]]) + b"\n")
    producer, production = produced(["a.jsonl"], is_raw=True)
    assert [sent.value for sent in producer.sent] == [bad[0], good, *bad[1:]]
    assert [sent.key for sent in producer.sent] == [None, b"7", None, None, None]
    assert (production.n_records, production.n_events, production.bad.n_records) == (5, 5, 4)


def test_a_line_that_was_cut_is_not_sent_raw(folder):
    (folder / "a.jsonl").write_bytes(line(0) + b"x" * 3000 + b"\n" + line(1))
    config = FileSourceConfig(max_line_bytes=1000)
    producer, production = produced(["a.jsonl"], config=config, is_raw=True)
    assert [sent.value for sent in producer.sent] == [line(0).strip(), line(1).strip()]
    assert production.bad.texts() == [
        "1 x line of 3000 bytes is longer than max_line_bytes 1000 (a.jsonl:2)"
    ]


@pytest.mark.parametrize("is_raw", [False, True])
def test_what_no_topic_takes_is_a_bad_record(folder, is_raw):
    large = b'{"user":"u","item":"i","ts":1,"context":{"a":"%s"}}\n' % (b"x" * 1_048_500)
    (folder / "a.jsonl").write_bytes(large + line(1))
    producer, production = produced(["a.jsonl"], is_raw=is_raw)
    assert len(producer.sent) == 1
    assert production.bad.texts() == [
        "1 x message of more than 1048576 bytes, which a topic does not take (a.jsonl:1)"
    ]


def test_events_are_sent_when_they_are_due(folder):
    times = [5000, 6000, 6000, 5500, 9000, 10_000]
    (folder / "a.jsonl").write_bytes(b"".join(line(i, ts) for i, ts in enumerate(times)))
    assert paced("a.jsonl", speed=2.0) == [0, 0.5, 0.5, 0.5, 2, 2.5]


def test_one_broken_clock_keeps_nobody_waiting(folder):
    times = [*range(0, 10_000, 1000), 4_000_000_000_000, 0, *range(10_000, 20_000, 1000)]
    (folder / "a.jsonl").write_bytes(b"".join(line(i, ts) for i, ts in enumerate(times)))
    sent_at_s = paced("a.jsonl")
    assert len(sent_at_s) == 22
    assert sent_at_s[-1] < 40


def test_a_bad_record_at_the_head_does_not_begin_the_time(folder):
    hour_ms = 1_704_067_200_000
    good = b"".join(line(i, hour_ms + 1000 * i) for i in range(5))
    (folder / "a.jsonl").write_bytes(b"{bad\n" * 300 + good)
    assert paced("a.jsonl") == [0, 1, 2, 3, 4]


def test_event_times_are_moved_by_one_constant(folder):
    times = [5000, 6000, 5500, 9000]
    (folder / "a.jsonl").write_bytes(b"".join(line(i, ts) for i, ts in enumerate(times)))
    producer, production = produced(["a.jsonl"], now_ms=lambda: 1_000_000)
    sent = [msgspec.json.decode(sent.value, type=Click).ts for sent in producer.sent]
    assert sent == [1_000_000, 1_001_000, 1_000_500, 1_004_000]
    assert production.shift_ms == 995_000


def test_a_time_that_is_moved_too_far_is_a_bad_record(folder):
    (folder / "a.jsonl").write_bytes(line(0, ts=5000) + line(1, ts=0) + line(2, ts=5001))
    producer, production = produced(["a.jsonl"], now_ms=lambda: 3000)
    assert [msgspec.json.decode(sent.value)["ts"] for sent in producer.sent] == [3000, 3001]
    assert production.bad.texts() == [
        "1 x ts 0, moved by -2000 ms, is no time any more (a.jsonl:2)"
    ]


def test_stopped_it_delivers_what_was_handed_over_and_no_more(folder):
    (folder / "a.jsonl").write_bytes(b"".join(line(i) for i in range(1000)))
    producer = FakeProducer(
        acknowledges_at_once=False,
        on_send=lambda number: production.stop() if number == 299 else None,
    )
    outbox = outbox_of(producer)
    production = Production(outbox)
    source = FileSource(FileSourceConfig(), ["a.jsonl"])
    production.run(source.records(), source.paths)
    assert len(producer.sent) == outbox.n_delivered == production.n_records == 300
    assert outbox.delivered_to_ms == 299


def test_a_lost_message_ends_the_production(folder):
    (folder / "a.jsonl").write_bytes(b"".join(line(i) for i in range(1000)))

    def on_send(number):
        if number == 100:
            producer.deliveries[50].fail(MessageSizeTooLargeError("too large"))

    producer = FakeProducer(acknowledges_at_once=False, on_send=on_send)
    with pytest.raises(SinkError, match="too large"):
        produced(["a.jsonl"], producer)
    assert len(producer.sent) == 101


def test_two_productions_send_the_same(folder):
    (folder / "a.jsonl").write_bytes(lines(300))
    first, _ = produced(["a.jsonl"], is_raw=True)
    second, _ = produced(["a.jsonl"], is_raw=True)
    assert len(first.sent) == 300
    assert first.sent == second.sent


@given(
    runs=st.lists(st.lists(st.integers(0, 50) | st.just(None), min_size=1, max_size=9), max_size=4)
)
def test_due_times_never_fall_and_only_a_broken_clock_is_due_before_its_time(runs):
    reached_ms = 0
    for times in runs:
        entries = [DeadLetter("", "", b"") if t is None else Click("u", "i", t) for t in times]
        ts_N = np.array([t or 0 for t in times], np.int64)
        records = Records(entries, [b""] * len(times), ts_N, ts_N, ts_N, ts_N, ts_N)
        due_N = due_times(records, reached_ms)
        assert (np.diff(due_N, prepend=reached_ms) >= 0).all()
        good = sorted(t for t in times if t is not None)
        early = [t for t, due in zip(times, due_N.tolist(), strict=True) if t and due < t]
        assert len(early) <= 1
        assert early == [] or early == good[-1:]
        reached_ms = int(due_N[-1])


def test_two_productions_are_equal_on_every_partition(folder, kafka, topic):
    (folder / "a.jsonl").write_bytes(b"".join(line(i) for i in range(5000)))
    seen = []
    for name in (topic(3), topic(3)):
        source = FileSource(FileSourceConfig(), ["a.jsonl"])
        with open_outbox(ConnectionConfig(bootstrap=kafka.bootstrap), name) as outbox:
            Production(outbox).run(source.records(), source.paths)
        records = read_topic(kafka.bootstrap, name)
        seen.append([(record.partition, record.key, record.value) for record in records])
    first, second = seen
    assert len(first) == 5000
    assert first == second
    times = {}
    for partition, key, value in first:
        event = msgspec.json.decode(value, type=Click)
        assert event.user.encode() == key
        times.setdefault(partition, []).append(event.ts)
    assert all(of_one == sorted(of_one) for of_one in times.values())
