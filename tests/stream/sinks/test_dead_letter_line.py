import msgspec
from hypothesis import given
from hypothesis import strategies as st

from stream.decoding import MAX_RAW_BYTES
from stream.sinks.dead_letter_line import dead_letter_line


def letter(raw):
    return {
        "seq": 4,
        "name": "dead_letter-0",
        "origin": "clicks[2]@7",
        "reason": "no JSON: ü",
        "raw": raw,
    }


@given(raw=st.binary(max_size=64))
def test_raw_bytes_are_written_as_text_in_the_same_place(raw):
    text = raw.decode("utf-8", "backslashreplace")
    assert dead_letter_line(letter(raw)) == msgspec.json.encode(letter(text))


def test_what_is_long_is_cut_to_its_beginning():
    line = dead_letter_line(letter(b"x" * (MAX_RAW_BYTES + 1)))
    assert msgspec.json.decode(line)["raw"] == "x" * MAX_RAW_BYTES


def test_a_character_cut_in_two_is_written_as_its_bytes():
    line = dead_letter_line(letter(b"x" * (MAX_RAW_BYTES - 1) + "ü".encode()))
    assert msgspec.json.decode(line)["raw"][-5:] == "x\\xc3"


def test_the_record_keeps_its_bytes():
    record = letter(b"\xff")
    dead_letter_line(record)
    assert record["raw"] == b"\xff"
