from pathlib import Path

import msgspec
import pytest

from stream.errors import SinkError, UsageError
from stream.events import Event
from stream.importers.registry import ImportCounts, import_events, importers
from tests.stream.importers.real_data import real_data


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "log"
    folder.mkdir()
    (folder / "period_0.txt").write_text("1 2\nbroken\n1 3\n")
    (folder / "period_1.txt").write_text("1 4\n")
    return folder


def test_an_import_writes_the_events_and_counts_good_and_bad(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "out" / "events.jsonl"
    counts = import_events("diginetica", source, target)
    assert counts == ImportCounts(
        n_by_type={"click": 3},
        n_bad_rows=1,
        first_bad_rows=(f"{source}/period_0.txt:2: expected a session and an item, got 1 fields",),
    )
    assert target.read_text() == (
        '{"type":"click","user":"1","item":"2","ts":0,"session":"1"}\n'
        '{"type":"click","user":"1","item":"3","ts":2000,"session":"1"}\n'
        '{"type":"click","user":"1","item":"4","ts":604800000,"session":"1"}\n'
    )


def test_counts_add_up() -> None:
    assert ImportCounts({"click": 3, "item": 2}).n_events == 5


def test_an_option_reaches_its_importer(source: Path, tmp_path: Path) -> None:
    counts = import_events("diginetica", source, tmp_path / "events.jsonl", periods=[1])
    assert counts.n_by_type == {"click": 1}


def test_an_unknown_format_names_the_nearest_and_lists_all(source: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        import_events("MOVIE-LENS", source, tmp_path / "events.jsonl")
    assert str(caught.value) == (
        "unknown format 'MOVIE-LENS'; did you mean movielens? "
        "known are movielens, diginetica, open-bandit"
    )


def test_a_format_like_no_other_lists_all(source: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        import_events("xyz", source, tmp_path / "events.jsonl")
    assert str(caught.value) == (
        "unknown format 'xyz'; known are movielens, diginetica, open-bandit"
    )


def test_an_option_of_another_format_is_refused(source: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no option with_catalogue; it takes periods"):
        import_events("diginetica", source, tmp_path / "events.jsonl", with_catalogue=False)


@pytest.mark.parametrize("format_name", list(importers))
def test_a_missing_source_is_refused_before_anything_is_made(
    tmp_path: Path, format_name: str
) -> None:
    with pytest.raises(UsageError, match="nowhere: no such folder or file; looked for"):
        import_events(format_name, tmp_path / "nowhere", tmp_path / "out" / "events.jsonl")
    assert list(tmp_path.iterdir()) == []


def test_a_source_without_a_usable_row_is_refused_with_reasons(tmp_path: Path) -> None:
    (tmp_path / "period_0.txt").write_text("a b c\n" * 5)
    with pytest.raises(UsageError, match=r"no row can be used \(5 bad\): .*period_0\.txt:1: "):
        import_events("diginetica", tmp_path, tmp_path / "events.jsonl")
    assert not (tmp_path / "events.jsonl").exists()


def test_an_empty_source_is_refused(tmp_path: Path) -> None:
    (tmp_path / "period_0.txt").touch()
    with pytest.raises(UsageError, match=r"no row can be used \(0 bad\): its files are empty"):
        import_events("diginetica", tmp_path, tmp_path / "events.jsonl")


def test_a_target_of_unknown_kind_is_refused(source: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"events\.csv: unknown extension"):
        import_events("diginetica", source, tmp_path / "events.csv")


def test_a_target_that_cannot_be_written_is_a_sink_error(source: Path) -> None:
    with pytest.raises(SinkError, match=r"cannot be written: File exists: .*0\.txt;"):
        import_events("diginetica", source, source / "period_0.txt" / "events.jsonl")


@pytest.mark.parametrize(
    ("format_name", "folder", "n_by_type"),
    [
        ("movielens", "ml-100k", {"click": 100_000, "item": 1_682, "user": 943}),
        ("open-bandit", "open-bandit", {"click": 115, "impression": 20_000, "item": 34}),
        ("diginetica", "diginetica", {"click": 993_483}),
    ],
)
def test_a_real_log_makes_the_same_valid_bytes_twice(
    tmp_path: Path, format_name: str, folder: str, n_by_type: dict[str, int]
) -> None:
    source = real_data(folder)
    one, other = tmp_path / "one.jsonl", tmp_path / "other.jsonl"
    counts = import_events(format_name, source, one)
    assert counts == ImportCounts(n_by_type)
    assert import_events(format_name, source, other) == counts
    assert one.read_bytes() == other.read_bytes()
    events = msgspec.json.Decoder(Event).decode_lines(one.read_bytes())
    assert len(events) == counts.n_events
