import gzip
from pathlib import Path

import pytest

from stream.errors import SourceError, UsageError
from stream.importers.rows import (
    BadRows,
    fields_of,
    files_of,
    header_of,
    id_of,
    parsed_rows,
    shown,
    whole_number,
)


def numbered(line_number: int, line: str) -> tuple[int, str]:
    if line == "bad":
        raise ValueError("a bad one")
    return line_number, line


def test_rows_keep_their_line_number_and_blank_lines_hold_none(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"header\na\r\n\n  \nb")
    bad_rows = BadRows()
    assert list(parsed_rows(path, numbered, bad_rows, first_line=2)) == [(2, "a"), (5, "b")]
    assert bad_rows.n_rows == 0


def test_a_row_that_does_not_parse_is_counted_with_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("a\nbad\nc\n")
    bad_rows = BadRows()
    assert list(parsed_rows(path, numbered, bad_rows)) == [(1, "a"), (3, "c")]
    assert (bad_rows.n_rows, bad_rows.first) == (1, (f"{path}:2: a bad one",))


def test_bytes_of_another_encoding_make_a_bad_row(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"a\n\xe9\nc\n")
    bad_rows = BadRows()
    assert [line for _, line in parsed_rows(path, numbered, bad_rows)] == ["a", "c"]
    assert bad_rows.first[0].startswith(f"{path}:2: 'utf-8' codec can't decode")
    latin = parsed_rows(path, numbered, BadRows(), encoding="latin-1")
    assert [line for _, line in latin] == ["a", "é", "c"]


def test_only_the_first_ten_bad_rows_are_kept() -> None:
    bad_rows = BadRows()
    for line_number in range(1, 14):
        bad_rows.add(Path("log"), line_number, "why")
    assert bad_rows.n_rows == 13
    assert len(bad_rows.first) == 10
    assert bad_rows.first[-1] == "log:10: why"


def test_gzip_is_read_by_the_name(tmp_path: Path) -> None:
    path = tmp_path / "log.gz"
    path.write_bytes(gzip.compress(b"head\na\n"))
    assert header_of(path) == "head"
    assert list(parsed_rows(path, numbered, BadRows(), first_line=2)) == [(2, "a")]


@pytest.mark.parametrize("kept_bytes", [15, 40])
def test_a_cut_gzip_file_is_a_source_error(tmp_path: Path, kept_bytes: int) -> None:
    path = tmp_path / "log.gz"
    text = "\n".join(str(number) for number in range(1000))
    path.write_bytes(gzip.compress(text.encode())[:kept_bytes])
    with pytest.raises(SourceError, match=r"log\.gz: cannot be read to its end: .*fetch it again"):
        list(parsed_rows(path, numbered, BadRows()))


def test_a_file_that_only_claims_to_be_gzip_is_a_source_error(tmp_path: Path) -> None:
    path = tmp_path / "log.gz"
    path.write_text("plain")
    with pytest.raises(SourceError, match="Not a gzipped file"):
        header_of(path)


def test_a_missing_file_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="log: cannot be opened: No such file"):
        list(parsed_rows(tmp_path / "log", numbered, BadRows()))


def test_an_empty_file_has_an_empty_header(tmp_path: Path) -> None:
    (tmp_path / "log").touch()
    assert header_of(tmp_path / "log") == ""


def test_a_header_of_another_encoding_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"\xe9\n")
    with pytest.raises(UsageError, match="log:1: is no utf-8 text"):
        header_of(tmp_path / "log")


def test_files_of_a_folder_come_by_name_without_folders(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for name in ("b", "a"):
        (tmp_path / name).touch()
    assert files_of(tmp_path) == [tmp_path / "a", tmp_path / "b"]
    assert files_of(tmp_path / "a") == [tmp_path / "a"]
    assert files_of(tmp_path / "missing") == []


def test_a_row_with_another_number_of_fields_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 3 fields, got 2"):
        fields_of("a|b", "|", 3)


@pytest.mark.parametrize("text", ["", "x" * 1025])
def test_an_id_that_no_event_may_carry_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=f"item: expected 1 to 1024 characters, got {len(text)}"):
        id_of(text, "item")


def test_the_longest_id_is_kept() -> None:
    assert id_of("x" * 1024, "item") == "x" * 1024


@pytest.mark.parametrize("text", ["", "-1", "1.5", "1_000", " 1", "٣", "9" * 19])
def test_what_is_no_whole_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="age: expected a whole number, got"):
        whole_number(text, "age")


def test_a_long_field_is_cut_in_a_reason() -> None:
    assert shown("x" * 41) == repr("x" * 40 + "...")
    assert shown("x" * 40) == repr("x" * 40)
