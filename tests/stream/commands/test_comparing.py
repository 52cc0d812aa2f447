import json
import re
import signal
import subprocess
import sys

import pytest

from stream import cli
from tests.stream.commands.test_replay import clicks, write

FRESHRANK = [sys.executable, "-c", "from stream.cli import main; main()"]
METHODS = ["--set", "threads=1", "--set-a", "champion=popularity", "--set-b", "champion=item_knn"]
# Long after the first line of progress, ten seconds on, there is still something to stop.
SLOW_METHODS = [*METHODS[:-1], "champion=session_knn"]


def call(capsys, *args):
    status = cli.run(["compare", *args])
    out, err = capsys.readouterr()
    return status, out, err


@pytest.fixture
def events(tmp_path):
    return write(tmp_path / "events.jsonl", clicks(2000))


@pytest.fixture
def page(tmp_path):
    return tmp_path / "compare.html"


def settings(path, **keys):
    path.write_text(json.dumps({"threads": 1, **keys}))  # JSON is YAML
    return str(path)


def test_a_verdict_is_printed_and_a_page_and_the_record_written(events, page, tmp_path, capsys):
    found = tmp_path / "found" / "ab.json"
    args = [events, "--out", str(page), "--json", str(found), *METHODS]
    status, out, err = call(capsys, *args)
    assert (status, err) == (0, "")
    assert re.search(r"recall@1 .* B better", out)
    assert "A: popularity" in out
    assert str(page) in out.replace("\n", "")
    assert "</html>" in page.read_text()
    record = json.loads(found.read_text())
    assert record["metrics"]["recall@1"]["better"] == "b"
    assert record["b"]["name"] == "champion=item_knn"


def test_two_files_of_settings_are_a_and_b(events, page, tmp_path, capsys):
    a = settings(tmp_path / "one.yaml", champion="popularity")
    b = settings(tmp_path / "two.YML", champion="item_knn")
    status, out, _ = call(capsys, a, b, events, "--out", str(page))
    assert status == 0
    assert "A: one.yaml" in out
    assert "B: two.YML" in out


def test_the_same_file_twice_differs_by_nothing(events, tmp_path, capsys):
    a = settings(tmp_path / "one.yaml", champion="item_knn")
    found = tmp_path / "ab.json"
    status, out, err = call(capsys, a, a, events, "--no-report", "--json", str(found))
    assert status == 0
    assert err == "warning: A and B have the same settings: every difference is 0\n"
    figures = json.loads(found.read_text())["metrics"].values()
    assert {figure["difference"] for figure in figures} == {0.0}
    assert "equal" in out


def test_quiet_prints_nothing(events, page, capsys):
    assert call(capsys, events, "--out", str(page), "-q", *METHODS) == (0, "", "")
    assert page.exists()


def test_limit_times_columns_and_seeds_are_of_both(tmp_path, capsys):
    rows = write(
        tmp_path / "log.jsonl",
        ({"visitor": f"u{n % 7}", "item": f"i{n % 10}", "ts": n * 60_000} for n in range(900)),
    )
    found = tmp_path / "ab.json"
    args = ["--map", "user=visitor", "--from", "60000", "--until", "1970-01-02", "--limit", "700"]
    status, _, _ = call(
        capsys, rows, *args, "--seeds", "1, 2", "--no-report", "--json", str(found), *METHODS
    )
    record = json.loads(found.read_text())
    assert (status, record["records"], record["seeds"]) == (0, 700, [1, 2])
    assert len(record["metrics"]["recall@20"]["by_seed"]) == 2


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["a.yaml", "events.jsonl"], "names one configuration; name a second one"),
        (["a.yaml", "b.yaml", "c.yaml", "e.jsonl"], "at most two files of settings"),
        (["events.jsonl", "a.yaml"], "at most two files of settings"),
        (["a.yaml", "b.yaml"], "name files of events"),
        (["e.jsonl", "--seeds", "1,x"], "--seeds 1,x: expected whole numbers"),
        (["e.jsonl", "--seeds", ""], "expected whole numbers"),
        (["e.jsonl", "--seeds", "1,1"], "name each seed once"),
        (
            ["e.jsonl", "--set-b", "learner.widht=3"],
            "B: --set: learner.widht: unknown key; did you mean 'width'?",
        ),
        (["e.jsonl", "--set-b", "batch.events=3"], "batch.events: 256 in A, 3 in B"),
        (["nowhere.jsonl"], "nowhere.jsonl"),
        (["e.jsonl", "--out", "."], ".: is a folder"),
    ],
    ids=str,
)
def test_what_cannot_be_compared_is_said(args, told, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "e.jsonl", clicks(5))
    settings(tmp_path / "a.yaml")
    status, out, err = call(capsys, *args)
    assert (status, out) == (2, "")
    assert told in " ".join(err.split())
    assert not (tmp_path / "compare.html").exists()


def test_events_that_are_none_fail_and_say_why(tmp_path, capsys):
    bad = write(tmp_path / "bad.jsonl", clicks(5, user=""))
    status, _, err = call(capsys, bad, "--no-report", *METHODS)
    assert status == 1
    assert "none of 5 records could be used; 5 x" in err


def test_ctrl_c_reports_what_was_seen_so_far(tmp_path):
    events = write(tmp_path / "events.jsonl", clicks(200_000))
    found = tmp_path / "ab.json"
    process = subprocess.Popen(
        [*FRESHRANK, "compare", events, "--no-report", "--json", str(found), *SLOW_METHODS],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    # The first line of progress comes after ten seconds: by then batches were taken.
    assert process.stderr is not None
    first = process.stderr.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert "events/s" in first
    assert process.returncode == 130
    record = json.loads(found.read_text())
    assert record["is_stopped"]
    assert 0 < record["events"] < 200_000
    assert f"of the first {record['events']:,} events" in err
    assert "B better" in out
