import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time

import pytest

from stream import cli

# Fast to learn; everything else is as it is by default.
FAST = ["--set", "champion=item_knn", "--set", "shadows=[popularity]", "--set", "threads=1"]
FRESHRANK = [sys.executable, "-c", "from stream.cli import main; main()"]
DAY_MS = 86_400_000


def call(capsys, *args):
    status = cli.run(args)
    out, err = capsys.readouterr()
    return status, out, err


def clicks(n_clicks, **changes):
    """Clicks a minute apart; everybody walks through the same ten items."""
    for n in range(n_clicks):
        yield {"user": f"u{n % 7}", "item": f"i{n // 7 % 10}", "ts": n * 60_000} | changes


def write(path, records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return str(path)


@pytest.fixture
def events(tmp_path):
    return write(tmp_path / "events.jsonl", clicks(2000))


@pytest.fixture
def out(tmp_path):
    return tmp_path / "run"


def test_a_replay_prints_a_summary_and_where_it_lies(events, out, capsys):
    status, printed, err = call(capsys, "replay", events, "--out", str(out), *FAST)
    assert (status, err) == (0, "")
    assert re.search(r"item_knn +0\.\d{3}", printed)
    assert re.search(r"popularity .*[+-]0\.\d{3} \[", printed)
    assert re.search(r"events +2,000 in ", printed)
    assert str(out) in printed.replace("\n", "")
    assert json.loads((out / "summary.json").read_text())["events"] == 2000


def test_quiet_prints_nothing_and_writes_the_same(events, out, tmp_path, capsys):
    assert call(capsys, "replay", events, "--out", str(out), "-q", *FAST) == (0, "", "")
    call(capsys, "replay", events, "--out", str(tmp_path / "loud"), *FAST)
    loud = (tmp_path / "loud" / "metrics.jsonl").read_bytes()
    assert (out / "metrics.jsonl").read_bytes() == loud


def test_dead_letters_are_counted_by_reason(events, out, tmp_path, capsys):
    bad = write(tmp_path / "bad.jsonl", [*clicks(5), *clicks(3, ts=None), *clicks(2, user="")])
    status, printed, _ = call(capsys, "replay", bad, "--out", str(out), *FAST)
    assert status == 0
    assert "5 in " in printed
    assert re.search(r"3 x Expected .*\$\.ts", printed)
    assert re.search(r"2 x Expected .*\$\.user", printed)


def test_columns_times_and_limit_are_settings_of_the_source(out, tmp_path, capsys):
    table = tmp_path / "log.csv"
    rows = [f"{n % 3},{n % 5},{(7300 + n) * DAY_MS}" for n in range(30)]
    table.write_text("\n".join(["visitorid,itemid,timestamp", *rows]) + "\n")
    status, _, err = call(
        capsys,
        *["replay", str(table), "--map", "user=visitorid,item=itemid,ts=timestamp"],
        *["--from", "1990-01-01", "--until", str(7320 * DAY_MS), "--limit", "12"],
        *["--out", str(out), "-q", *FAST],
    )
    assert (status, err) == (0, "")
    assert json.loads((out / "summary.json").read_text())["events"] == 12
    checked = cli.run(["check", str(out / "config.yaml"), "--show"])
    shown = capsys.readouterr().out
    assert checked == 0
    assert f"from_ms: {7305 * DAY_MS}" in shown
    assert f"until_ms: {7320 * DAY_MS}" in shown
    assert "limit: 12" in shown
    assert "user: visitorid" in shown


def test_options_win_over_the_configuration(events, out, tmp_path, capsys):
    config = tmp_path / "freshrank.yaml"
    config.write_text("source: {limit: 500, map: {item: item}}\nchampion: counting\nshadows: []\n")
    args = ["replay", events, "-c", str(config), "--limit", "300", "--out", str(out), "-q"]
    assert call(capsys, *args) == (0, "", "")
    assert json.loads((out / "summary.json").read_text())["records"] == 300


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["--map", "user"], "--map user: expected FIELD=COLUMN"),
        (["--map", "usr=visitorid"], "'usr' is no event field"),
        (["--from", "yesterday"], "--from yesterday: expected ISO 8601"),
        (["--until", "-1"], "--until -1: expected ISO 8601"),
        (["--speed", "0"], "--speed 0: expected a number above 0"),
        (["--speed", "nan"], "--speed nan: expected a number above 0"),
        (["--set", "learner.widht=8"], "learner.widht: unknown key; did you mean 'width'?"),
        (["--set", "batch.events"], "expected key=value"),
        (["--resume"], "holds no run to resume"),
    ],
)
def test_wrong_settings_end_with_status_2_and_a_reason(args, expected, events, out, capsys):
    status, printed, err = call(capsys, "replay", events, "--out", str(out), *FAST, *args)
    assert (status, printed) == (2, "")
    assert err.startswith("error: ")
    assert expected in err
    assert not (out / "config.yaml").exists()


