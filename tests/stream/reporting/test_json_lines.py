import pytest

from stream.errors import UsageError
from stream.reporting.json_lines import JsonLines


def lines_of(tmp_path, data, **options):
    path = tmp_path / "a.jsonl"
    path.write_bytes(data)
    return JsonLines(path, **options)


def test_records_come_in_order_and_blank_lines_are_none(tmp_path):
    lines = lines_of(tmp_path, b'{"n":1}\n\n{"n":2}\n')
    assert list(lines) == [{"n": 1}, {"n": 2}]
    assert (lines.n_bad, lines.is_unfinished, lines.is_read_in_part) == (0, False, False)


@pytest.mark.parametrize("bad", [b"{broken\n", b"[1]\n", b'{"a":"\xff"}\n', b"7\n", b"\x00\n"])
def test_a_line_that_is_no_object_is_counted_and_passed_by(tmp_path, bad):
    lines = lines_of(tmp_path, b'{"n":1}\n' + bad + b'{"n":2}\n')
    assert list(lines) == [{"n": 1}, {"n": 2}]
    assert (lines.n_bad, lines.is_unfinished) == (1, False)


def test_a_last_line_cut_in_the_middle_is_unfinished_and_not_bad(tmp_path):
    lines = lines_of(tmp_path, b'{"n":1}\n{"n":')
    assert list(lines) == [{"n": 1}]
    assert (lines.n_bad, lines.is_unfinished) == (0, True)


def test_a_last_line_that_lacks_only_its_end_is_a_record(tmp_path):
    lines = lines_of(tmp_path, b'{"n":1}\n{"n":2}')
    assert list(lines) == [{"n": 1}, {"n": 2}]
    assert not lines.is_unfinished


def test_no_more_is_read_than_asked_for(tmp_path):
    lines = lines_of(tmp_path, b'{"n":1}\n' * 10, max_bytes=20)
    assert list(lines) == [{"n": 1}] * 2
    assert lines.is_read_in_part


def test_a_file_of_just_the_most_bytes_is_read_whole(tmp_path):
    lines = lines_of(tmp_path, b'{"n":1}\n' * 2, max_bytes=16)
    assert list(lines) == [{"n": 1}] * 2
    assert not lines.is_read_in_part


def test_what_cannot_be_opened_is_wrong_use(tmp_path):
    with pytest.raises(UsageError, match="cannot be read: Is a directory"):
        list(JsonLines(tmp_path))


def test_full_segments_are_read_first_in_order(tmp_path):
    for name, text in [("a.000010", "[3]"), ("a.000009", '{"seq":7}'), ("a", '{"seq":9}')]:
        (tmp_path / f"{name}.jsonl").write_text(text + "\n")
    lines = JsonLines(tmp_path / "a.jsonl")
    assert list(lines) == [{"seq": 7}, {"seq": 9}]
    assert (lines.n_bad, lines.n_dropped, lines.first_seq) == (1, 9, 7)


def test_an_empty_segment_tells_that_those_up_to_it_were_dropped(tmp_path):
    (tmp_path / "a.000004.jsonl").touch()
    lines = lines_of(tmp_path, b'{"seq":9}\n')
    assert list(lines) == [{"seq": 9}]
    assert (lines.n_dropped, lines.first_seq) == (5, 9)


def test_no_more_is_read_than_asked_for_of_all_segments_together(tmp_path):
    (tmp_path / "a.000002.jsonl").write_bytes(b'{"n":1}\n' * 2)
    lines = lines_of(tmp_path, b'{"n":2}\n' * 2, max_bytes=24)
    assert list(lines) == [{"n": 1}, {"n": 1}, {"n": 2}]
    assert (lines.is_read_in_part, lines.n_dropped) == (True, 2)


def test_what_is_put_away_while_it_is_read_is_read_once(tmp_path):
    path = tmp_path / "a.jsonl"
    (tmp_path / "a.000000.jsonl").write_bytes(b'{"n":1}\n')
    path.write_bytes(b'{"n":2}\n')
    reading = iter(JsonLines(path))
    found = [next(reading)]  # the folder was listed, and the newest one opened
    path.rename(tmp_path / "a.000001.jsonl")
    path.write_bytes(b'{"n":3}\n')
    assert [*found, *reading] == [{"n": 1}, {"n": 2}]


def test_a_segment_that_was_just_put_away_is_the_last_one(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"n":1}\n')
    (tmp_path / "a.000000.jsonl").hardlink_to(path)  # as if it was renamed after it was opened
    (tmp_path / "a.000001.jsonl").write_bytes(b'{"n":2}\n')
    assert list(JsonLines(path)) == [{"n": 1}]


def test_a_file_whose_newest_segment_is_not_begun_is_read(tmp_path):
    (tmp_path / "a.000000.jsonl").write_bytes(b'{"n":1}\n')
    assert list(JsonLines(tmp_path / "a.jsonl")) == [{"n": 1}]
