from pathlib import Path

import pytest

from stream.errors import UsageError
from stream.importers.movielens_layouts import Table, find_layout

RATING_COLUMNS = ("user_id", "item_id", "rating", "timestamp")


def test_a_header_decides_the_columns_and_their_common_names(tmp_path: Path) -> None:
    (tmp_path / "x.inter").write_text("timestamp:float\titem_id:token\tuser_id:token\n")
    (tmp_path / "x.item").write_text("item_id:token\tmovie_title:token_seq\tgenre:token_seq\n")
    layout = find_layout(tmp_path)
    assert layout.ratings == Table(
        tmp_path / "x.inter", "\t", ("timestamp", "item_id", "user_id"), "utf-8", 2
    )
    assert layout.items is not None
    assert layout.items.columns == ("item_id", "title", "genres")
    assert layout.users is None


@pytest.mark.parametrize(("name", "separator"), [("u.data", "\t"), ("ratings.dat", "::")])
def test_a_file_of_ratings_may_be_named(tmp_path: Path, name: str, separator: str) -> None:
    (tmp_path / name).touch()
    layout = find_layout(tmp_path / name)
    assert layout.ratings == Table(tmp_path / name, separator, RATING_COLUMNS, "latin-1", 1)


def test_several_logs_in_a_folder_are_named_and_one_may_be_chosen(tmp_path: Path) -> None:
    (tmp_path / "u.data").touch()
    (tmp_path / "ratings.dat").touch()
    with pytest.raises(UsageError, match=r"several logs \(ratings\.dat, u\.data\); name one file"):
        find_layout(tmp_path)
    assert find_layout(tmp_path / "u.data").ratings.separator == "\t"


def test_a_folder_without_ratings_says_what_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "u.item").touch()
    with pytest.raises(
        UsageError,
        match=r"holds no MovieLens ratings; looked for <name>\.inter, u\.data .* or ratings\.dat",
    ):
        find_layout(tmp_path)


def test_a_missing_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nowhere: no such folder or file; looked for"):
        find_layout(tmp_path / "nowhere")


def test_a_header_without_a_needed_column_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.inter").write_text("user_id:token\titem_id:token\n")
    with pytest.raises(UsageError, match=r"x\.inter:1: the header lacks timestamp; expected"):
        find_layout(tmp_path)