def test_two_wrong_settings_are_two_errors(events, out, capsys):
    wrong = ["--set", "batch.evnets=1", "--set", "learner.width=none"]
    _, _, err = call(capsys, "replay", events, "--out", str(out), *wrong)
    assert [line.split()[0] for line in err.splitlines()] == ["error:", "error:"]


def test_a_run_is_not_written_over(events, out, capsys):
    args = ["replay", events, "--out", str(out), "-q", *FAST]
    assert cli.run(args) == 0
    before = (out / "metrics.jsonl").read_bytes()
    status, _, err = call(capsys, *args)
    assert status == 2
    assert "holds a run already; add --resume" in err
    assert (out / "metrics.jsonl").read_bytes() == before


def test_a_failed_run_ends_with_status_1(events, out, tmp_path, capsys):
    args = ["replay", events, "--out", str(out), "-q", *FAST]
    assert cli.run([*args, "--limit", "500"]) == 0
    write(tmp_path / "events.jsonl", clicks(2000, user="another"))
    status, _, err = call(capsys, *args, "--resume")
    assert status == 1
    assert "is not the file that the checkpoint was reading" in err


def test_a_limited_run_that_is_resumed_equals_an_unbroken_one(events, out, tmp_path, capsys):
    whole = tmp_path / "whole"
    assert cli.run(["replay", events, "--out", str(whole), "-q", *FAST]) == 0
    args = ["replay", events, "--out", str(out), *FAST]
    assert cli.run([*args, "-q", "--limit", "1024"]) == 0
    status, _, err = call(capsys, *args, "--resume")
    assert (status, err) == (0, "resuming after 1,024 events\n")
    assert (out / "metrics.jsonl").read_bytes() == (whole / "metrics.jsonl").read_bytes()


def test_a_quiet_run_is_resumed_quietly(events, out, capsys):
    args = ["replay", events, "--out", str(out), "-q", *FAST]
    assert call(capsys, *args, "--limit", "256") == (0, "", "")
    assert call(capsys, *args, "--resume") == (0, "", "")


def test_a_time_of_zero_is_a_time(events, out, capsys):
    args = ["replay", events, "--out", str(out), *FAST, "--until", "1970-01-01"]
    status, printed, _ = call(capsys, *args)
    assert status == 0
    assert re.search(r"events +0 in ", printed)


def test_a_replay_without_a_click_says_so(out, tmp_path, capsys):
    items = [{"type": "item", "item": "i1", "ts": 1}]
    status, printed, _ = call(
        capsys, "replay", write(tmp_path / "items.jsonl", items), "--out", str(out), *FAST
    )
    assert status == 0
    assert "No click was judged" in printed


