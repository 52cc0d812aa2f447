import pytest

from stream.comparison_report import write_comparison
from stream.errors import SinkError
from tests.stream.comparing.comparisons import small_record


def test_the_page_goes_where_it_is_wanted_and_is_the_same_each_time(tmp_path):
    path = write_comparison(small_record(), tmp_path / "deep" / "ab.html")
    first = path.read_bytes()
    assert write_comparison(small_record(), path).read_bytes() == first
    assert first.startswith(b"<!doctype html>")


def test_a_page_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SinkError, match="cannot be written"):
        write_comparison(small_record(), tmp_path / "file" / "ab.html")
