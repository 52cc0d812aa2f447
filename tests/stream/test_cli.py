import os
import subprocess
import sys
from importlib.metadata import version

import pytest
from typer.testing import CliRunner

from stream import cli

COMMANDS = [
    "demo",
    "replay",
    "compare",
    "run",
    "pretrain",
    "produce",
    "report",
    "export",
    "simulate",
    "import",
    "check",
    "test-alerts",
    "inspect",
    "reproduce",
]


def call(capsys, *args):
    """Exit status, standard output and standard error of a command line."""
    status = cli.run(args)
    out, err = capsys.readouterr()
    return status, out, err


def python(code):
    return subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=120
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command):
    result = CliRunner().invoke(cli.app, [command, "--help"], terminal_width=100)
    assert result.exit_code == 0
    examples = result.output.partition("Examples")[2]
    assert f"freshrank {command}" in examples


def test_the_commands_are_these():
    assert [command.name for command in cli.app.registered_commands] == COMMANDS


def test_help_names_every_command(capsys):
    status, out, _ = call(capsys, "--help")
    assert status == 0
    assert [command for command in COMMANDS if command not in out] == []


def test_no_argument_at_all_shows_the_help(capsys):
    assert call(capsys)[1] == call(capsys, "--help")[1]


def test_the_version_is_told(capsys):
    assert call(capsys, "--version") == (0, f"freshrank {version('freshrank')}\n", "")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_does_not_import_what_is_heavy(command):
    code = (
        "import sys; from stream.cli import run; "
        f"status = run([{command!r}, '--help']); "
        "heavy = {'torch', 'transformers', 'pyarrow'} & set(sys.modules); "
        "sys.exit(repr(heavy) if heavy else status)"
    )
    done = python(code)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["rpelay"], "error: No such command 'rpelay'. Did you mean 'replay'?"),
        (["replay"], "error: Missing argument 'PATHS'."),
        (["replay", "x.jsonl", "--spede", "1"], "error: No such option: --spede"),
        (["replay", "x.jsonl", "--limit", "0"], "error: Invalid value for '--limit'"),
        (["replay", "no-such.jsonl"], "error: no-such.jsonl: no such file"),
        (["inspect", "no-such"], "error: no-such: no such folder"),
        (["check", "no-such.yaml"], "error: no-such.yaml: cannot be read"),
        (["import", "movielnes", "in", "out.jsonl"], "did you mean movielens?"),
    ],
)
def test_wrong_use_is_told_on_stderr_with_status_2(args, expected, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, out, err = call(capsys, *args)
    assert (status, out) == (2, "")
    assert err.startswith("error: ")
    assert expected in err
    assert list(tmp_path.iterdir()) == []


def test_wrong_use_points_to_the_help_of_its_command(capsys):
    _, _, err = call(capsys, "replay", "--spede", "1")
    assert err.splitlines()[-1] == "see: freshrank replay --help"


def test_a_reader_that_goes_away_ends_it_quietly(tmp_path):
    config = tmp_path / "freshrank.yaml"
    config.write_text("")
    code = "from stream.cli import main; import sys; main()"
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-c", code, "check", str(config), "--show"],
        check=False,
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        timeout=120,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")


def test_what_nobody_expected_ends_in_a_traceback(monkeypatch):
    def broken(*args, **options):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("stream.settings.yaml.safe_load", broken)
    with pytest.raises(ZeroDivisionError, match="a bug"):
        cli.run(["simulate", "out", "--seed", "1"])