def start(args, **options):
    return subprocess.Popen(
        [*FRESHRANK, *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
        **options,
    )


def wait_until_it_runs(process, out):
    """The settings are written after the handlers are set, and before the first event."""
    end_s = time.monotonic() + 120
    while not (out / "config.yaml").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end_s
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_leaves_a_run_that_can_be_resumed(number, status, events, out, tmp_path):
    # An event a minute: unpaced it is over at once, paced it takes 40 s.
    args = ["replay", events, "--out", str(out), *FAST, "--set", "batch.events=16"]
    process = start([*args, "--speed", "3000"])
    wait_until_it_runs(process, out)
    process.send_signal(number)
    printed, err = process.communicate(timeout=60)
    assert process.returncode == status, err
    assert json.loads((out / "summary.json").read_text())["events"] < 2000
    assert "events " in printed
    *_, told, command = err.splitlines()
    assert told == "stopped; go on with:"
    program, *resume_args = shlex.split(command)
    assert program == "freshrank"

    free = [arg for arg in resume_args if arg not in ("--speed", "3000")]
    assert cli.run([*free, "-q"]) == 0
    whole = tmp_path / "whole"
    assert cli.run(["replay", events, "--out", str(whole), "-q", *args[4:]]) == 0
    assert (out / "metrics.jsonl").read_bytes() == (whole / "metrics.jsonl").read_bytes()


@pytest.mark.slow
def test_ctrl_c_again_aborts_what_cannot_end(out):
    # Standard input that stays open and silent: the batch in hand never ends.
    process = start(["replay", "-", "--out", str(out), *FAST], stdin=subprocess.PIPE)
    wait_until_it_runs(process, out)
    n_signals = 0
    while process.poll() is None and n_signals < 100:
        process.send_signal(signal.SIGINT)
        n_signals += 1
        time.sleep(0.2)
    _, err = process.communicate(timeout=60)
    assert n_signals >= 2
    assert process.returncode == 130
    assert err == "aborted; a resume goes on from the newest checkpoint\n"


@pytest.mark.slow
def test_ctrl_c_does_not_wait_for_the_next_event(out, tmp_path):
    far_apart = [*clicks(16), *clicks(16, ts=30 * DAY_MS)]
    events = write(tmp_path / "far.jsonl", far_apart)
    paced = ["--speed", "1", "--set", "batch.events=16"]
    process = start(["replay", events, "--out", str(out), *FAST, *paced])
    wait_until_it_runs(process, out)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130


def test_a_refused_resume_touches_nothing_and_the_run_can_go_on(events, out, capsys):
    start = ["replay", events, "--out", str(out), "-q", *FAST]
    assert call(capsys, *start) == (0, "", "")
    files = [path for path in out.rglob("*") if path.is_file() and path.name != "run.lock"]
    before = {path: path.read_bytes() for path in files}
    status, _, err = call(capsys, *start, "--resume", "--set", "batch.events=17")
    assert status == 1
    assert "batch.events was" in err
    assert {path: path.read_bytes() for path in before} == before
    assert call(capsys, *start, "--resume")[0] == 0


def test_a_resume_without_settings_takes_those_of_the_run(events, out, capsys):
    start = ["replay", events, "--out", str(out), "-q"]
    assert call(capsys, *start, "--limit", "256", *FAST)[0] == 0
    assert call(capsys, *start, "--resume") == (0, "", "")
    assert json.loads((out / "summary.json").read_text())["records"] > 256


def test_a_resume_of_nothing_leaves_nothing_behind(events, out, capsys):
    status, _, err = call(capsys, "replay", events, "--out", str(out), "--resume")
    assert status == 2
    assert "holds no run to resume" in err
    assert not out.exists()


def test_outputs_that_no_run_left_are_not_written_over(events, out, capsys):
    out.mkdir()
    (out / "metrics.jsonl").write_text("mine\n")
    status, _, err = call(capsys, "replay", events, "--out", str(out), *FAST)
    assert status == 2
    assert "holds metrics.jsonl, which this run would write over" in err
    assert (out / "metrics.jsonl").read_text() == "mine\n"


def test_a_log_without_one_usable_record_fails_and_says_why(out, tmp_path, capsys):
    log = tmp_path / "log.jsonl"
    log.write_text('{"visitor": "u", "item": "i", "ts": 5}\n' * 9)
    status, _, err = call(capsys, "replay", str(log), "--out", str(out), "-q", *FAST)
    assert status == 1
    assert "none of 9 records could be used; 9 x Object missing required field `user`" in err


def test_times_in_seconds_are_warned_of(out, tmp_path, capsys):
    log = tmp_path / "log.jsonl"
    log.write_text('{"user": "u", "item": "i", "ts": 1732320008}\n')
    status, _, err = call(capsys, "replay", str(log), "--out", str(out), "-q", *FAST)
    assert status == 0
    assert "lies in 1970; if these are seconds, multiply them by 1000" in " ".join(err.split())
