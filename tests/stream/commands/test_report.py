import io
import webbrowser

import pytest
import typer
from rich.console import Console

from stream.commands.report import EXAMPLES, report
from stream.commands.terminal import Terminal
from stream.errors import UsageError
from tests.stream.reporting.rich_run import write_rich_run


@pytest.fixture
def run(tmp_path):
    return write_rich_run(tmp_path / "run", n_records=72)


def call(*args):
    """Standard output and standard error of the command."""
    out, err = io.StringIO(), io.StringIO()
    consoles = [Console(file=file, width=200) for file in (out, err)]
    app = typer.Typer()
    app.command("report", epilog=EXAMPLES)(report)
    terminal = Terminal(*consoles, args=tuple(map(str, args)))
    app(args=list(map(str, args)), standalone_mode=False, obj=terminal)
    return out.getvalue(), err.getvalue()


def test_the_report_s_place_and_size_are_told(run):
    out, err = call(run)
    assert out == f"{run / 'report.html'}, {(run / 'report.html').stat().st_size / 1e6:.1f} MB\n"
    assert err == ""


def test_the_truth_is_marked(run):
    call(run, "--truth", run / "truth.jsonl")
    assert "taste shift" in (run / "report.html").read_text()


def test_the_page_goes_where_it_is_asked_to(run, tmp_path):
    out, _ = call(run, "--out", tmp_path / "today.html")
    assert out.startswith(f"{tmp_path / 'today.html'}, ")
    assert not (run / "report.html").exists()


def test_a_folder_is_no_place_for_a_page(run, tmp_path):
    with pytest.raises(UsageError, match=r"is a folder; name a file, such as .*report\.html"):
        call(run, "--out", tmp_path)


@pytest.mark.parametrize("is_there", [True, False])
def test_the_page_is_opened_if_there_is_a_browser(run, monkeypatch, is_there):
    opened = []

    def open_page(address):
        opened.append(address)
        return is_there

    monkeypatch.setattr(webbrowser, "open", open_page)
    _, err = call(run, "--open")
    assert opened == [(run / "report.html").as_uri()]
    assert ("no browser could be started" in err) != is_there


def test_a_folder_without_a_run_is_wrong_use(tmp_path):
    with pytest.raises(UsageError, match="holds no run"):
        call(tmp_path)


def test_its_help_shows_examples():
    assert EXAMPLES.count("freshrank report ") == 3
