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
