"""MovieLens: a click for each rating, items and users ahead of them."""

import re
from collections.abc import Callable, Iterator
from operator import attrgetter
from pathlib import Path
from typing import Any

from stream.events import MAX_TS_MS, Click, Event, Item, User
from stream.importers.movielens_layouts import FLAGGED_GENRES, Layout, Table, find_layout
from stream.importers.rows import BadRows, fields_of, id_of, parsed_rows, whole_number

_TITLE_WITH_YEAR = re.compile(r"(.*\S)\s*\(([0-9]{4})\)\s*")
_YEAR = re.compile(r"[0-9]{4}")
_GENRE_SEPARATOR = re.compile(r"[| ]")
# ml-1m numbers what ml-100k names; the words are those of its README.
_OCCUPATIONS = (
    "other", "academic/educator", "artist", "clerical/admin", "college/grad student",
    "customer service", "doctor/health care", "executive/managerial", "farmer", "homemaker",
    "K-12 student", "lawyer", "programmer", "retired", "sales/marketing", "scientist",
    "self-employed", "technician/engineer", "tradesman/craftsman", "unemployed", "writer",
)  # fmt: skip


def movielens_events(
    source: Path, bad_rows: BadRows, *, with_catalogue: bool = True
) -> Iterator[Event]:
    """A click for each rating, whatever its value, in order of time.

    Equal times keep the file's order. An item event carries title, first genre as category, and
    as attributes `genres` and `release_year`; a user event the attributes `age` (in ml-1m the
    least of a bracket), `gender` and `occupation`. The clicks are held in memory to be sorted:
    at most some 200 bytes a rating.

    Parameters
    ----------
    source : Path
        A folder in one of the layouts of `stream.importers.movielens_layouts`, or its file of
        ratings.
    bad_rows : BadRows
        Is told of each row that cannot be used.
    with_catalogue : bool
        Whether items and users, as far as their files are there, come at the head, at the time
        of the first click. Without them an item is first known by its first click.

    Raises
    ------
    UsageError
        If no layout is found.
    """
    return _events(find_layout(source), bad_rows, with_catalogue)


def _events(layout: Layout, bad_rows: BadRows, with_catalogue: bool) -> Iterator[Event]:
    clicks = sorted(_clicks(layout.ratings, bad_rows), key=attrgetter("ts"))
    if with_catalogue and clicks:
        first_ts_ms = int(clicks[0].ts)
        if layout.items:
            yield from _upserts(layout.items, _item, first_ts_ms, bad_rows)
        if layout.users:
            yield from _upserts(layout.users, _user, first_ts_ms, bad_rows)
    yield from clicks


def _clicks(table: Table, bad_rows: BadRows) -> Iterator[Click]:
    n_columns = len(table.columns)
    user, item, ts = (table.columns.index(name) for name in ("user_id", "item_id", "timestamp"))

    def click_of(_line_number: int, line: str) -> Click:
        fields = fields_of(line, table.separator, n_columns)
        ts_ms = whole_number(fields[ts], "timestamp") * 1_000
        if ts_ms > MAX_TS_MS:
            raise ValueError(f"timestamp: expected seconds up to the year 2100, got {fields[ts]}")
        return Click(id_of(fields[user], "user_id"), id_of(fields[item], "item_id"), ts_ms)

    return parsed_rows(
        table.path, click_of, bad_rows, encoding=table.encoding, first_line=table.first_line
    )


def _upserts(
    table: Table,
    event_of: Callable[[dict[str, str], int], Event],
    ts_ms: int,
    bad_rows: BadRows,
) -> Iterator[Event]:
    def upsert_of(_line_number: int, line: str) -> Event:
        fields = fields_of(line, table.separator, len(table.columns))
        return event_of(dict(zip(table.columns, fields, strict=True)), ts_ms)

    return parsed_rows(
        table.path, upsert_of, bad_rows, encoding=table.encoding, first_line=table.first_line
    )


def _item(row: dict[str, str], ts_ms: int) -> Item:
    title, year = row.get("title", "").strip(), row.get("release_year", "")
    if match := _TITLE_WITH_YEAR.fullmatch(title):
        title, year = match[1], year or match[2]
    year = year or row.get("release_date", "")[-4:]
    genres = _genres(row)
    attributes: dict[str, Any] = {"genres": genres} if genres else {}
    if _YEAR.fullmatch(year):  # one item of ml-100k says "V", one "unkonwn"
        attributes["release_year"] = int(year)
    return Item(
        id_of(row["item_id"], "item_id"),
        ts_ms,
        title=title or None,
        category=genres[0] if genres else None,
        attributes=attributes or None,
    )


def _genres(row: dict[str, str]) -> list[str]:
    if "genres" in row:
        return [genre for genre in _GENRE_SEPARATOR.split(row["genres"]) if genre]
    return [genre for genre in FLAGGED_GENRES if row.get(f"is {genre}") == "1"]


def _user(row: dict[str, str], ts_ms: int) -> User:
    attributes: dict[str, Any] = {}
    if age := row.get("age"):
        attributes["age"] = whole_number(age, "age")
    if gender := row.get("gender"):
        attributes["gender"] = gender
    if occupation := row.get("occupation"):
        attributes["occupation"] = _occupation(occupation)
    return User(id_of(row["user_id"], "user_id"), ts_ms, attributes=attributes or None)


def _occupation(text: str) -> str:
    if not text.isdecimal():
        return text
    code = whole_number(text, "occupation")
    if code >= len(_OCCUPATIONS):
        raise ValueError(f"occupation: expected 0 to {len(_OCCUPATIONS) - 1}, got {code}")
    return _OCCUPATIONS[code]
