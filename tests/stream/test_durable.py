import pytest

from stream.durable import write_durably
from stream.errors import SinkError


def test_a_file_is_replaced_whole_and_nothing_is_left_beside_it(tmp_path):
    path = tmp_path / "new" / "summary.json"
    write_durably(path, b"one")
    write_durably(path, b"two")
    assert path.read_bytes() == b"two"
    assert [file.name for file in path.parent.iterdir()] == ["summary.json"]


def test_a_path_that_cannot_be_written_is_named_with_the_reason(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SinkError, match=r"file/summary.json: cannot be written: File exists"):
        write_durably(tmp_path / "file" / "summary.json", b"")
