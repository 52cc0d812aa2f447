from itertools import pairwise
from pathlib import Path

import pytest

from stream.errors import UsageError
from stream.events import Click
from stream.importers.diginetica import diginetica_events
from stream.importers.rows import BadRows
from tests.stream.importers.real_data import real_data

WEEK_MS = 604_800_000


def write_periods(folder: Path, **rows_by_period: str) -> Path:
    for name, rows in rows_by_period.items():
        (folder / f"{name}.txt").write_text(rows)
    return folder


def test_a_row_is_a_click_of_its_session_at_its_place_in_time(tmp_path: Path) -> None:
    source = write_periods(tmp_path, period_0="7 1\n7 2\n", period_2="9 1\n")
    assert list(diginetica_events(source, BadRows())) == [
        Click("7", "1", 0, session="7"),
        Click("7", "2", 1_000, session="7"),
        Click("9", "1", 2 * WEEK_MS, session="9"),
    ]


def test_periods_are_ordered_by_number_not_by_name(tmp_path: Path) -> None:
    source = write_periods(tmp_path, period_10="1 10\n", period_9="1 9\n", notes="1 1\n")
    assert [click.item for click in diginetica_events(source, BadRows())] == ["9", "10"]


def test_only_the_periods_asked_for_are_taken_in_order_of_time(tmp_path: Path) -> None:
    source = write_periods(tmp_path, period_0="1 0\n", period_1="1 1\n", period_2="1 2\n")
    clicks = diginetica_events(source, BadRows(), periods=[2, 0, 2])
    assert [click.item for click in clicks] == ["0", "2"]


def test_a_single_period_may_be_named(tmp_path: Path) -> None:
    source = write_periods(tmp_path, period_0="1 0\n", period_3="1 3\n")
    clicks = list(diginetica_events(source / "period_3.txt", BadRows()))
    assert clicks == [Click("1", "3", 3 * WEEK_MS, session="1")]


def test_a_bad_row_is_reported_and_moves_no_other(tmp_path: Path) -> None:
    source = write_periods(tmp_path, period_0=f"1 2\n1\n1 2 3\n{'x' * 1025} 1\n1 4\n")
    bad_rows = BadRows()
    clicks = list(diginetica_events(source, bad_rows))
    assert [(click.item, click.ts) for click in clicks] == [("2", 0), ("4", 4_000)]
    path = source / "period_0.txt"
    assert bad_rows.first == (
        f"{path}:2: expected a session and an item, got 1 fields",
        f"{path}:3: expected a session and an item, got 3 fields",
        f"{path}:4: session: expected 1 to 1024 characters, got 1025",
    )


def test_a_row_past_the_end_of_its_week_is_a_bad_row(tmp_path: Path) -> None:
    source = write_periods(tmp_path, period_0="\n" * 604_799 + "1 2\n1 3\n")
    bad_rows = BadRows()
    assert [click.ts for click in diginetica_events(source, bad_rows)] == [WEEK_MS - 1_000]
    assert bad_rows.first[0].endswith("604801: a period of 7 days has at most 604800 rows")


def test_a_period_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    source = write_periods(tmp_path, period_0="1 2\n", period_2="1 2\n")
    with pytest.raises(UsageError, match=r"has no period_1\.txt; it has the periods 0, 2"):
        diginetica_events(source, BadRows(), periods=[0, 1])


def test_a_folder_without_periods_says_what_was_looked_for(tmp_path: Path) -> None:
    source = write_periods(tmp_path, period_01="1 2\n")
    with pytest.raises(UsageError, match=r"holds no DIGINETICA clicks; looked for period_0\.txt"):
        diginetica_events(source, BadRows())


def test_a_missing_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nowhere: no such folder or file; looked for period_0"):
        diginetica_events(tmp_path / "nowhere", BadRows())


def test_the_real_log_has_its_published_size_and_is_in_order_of_time() -> None:
    bad_rows = BadRows()
    clicks = list(diginetica_events(real_data("diginetica"), bad_rows))
    assert len(clicks) == 993_483
    assert len({click.item for click in clicks}) == 43_136
    assert all(one.ts < other.ts for one, other in pairwise(clicks))
    assert bad_rows.n_rows == 0
