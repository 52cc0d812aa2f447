import msgspec
from hypothesis import given
from hypothesis import strategies as st

from stream.kafka.cluster.connection import ConnectionConfig
from stream.kafka.writing.messages import (
    Destination,
    Message,
    cut_in_half,
    dead_letter_message,
    number_headers,
    number_of,
    record_message,
)
from stream.sinks.jsonl import JsonlSink

LETTER = {
    "seq": 4,
    "name": "dead_letter-0",
    "origin": "clicks[2]@7",
    "reason": "no JSON: ü",
    "raw": b"\x00\xff{",
}

records = st.fixed_dictionaries(
    {
        "seq": st.integers(0, 1 << 40),
        "name": st.text(max_size=8),
        "total": st.floats() | st.none(),
        "by": st.dictionaries(st.text(max_size=3), st.integers(-9, 9), max_size=3),
    }
)


@given(records=st.lists(records, max_size=4))
def test_a_value_is_the_line_of_the_file_without_its_end(records, tmp_path_factory):
    path = tmp_path_factory.mktemp("lines") / "metrics.jsonl"
    sink = JsonlSink(path)
    for record in records:
        sink.write(record)
    sink.flush()
    sink.close()
    values = b"".join(record_message(record).value + b"\n" for record in records)
    assert path.read_bytes() == values


def test_a_record_is_known_by_its_headers():
    message = record_message({"seq": 12, "name": "recall@20"})
    assert message.headers == (("freshrank-seq", b"12"), ("freshrank-name", b"recall@20"))


def test_a_dead_letter_is_the_bytes_that_came():
    message = dead_letter_message(LETTER)
    assert message.value == b"\x00\xff{"
    assert dict(message.headers) == {
        "freshrank-seq": b"4",
        "freshrank-name": b"dead_letter-0",
        "freshrank-origin": b"clicks[2]@7",
        "freshrank-reason": "no JSON: ü".encode(),
    }


def test_a_reason_that_is_no_text_can_be_sent():
    message = dead_letter_message({**LETTER, "reason": "not '\ud800'"})
    assert dict(message.headers)["freshrank-reason"] == rb"not '\ud800'"


def test_only_a_dead_letter_may_be_cut():
    assert dead_letter_message(LETTER).is_cuttable
    assert not record_message({"seq": 0, "name": "ctr"}).is_cuttable


def test_what_is_cut_twice_says_how_long_it_was_at_first():
    cut = cut_in_half(cut_in_half(Message(b"key", b"x" * 1001, (("a", b"b"),), True)))
    assert cut == Message(b"key", b"x" * 250, (("a", b"b"), ("freshrank-cut", b"1001")), True)


@given(run_id=st.text(min_size=1, max_size=8), number=st.integers(0, 1 << 60))
def test_a_run_knows_its_own_messages_and_nobody_elses(run_id, number):
    headers = [("other", b""), *number_headers(run_id, "alerts", number)]
    assert number_of(headers, run_id, "alerts") == number
    assert number_of(headers, run_id + "x", "alerts") is None
    assert number_of(headers, run_id, "metrics") is None


def test_a_message_without_headers_is_nobodys():
    assert number_of([], "r1", "alerts") is None


def test_a_number_that_is_none_is_passed_by():
    headers = dict(number_headers("r1", "alerts", 1)) | {"freshrank-number": b"first"}
    assert number_of(headers.items(), "r1", "alerts") is None


@given(value=st.binary(max_size=99), key=st.none() | st.binary(max_size=9))
def test_the_size_of_a_message_covers_what_is_sent(value, key):
    message = Message(key, value, (("name", b"value"),))
    sent = [*number_headers("f" * 32, "dead_letters", 1 << 60), *message.headers]
    n_bytes = sum(len(name) + len(text) for name, text in sent)
    assert message.n_bytes >= len(value) + len(key or b"f" * 32) + n_bytes


def test_a_record_is_encoded_when_it_is_handed_over():
    record = {"seq": 0, "name": "ctr", "by": {"a": 1}}
    message = record_message(record)
    record["by"]["a"] = 2
    assert msgspec.json.decode(message.value)["by"] == {"a": 1}


def test_an_error_names_the_setting():
    assert (
        Destination("t", "dead_letters", "r", ConnectionConfig(bootstrap="k:9092")).setting
        == "outputs.kafka.dead_letters"
    )
