import json
import re
import signal
import subprocess
import sys
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
from rich.console import Console

from stream.commands import producing
from stream.commands.terminal import Terminal
from stream.errors import FreshrankError
from tests.brokers import delete_topic, offsets, read_topic, unique_name

IN_PYTHON = (
    "import sys; from tests.stream.commands.test_producing import call; "
    "sys.exit(call(*sys.argv[1:]))"
)
SECOND_MS = 1000
BEGIN_MS = 1_704_067_200_000


def call(*args):
    """The exit status of `freshrank produce`, whose errors go to the terminal."""
    app = typer.Typer(pretty_exceptions_enable=False)
    app.callback()(lambda: None)
    app.command("produce")(producing.produce)
    terminal = Terminal(out=Console(), err=Console(stderr=True), args=("produce", *args))
    try:
        return app(["produce", *args], standalone_mode=False, obj=terminal) or 0
    except FreshrankError as err:
        terminal.complain(str(err))
        return err.exit_status


def click(n, **changes):
    made = {"type": "click", "user": f"u{n % 7}", "item": f"i{n}", "ts": BEGIN_MS + n * SECOND_MS}
    return made | changes


def written(path, records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return str(path)


@pytest.fixture
def clicks(tmp_path):
    return written(tmp_path / "clicks.jsonl", [click(n) for n in range(500)])


@pytest.fixture
def sent(kafka, topic):
    """Call `produce` with a new topic; the status and what is on the topic then."""

    def produce(*args):
        name = topic(3)
        status = call(*args, "-t", name, "-b", kafka.bootstrap)
        return status, read_topic(kafka.bootstrap, name) if n_messages(kafka, name) else []

    return produce


def n_messages(kafka, name):
    return sum(end - first for first, end in offsets(kafka.bootstrap, name).values())


def events_of(records):
    return [json.loads(record.value) for record in sorted(records, key=lambda one: one.timestamp)]


def test_every_event_is_on_the_topic_under_its_user(clicks, sent, capsys):
    status, records = sent(clicks)
    printed, err = capsys.readouterr()
    assert (status, err) == (0, "")
    by_item = {json.loads(record.value)["item"]: record for record in records}
    assert {item: json.loads(record.value) for item, record in by_item.items()} == {
        f"i{n}": click(n) for n in range(500)
    }
    assert all(record.key == json.loads(record.value)["user"].encode() for record in records)
    counts = [sum(record.partition == n for record in records) for n in range(3)]
    assert re.search(r"events +500 in \d+\.\d s \([\d,]+ events/s\)", printed)
    assert f"by partition: {', '.join(map(str, counts))}" in printed
    assert re.search(r"bad records +0", printed)


def test_a_table_is_read_as_in_a_replay(tmp_path, sent, capsys):
    rows = [
        {"visitor": f"v{n}", "item": f"i{n}", "when": BEGIN_MS + n * SECOND_MS} for n in range(9)
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    args = ["--map", "user=visitor,ts=when", "--from", "2024-01-01T00:00:02", "--limit", "4", "-q"]
    status, records = sent(str(tmp_path / "a.parquet"), *args)
    assert (status, capsys.readouterr()) == (0, ("", ""))
    assert sorted(record.key for record in records) == [b"v2", b"v3", b"v4", b"v5"]


def test_bad_records_are_told_with_their_origins(tmp_path, sent, capsys):
    path = written(tmp_path / "a.jsonl", [click(0), {"user": "u"}, click(1), click(2, user="")])
    status, records = sent(path)
    told = capsys.readouterr().out.splitlines()
    assert (status, len(records)) == (0, 2)
    assert told[-3:-2] == ["bad records  2" + " " * (len(told[-3]) - 14)]
    assert told[-2:] == [
        f"  1 x Object missing required field `item` ({path}:2)",
        f"  1 x Expected `str` of length >= 1 - at `$.user` ({path}:4)",
    ]


def test_raw_lines_arrive_byte_for_byte(tmp_path, sent, capsys):
    lines = [b'{"user": 1, "item": 2,  "ts": 3}', b"\xff noise", b"{}"]
    (tmp_path / "a.jsonl").write_bytes(b"\n".join(lines))
    status, records = sent(str(tmp_path / "a.jsonl"), "--raw")
    assert status == 0
    assert sorted(record.value for record in records) == sorted(lines)
    assert re.search(r"bad, sent too +2", capsys.readouterr().out)


def test_at_a_speed_events_are_produced_when_they_are_due(tmp_path, sent):
    path = written(tmp_path / "a.jsonl", [click(n) for n in range(11)])
    began_s = time.monotonic()
    status, records = sent(path, "--speed", "10", "-q")
    assert status == 0
    assert time.monotonic() - began_s >= 1.0
    at_ms = [record.timestamp for record in sorted(records, key=lambda one: one.timestamp)]
    assert [record["item"] for record in events_of(records)] == [f"i{n}" for n in range(11)]
    assert all(abs(at - at_ms[0] - 100 * n) < 90 for n, at in enumerate(at_ms))


def test_now_moves_all_times_so_that_the_first_event_happens_now(tmp_path, sent, capsys):
    path = written(tmp_path / "a.jsonl", [click(n) for n in range(5)])
    before_ms = time.time_ns() // 1_000_000
    status, records = sent(path, "--now")
    times = sorted(json.loads(record.value)["ts"] for record in records)
    assert status == 0
    assert [ts - times[0] for ts in times] == [n * SECOND_MS for n in range(5)]
    assert before_ms <= times[0] <= time.time_ns() // 1_000_000
    assert re.search(r"event times +moved \d+d.* later", capsys.readouterr().out)


def test_a_topic_is_created_only_when_asked_for(clicks, kafka, capsys):
    name = unique_name()
    args = [clicks, "-t", name, "-b", kafka.bootstrap]
    assert call(*args) == 1
    assert f"error: topic {name}: does not exist" in capsys.readouterr().err
    assert call(*args, "--create", "2") == 0
    assert re.search(r"by partition: \d+, \d+\n", capsys.readouterr().out)
    assert n_messages(kafka, name) == 500
    delete_topic(kafka.bootstrap, name)


def test_an_absent_broker_is_told_by_the_option(clicks, capsys):
    assert call(clicks, "-t", "clicks", "-b", "127.0.0.1:1", "--wait", "0") == 1
    assert "error: --bootstrap: no broker answers at 127.0.0.1:1" in capsys.readouterr().err


def test_a_broker_that_is_not_up_yet_is_waited_for(clicks, capsys):
    assert call(clicks, "-t", "clicks", "-b", "127.0.0.1:1", "--wait", "1.2") == 1
    said = capsys.readouterr().err
    assert "no broker answers yet; waiting for up to 1.2 s" in said
    assert "error: --bootstrap: no broker answers at 127.0.0.1:1" in said


def test_the_connection_may_come_from_the_configuration(clicks, kafka, topic, tmp_path, capsys):
    name = topic(1)
    config = tmp_path / "freshrank.yaml"
    connection = f"{{bootstrap: '{kafka.bootstrap}'}}"
    config.write_text(f"source: {{kafka: {{connection: {connection}, topics: [other]}}}}\n")
    assert call(clicks, "-t", name, "-c", str(config), "-q") == 0
    assert offsets(kafka.bootstrap, name) == {0: (0, 500)}
    config.write_text("source: {limit: 5}\n")
    assert call(clicks, "-t", name, "-c", str(config), "-q") == 2
    assert "has no source.kafka.connection" in capsys.readouterr().err


def test_nothing_usable_ends_with_status_1(tmp_path, sent, capsys):
    path = written(tmp_path / "a.jsonl", [{"visitor": "u"}] * 3)
    status, records = sent(path)
    assert (status, records) == (1, [])
    assert re.search(r"none of 3 records could be used; 3 x .*--map", capsys.readouterr().err)


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ([], "expected one of --bootstrap HOST:PORT and --config FILE"),
        (["-b", "h:1", "-c", "f.yaml"], "expected one of --bootstrap HOST:PORT and --config FILE"),
        (["-b", "localhost"], "--bootstrap: localhost is no address of a broker"),
        (["-b", "h:1", "--speed", "0"], "--speed 0: expected a number above 0"),
        (["-b", "h:1", "--from", "noon"], "--from noon: expected ISO 8601"),
        (["-b", "h:1", "--map", "usr=a"], "'usr' is no event field"),
        (["-b", "h:1", "--raw", "--now"], "--raw sends what was read as it is; leave out --now"),
        (["-b", "h:1", "--raw", "a.csv"], "a.csv: --raw sends JSON lines"),
        (["-b", "h:1", "none.jsonl"], "none.jsonl: no such file"),
    ],
)
def test_wrong_use_ends_with_status_2_before_any_connection(
    args, expected, clicks, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text("user,item,ts\n")
    assert call(clicks, "-t", "clicks", *args) == 2
    assert expected in capsys.readouterr().err


def test_ctrl_c_delivers_what_was_handed_over_and_tells_it(clicks, kafka, topic):
    name = topic(2)
    args = [
        sys.executable,
        "-c",
        IN_PYTHON,
        clicks,
        "-t",
        name,
        "-b",
        kafka.bootstrap,
        "--speed",
        "50",
    ]
    run = subprocess.Popen(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not (n_before := n_messages(kafka, name)):
        assert run.poll() is None
    run.send_signal(signal.SIGINT)
    _, err = run.communicate(timeout=30)
    records = read_topic(kafka.bootstrap, name)
    assert run.returncode == 130
    assert n_before <= len(records) < 500
    last_ms = max(json.loads(record.value)["ts"] for record in records)
    moment = f"2024-01-01T00:0{(last_ms - BEGIN_MS) // 60_000}"
    assert f"stopped: {len(records)} events were delivered, up to event time {moment}" in err
