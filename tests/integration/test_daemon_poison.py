"""Records that cannot be used: each is a dead letter with its origin, and the stream goes on."""

import random
from dataclasses import dataclass
from typing import Any

import pytest

from stream.decoding import MAX_RAW_BYTES
from tests.brokers import create_topic, delete_topic, produce, read_topic, unique_name
from tests.daemons import Daemon, live_settings
from tests.live_runs import assert_each_record_was_taken_in_once, clicks, n_read, summary_of

NOISE = random.Random(0).randbytes(1_000_000)
# Room for it on a topic, but not for the headers that a dead letter has beside.
TIGHT = random.Random(1).randbytes(1_048_400)

# What is wrong, and a part of the reason that is given for it.
POISON: dict[str, tuple[bytes | None, str]] = {
    "null value": (None, "null value"),
    "empty value": (b"", "truncated"),
    "no JSON": (b"not JSON", "JSON is malformed"),
    "half a record": (b'{"user": "u1", "item": "i1", "ts": 17000', "truncated"),
    "a megabyte of noise": (NOISE, "can't decode byte"),
    "more noise than fits": (TIGHT, "can't decode byte"),
    "wrong types": (b'{"user": 7, "item": ["a"], "ts": "soon"}', "at `$.item`"),
    "unknown type": (
        b'{"type": "dream", "user": "u1", "item": "i1", "ts": 1700000000000}',
        "Invalid value 'dream' - at `$.type`",
    ),
    "missing field": (b'{"user": "u1", "item": "i1"}', "missing required field `ts`"),
    "no UTF-8": (
        b'{"user": "u\xff\xfe", "item": "i1", "ts": 1700000000000}',
        "can't decode byte 0xff",
    ),
    "deep nesting": (b'{"a":' * 50_000, "recursion"),
    "deep nesting of what is ignored": (
        b'{"user": "u1", "item": "i1", "ts": 1700000000000, "x": ' + b"[" * 50_000 + b"]" * 50_000,
        "recursion",
    ),
    "a huge integer": (
        b'{"user": "u1", "item": "i1", "ts": ' + b"9" * 5_000 + b"}",
        "out of range",
    ),
    "a huge integer as an id": (
        b'{"user": ' + b"9" * 5_000 + b', "item": "i1", "ts": 1700000000000}',
        "out of range",
    ),
    "a huge number": (b'{"user": "u1", "item": "i1", "ts": 1e400}', "out of range"),
    "an array": (b'["u1", "i1", 1700000000000]', "Expected `object`, got `array`"),
    "a string": (b'"click"', "Expected `object`, got `str`"),
    "a null": (b"null", "Expected `object`, got `null`"),
}
N_IN_A_ROW = 1_000


@dataclass(frozen=True)
class Poisoned:
    """What became of a stream of good and bad records."""

    daemon: Daemon
    bootstrap: str
    topic: str
    lines: list[dict[str, Any]]
    messages: list[Any]
    origins: dict[str, str]

    def line(self, kind: str) -> dict[str, Any]:
        [line] = [line for line in self.lines if line["origin"] == self.origins[kind]]
        return line

    def message(self, kind: str) -> Any:
        origin = self.origins[kind].encode()
        [message] = [one for one in self.messages if headers_of(one)["freshrank-origin"] == origin]
        return message


def headers_of(message: Any) -> dict[str, bytes]:
    return dict(message.headers)


@pytest.fixture(scope="module")
def poisoned(kafka, tmp_path_factory) -> Poisoned:
    topic = create_topic(kafka.bootstrap, unique_name(), 2)
    letters = create_topic(kafka.bootstrap, unique_name())
    good, origins = iter(clicks(len(POISON))), {}
    for number, (kind, (value, _)) in enumerate(POISON.items()):
        partition = number % 2
        [_, (_, offset)] = produce(kafka.bootstrap, topic, [next(good), value], partition=partition)
        origins[kind] = f"{topic}[{partition}]@{offset}"
    row = [b"bad %d" % number for number in range(N_IN_A_ROW)]
    produce(kafka.bootstrap, topic, [*row, *clicks(1, 900)], partition=0)
    n_produced = 2 * len(POISON) + N_IN_A_ROW + 1
    settings = live_settings(
        kafka.bootstrap,
        [topic],
        champion="popularity",
        shadows=[],
        outputs={"kafka": {"dead_letters": letters}},
    )
    with Daemon(settings, tmp_path_factory.mktemp("poisoned") / "run") as daemon:
        daemon.wait_until(lambda: n_read(daemon) == n_produced)
        daemon.wait_until(lambda: not daemon.status()["sinks_pending"]["dead_letters"])
        daemon.sigterm()
        assert daemon.wait() == 0
    yield Poisoned(
        daemon,
        kafka.bootstrap,
        topic,
        daemon.records("dead_letters.jsonl"),
        read_topic(kafka.bootstrap, letters),
        origins,
    )
    for name in (topic, letters):
        delete_topic(kafka.bootstrap, name)


def test_every_record_is_an_event_or_a_dead_letter(poisoned):
    assert_each_record_was_taken_in_once(poisoned.daemon, poisoned.bootstrap, [poisoned.topic])
    assert summary_of(poisoned.daemon)["events"] == len(POISON) + 1
    assert len(poisoned.lines) == len(POISON) + N_IN_A_ROW


@pytest.mark.parametrize("kind", POISON)
def test_a_bad_record_is_kept_with_its_origin_and_the_reason(poisoned, kind):
    value, reason = POISON[kind]
    raw = value or b""
    line, message = poisoned.line(kind), poisoned.message(kind)
    assert reason in line["reason"]
    assert line["raw"] == raw[:MAX_RAW_BYTES].decode("utf-8", "backslashreplace")
    headers = headers_of(message)
    assert headers["freshrank-reason"].decode() == line["reason"]
    if kind == "more noise than fits":
        assert message.value == raw[: len(raw) // 2]
        assert headers["freshrank-cut"] == b"%d" % len(raw)
    else:
        assert message.value == raw
        assert "freshrank-cut" not in headers


def test_a_thousand_bad_records_in_a_row_are_all_kept_in_order(poisoned):
    row = [line for line in poisoned.lines if line["raw"].startswith("bad ")]
    assert [line["raw"] for line in row] == [f"bad {number}" for number in range(N_IN_A_ROW)]
    first = int(row[0]["origin"].rpartition("@")[2])
    assert [line["origin"] for line in row] == [
        f"{poisoned.topic}[0]@{first + number}" for number in range(N_IN_A_ROW)
    ]


def test_topic_and_file_hold_the_same_dead_letters_in_the_same_order(poisoned):
    assert [headers_of(one)["freshrank-origin"].decode() for one in poisoned.messages] == [
        line["origin"] for line in poisoned.lines
    ]


def test_nothing_of_it_is_an_error_of_the_daemon(poisoned):
    assert [line for line in poisoned.daemon.lines() if line["level"] == "error"] == []
    assert poisoned.daemon.records("incidents.jsonl") == []
