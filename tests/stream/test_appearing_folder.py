import pytest

from stream.appearing_folder import appearing, unfinished_folder
from stream.errors import SinkError, UsageError


def test_a_folder_appears_whole_at_the_end(tmp_path):
    with appearing(tmp_path / "runs" / "base") as folder:
        (folder / "file").write_text("all")
        assert not (tmp_path / "runs" / "base").exists()
    assert (tmp_path / "runs" / "base" / "file").read_text() == "all"
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["base"]


def test_a_folder_whose_filling_fails_is_not_there(tmp_path):
    with pytest.raises(ZeroDivisionError), appearing(tmp_path / "base") as folder:
        (folder / "file").write_text("half")
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_cleared(tmp_path):
    unfinished_folder(tmp_path / "base").mkdir()
    (unfinished_folder(tmp_path / "base") / "half").write_text("half")
    with appearing(tmp_path / "base"):
        pass
    assert list((tmp_path / "base").iterdir()) == []


def test_a_folder_that_exists_is_left_as_it_is(tmp_path):
    (tmp_path / "base").mkdir()
    with (
        pytest.raises(UsageError, match="base: exists already; name another --out"),
        appearing(tmp_path / "base"),
    ):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["base"]


def test_where_no_folder_can_be_made_says_so(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(SinkError, match=r"base\.unfinished: cannot be made: Not a directory"),
        appearing(tmp_path / "file" / "base"),
    ):
        pass
