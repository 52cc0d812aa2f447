"""The layouts in which MovieLens is found on disk, brought to common column names.

| layout | ratings, items, users | fields |
| --- | --- | --- |
| RecBole | `<name>.inter`, `<name>.item`, `<name>.user` | tabs, a header of `name:type` |
| ml-100k | `u.data`, `u.item`, `u.user` | tabs in `u.data`, else bars; latin-1 |
| ml-1m | `ratings.dat`, `movies.dat`, `users.dat` | `::`; latin-1 |
"""

from dataclasses import dataclass
from pathlib import Path

from stream.errors import UsageError
from stream.importers.rows import files_of, header_of

# In the order of their flags in u.item.
FLAGGED_GENRES = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary",
    "Drama", "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi",
    "Thriller", "War", "Western",
)  # fmt: skip
_RATING_COLUMNS = ("user_id", "item_id", "rating", "timestamp")
_REQUIRED = {
    "ratings": ("user_id", "item_id", "timestamp"),
    "items": ("item_id",),
    "users": ("user_id",),
}
_COMMON_NAMES = {"movie_title": "title", "class": "genres", "genre": "genres"}


@dataclass(frozen=True, slots=True)
class Table:
    """A file of rows: `columns` names their fields; rows begin at `first_line`, from 1."""

    path: Path
    separator: str
    columns: tuple[str, ...]
    encoding: str = "latin-1"
    first_line: int = 1


@dataclass(frozen=True, slots=True)
class Layout:
    """The three tables; items and users are None where their file is not there."""

    ratings: Table
    items: Table | None
    users: Table | None


def find_layout(source: Path) -> Layout:
    """The MovieLens tables of a folder, or those beside a file of ratings.

    Raises
    ------
    UsageError
        If there are none, more than one choice, or a header without a needed column.
    """
    found = [path for path in files_of(source) if _is_ratings(path)]
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise UsageError(f"{source}: holds the ratings of several logs ({names}); name one file")
    if not found:
        problem = "holds no MovieLens ratings" if source.exists() else "no such folder or file"
        raise UsageError(
            f"{source}: {problem}; looked for <name>.inter, u.data (ml-100k) or ratings.dat (ml-1m)"
        )
    return _layout_of(found[0])


def _is_ratings(path: Path) -> bool:
    return path.name in ("u.data", "ratings.dat") or path.suffix == ".inter"


def _layout_of(ratings: Path) -> Layout:
    if ratings.name == "u.data":
        items, users = ratings.with_name("u.item"), ratings.with_name("u.user")
        flags = tuple(f"is {genre}" for genre in FLAGGED_GENRES)
        return Layout(
            Table(ratings, "\t", _RATING_COLUMNS),
            _if_there(
                items, "|", ("item_id", "title", "release_date", "video_date", "url", *flags)
            ),
            _if_there(users, "|", ("user_id", "age", "gender", "occupation", "zip_code")),
        )
    if ratings.name == "ratings.dat":
        items, users = ratings.with_name("movies.dat"), ratings.with_name("users.dat")
        return Layout(
            Table(ratings, "::", _RATING_COLUMNS),
            _if_there(items, "::", ("item_id", "title", "genres")),
            _if_there(users, "::", ("user_id", "gender", "age", "occupation", "zip_code")),
        )
    items, users = ratings.with_suffix(".item"), ratings.with_suffix(".user")
    return Layout(
        _with_header(ratings, "ratings"),
        _with_header(items, "items") if items.is_file() else None,
        _with_header(users, "users") if users.is_file() else None,
    )


def _if_there(path: Path, separator: str, columns: tuple[str, ...]) -> Table | None:
    return Table(path, separator, columns) if path.is_file() else None


def _with_header(path: Path, what: str) -> Table:
    names = [name.partition(":")[0] for name in header_of(path).split("\t")]
    columns = tuple(_COMMON_NAMES.get(name, name) for name in names)
    missing = [name for name in _REQUIRED[what] if name not in columns]
    if missing:
        raise UsageError(
            f"{path}:1: the header lacks {', '.join(missing)}; expected tab-separated name:type "
            f"with {', '.join(_REQUIRED[what])}, got {', '.join(names)[:200]}"
        )
    return Table(path, "\t", columns, encoding="utf-8", first_line=2)
