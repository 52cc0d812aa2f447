from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from stream.events import Click, Event, Item, User
from stream.importers.movielens import movielens_events
from stream.importers.rows import BadRows
from tests.stream.importers.real_data import real_data

FLAGS = "|".join("1" if genre in (3, 5) else "0" for genre in range(19))
NO_FLAGS = "|".join("0" * 19)


@pytest.fixture
def recbole(tmp_path: Path) -> Path:
    write(tmp_path / "x.inter", "user_id:token\titem_id:token\trating:float\ttimestamp:float\n")
    add(tmp_path / "x.inter", "2\t20\t3\t30\n1\t10\t5\t20\n2\t10\t1\t30\n1\t20\t4\t30\n")
    write(
        tmp_path / "x.item",
        "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
        "10\tNénette\t1995\tAnimation Children's\n20\tunkonwn\tunkonwn\t\n",
    )
    write(
        tmp_path / "x.user",
        "user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token\n"
        "1\t24\tM\ttechnician\t85711\n",
    )
    return tmp_path


def write(path: Path, text: str, encoding: str = "utf-8") -> None:
    path.write_text(text, encoding=encoding)


def add(path: Path, text: str) -> None:
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")


def imported(source: Path, *, with_catalogue: bool = True) -> list[Event]:
    bad_rows = BadRows()
    events = list(movielens_events(source, bad_rows, with_catalogue=with_catalogue))
    assert bad_rows.first == ()
    return events


def test_recbole_files_become_items_users_and_clicks(recbole: Path) -> None:
    assert imported(recbole) == [
        Item(
            "10",
            20_000,
            title="Nénette",
            category="Animation",
            attributes={"genres": ["Animation", "Children's"], "release_year": 1995},
        ),
        Item("20", 20_000, title="unkonwn"),
        User("1", 20_000, attributes={"age": 24, "gender": "M", "occupation": "technician"}),
        Click("1", "10", 20_000),
        Click("2", "20", 30_000),
        Click("2", "10", 30_000),
        Click("1", "20", 30_000),
    ]


def test_original_ml_100k_files_become_items_users_and_clicks(tmp_path: Path) -> None:
    write(tmp_path / "u.data", "2\t20\t3\t30\n1\t10\t5\t20\n")
    write(
        tmp_path / "u.item",
        f"10|Misérables, Les (1995)|01-Jan-1996||http://x|{FLAGS}\n"
        f"20|unknown||||{NO_FLAGS}\n30|No year|01-Feb-1997|||{NO_FLAGS}\n",
        encoding="latin-1",
    )
    write(tmp_path / "u.user", "1|24|M|technician|85711\n")
    assert imported(tmp_path) == [
        Item(
            "10",
            20_000,
            title="Misérables, Les",
            category="Animation",
            attributes={"genres": ["Animation", "Comedy"], "release_year": 1995},
        ),
        Item("20", 20_000, title="unknown"),
        Item("30", 20_000, title="No year", attributes={"release_year": 1997}),
        User("1", 20_000, attributes={"age": 24, "gender": "M", "occupation": "technician"}),
        Click("1", "10", 20_000),
        Click("2", "20", 30_000),
    ]


def test_ml_1m_files_become_items_users_and_clicks(tmp_path: Path) -> None:
    write(tmp_path / "ratings.dat", "2::20::3::30\n1::10::5::20\n")
    write(
        tmp_path / "movies.dat",
        "10::Vie est belle, La (Life is Rosey) (1987)::Comedy|Sci-Fi\n20::Öl (2000)::Drama\n",
        encoding="latin-1",
    )
    write(tmp_path / "users.dat", "1::F::1::10::48067\n2::M::56::16::70072\n")
    assert imported(tmp_path) == [
        Item(
            "10",
            20_000,
            title="Vie est belle, La (Life is Rosey)",
            category="Comedy",
            attributes={"genres": ["Comedy", "Sci-Fi"], "release_year": 1987},
        ),
        Item(
            "20",
            20_000,
            title="Öl",
            category="Drama",
            attributes={"genres": ["Drama"], "release_year": 2000},
        ),
        User("1", 20_000, attributes={"age": 1, "gender": "F", "occupation": "K-12 student"}),
        User("2", 20_000, attributes={"age": 56, "gender": "M", "occupation": "self-employed"}),
        Click("1", "10", 20_000),
        Click("2", "20", 30_000),
    ]


def test_without_the_catalogue_only_clicks_come(recbole: Path) -> None:
    events = imported(recbole, with_catalogue=False)
    assert events == [event for event in imported(recbole) if isinstance(event, Click)]
    assert len(events) == 4


def test_ratings_alone_are_enough(recbole: Path) -> None:
    (recbole / "x.item").unlink()
    (recbole / "x.user").unlink()
    assert {type(event) for event in imported(recbole)} == {Click}


def test_bad_rows_of_every_file_are_reported(recbole: Path) -> None:
    add(recbole / "x.inter", "1\t2\t3\n1\t2\t3\tnoon\n\t2\t3\t50\n1\t2\t3\t4102444801\n")
    add(recbole / "x.item", "\tt\t1995\tDrama\n")
    add(recbole / "x.user", "3\told\tM\tnone\t1\n4\t5\tM\t21\t1\n")
    bad_rows = BadRows()
    n_by_type = Counter(map(type, movielens_events(recbole, bad_rows)))
    assert n_by_type == {Item: 2, User: 1, Click: 4}
    assert bad_rows.first == (
        f"{recbole}/x.inter:6: expected 4 fields, got 3",
        f"{recbole}/x.inter:7: timestamp: expected a whole number, got 'noon'",
        f"{recbole}/x.inter:8: user_id: expected 1 to 1024 characters, got 0",
        f"{recbole}/x.inter:9: timestamp: expected seconds up to the year 2100, got 4102444801",
        f"{recbole}/x.item:4: item_id: expected 1 to 1024 characters, got 0",
        f"{recbole}/x.user:3: age: expected a whole number, got 'old'",
        f"{recbole}/x.user:4: occupation: expected 0 to 20, got 21",
    )


def test_a_catalogue_without_a_click_has_no_time_and_is_left_out(recbole: Path) -> None:
    write(recbole / "x.inter", "user_id:token\titem_id:token\ttimestamp:float\n")
    assert imported(recbole) == []


def test_the_real_ml_100k_has_its_published_size_and_is_in_order_of_time() -> None:
    events = imported(real_data("ml-100k"))
    assert Counter(map(type, events)) == {Click: 100_000, Item: 1_682, User: 943}
    assert all(one.ts <= other.ts for one, other in pairwise(events))
    toy_story = next(event for event in events if isinstance(event, Item) and event.item == "1")
    assert (toy_story.title, toy_story.category) == ("Toy Story", "Animation")


def test_equal_times_of_the_real_ml_100k_keep_the_file_order() -> None:
    lines = (real_data("ml-100k") / "ml-100k.inter").read_text().splitlines()[1:]
    rows = [line.split("\t") for line in lines]
    expected = [(row[0], row[1]) for row in sorted(rows, key=lambda row: int(row[3]))]
    events = imported(real_data("ml-100k"), with_catalogue=False)
    clicks = [event for event in events if isinstance(event, Click)]
    assert [(click.user, click.item) for click in clicks] == expected
