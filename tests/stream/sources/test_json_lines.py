import io

import pytest

from stream.events import Click
from stream.sources.inputs import Input, find_inputs
from stream.sources.json_lines import JsonLinesReader
from stream.sources.reader import Place, ReaderSettings
from stream.sources.records import joined
from stream.values import DeadLetter


def read(path, data, place=None, **settings):
    path.write_bytes(data)
    (found,) = find_inputs([str(path)])
    return joined(
        list(JsonLinesReader(found, ReaderSettings(**settings)).read(7, place or Place()))
    )


def click(item, ts):
    return b'{"user": "u", "item": "%s", "ts": %d}' % (item, ts)


def test_a_record_knows_its_file_line_time_and_end(tmp_path):
    records = read(tmp_path / "x.jsonl", click(b"a", 5) + b"\n\n{bad\n" + click(b"b", 3))
    assert [type(entry) for entry in records.entries] == [Click, DeadLetter, Click]
    assert records.file_N.tolist() == [7, 7, 7]
    assert records.number_N.tolist() == [1, 3, 4]
    assert records.next_number_N.tolist() == [2, 4, 5]
    assert records.ts_N.tolist() == [5, 5, 3]
    assert records.end_N.tolist() == [36, 42, 77]
    assert records.raws == [click(b"a", 5), b"{bad", click(b"b", 3)]


def test_a_bad_first_record_has_the_time_before_the_place(tmp_path):
    data = click(b"a", 5) + b"\n{bad\n"
    assert read(tmp_path / "x.jsonl", data, Place(36, 2, 99)).ts_N.tolist() == [99]


def test_a_byte_order_mark_is_passed_by(tmp_path):
    records = read(tmp_path / "x.jsonl", b"\xef\xbb\xbf" + click(b"a", 5))
    assert records.entries == [Click("u", "a", 5)]


def test_lines_may_end_as_on_windows(tmp_path):
    records = read(tmp_path / "x.jsonl", click(b"a", 5) + b"\r\n\r\n" + click(b"b", 6) + b"\r\n")
    assert records.entries == [Click("u", "a", 5), Click("u", "b", 6)]
    assert records.number_N.tolist() == [1, 3]


def test_a_dead_letter_names_file_and_line(tmp_path):
    path = tmp_path / "x.jsonl"
    records = read(path, click(b"a", 5) + b'\n{"user": 1')
    assert records.entries[1] == DeadLetter(f"{path}:2", "Input data was truncated", b'{"user": 1')


def test_an_overlong_line_is_buried_with_its_length(tmp_path):
    path = tmp_path / "x.jsonl"
    data = click(b"a", 5) + b"\n" + click(b"b" * 9000, 5) + b"\n" + click(b"c", 6)
    records = read(path, data, max_line_bytes=5000)
    letter = records.entries[1]
    assert letter.reason == "line of 9034 bytes is longer than max_line_bytes 5000"
    assert letter.origin == f"{path}:2"
    assert len(letter.raw) == 4096
    assert records.entries[2] == Click("u", "c", 6)


def test_standard_input_is_lines_too():
    settings = ReaderSettings(stdin=io.BytesIO(click(b"a", 5)))
    (records,) = JsonLinesReader(Input("-", "jsonl"), settings).read(0, Place())
    assert records.entries == [Click("u", "a", 5)]


@pytest.mark.parametrize("chunk_records", [1, 2, 100])
def test_a_bad_record_has_the_time_of_the_one_before_wherever_the_run_ends(tmp_path, chunk_records):
    data = click(b"a", 5) + b"\n{bad\n{bad\n" + click(b"b", 3) + b"\n{bad\n"
    records = read(tmp_path / "x.jsonl", data, chunk_records=chunk_records)
    assert records.ts_N.tolist() == [5, 5, 5, 3, 3]


@pytest.mark.parametrize("chunk_records", [1, 2, 100])
def test_records_come_so_many_at_a_time(tmp_path, chunk_records):
    path = tmp_path / "x.jsonl"
    path.write_bytes(b"\n".join(click(b"a", ts) for ts in range(5)))
    settings = ReaderSettings(chunk_records=chunk_records)
    runs = list(JsonLinesReader(find_inputs([str(path)])[0], settings).read(0, Place()))
    assert max(len(run) for run in runs) == min(chunk_records, 5)
    assert joined(runs).ts_N.tolist() == [0, 1, 2, 3, 4]
