import inspect

import pytest

from stream import cli
from stream.commands.importing import import_log
from stream.importers.registry import importers


def call(capsys, *args):
    status = cli.run(args)
    out, err = capsys.readouterr()
    return status, out, err


@pytest.fixture
def log(tmp_path):
    folder = tmp_path / "diginetica"
    folder.mkdir()
    (folder / "period_0.txt").write_text("1 11\n1 12\n2 11\n")
    (folder / "period_1.txt").write_text("3 11\nbroken\n")
    return folder


def test_an_import_is_counted_and_its_replay_proposed(log, tmp_path, capsys):
    target = tmp_path / "clicks.jsonl"
    status, printed, err = call(capsys, "import", "diginetica", str(log), str(target))
    assert status == 0
    first, counts, last = printed.splitlines()
    assert first.startswith(f"{target}, ")
    assert counts == "  4 events: 4 click"
    assert last == f"try: freshrank replay {target}"
    assert err.splitlines()[0] == "warning: 1 rows could not be used; the first:"
    assert "period_1.txt:2: " in err
    assert len(target.read_text().splitlines()) == 4


def test_only_the_periods_asked_for_are_taken(log, tmp_path):
    target = tmp_path / "clicks.jsonl"
    args = ["import", "diginetica", str(log), str(target), "--periods", "0"]
    assert cli.run(args) == 0
    assert len(target.read_text().splitlines()) == 3


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["--periods", "0-1"], "--periods 0-1: expected numbers separated by commas"),
        (["--periods", "7"], "has no period_7.txt"),
        (["--no-catalogue"], "diginetica has no option with_catalogue"),
    ],
)
def test_wrong_options_are_told(log, tmp_path, capsys, args, expected):
    target = tmp_path / "clicks.jsonl"
    status, _, err = call(capsys, "import", "diginetica", str(log), str(target), *args)
    assert status == 2
    assert expected in err
    assert not target.exists()


def test_the_help_names_every_format():
    option = inspect.signature(import_log).parameters["format_name"].annotation.__metadata__[0]
    assert [name for name in importers if name not in option.help] == []


def test_a_file_that_exists_is_not_written_over(tmp_path, capsys):
    target = tmp_path / "events.jsonl"
    target.write_text("mine\n")
    assert cli.run(["import", "diginetica", str(tmp_path), str(target)]) == 2
    assert "exists already; remove it, or name another file" in capsys.readouterr().err
    assert target.read_text() == "mine\n"
