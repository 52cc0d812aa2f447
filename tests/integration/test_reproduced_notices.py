"""Notices of runs that were killed, reloaded and still go on come out again, byte for byte."""

import json
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tests.daemons import Daemon, live_settings
from tests.feeding import Feeder
from tests.live_runs import n_read
from tests.runs import RESTLESS, SMALL, write_shop

SEED = 7
COMMAND = [sys.executable, "-c", "from stream.cli import main; main()"]
CHECKPOINT = {"anchor_events": 300, "keep_anchors": 2, "keep_named": 2, "every": "50ms"}
# Reactions that change weights and what is learned, on the way from an anchor to a notice.
ALERTS = RESTLESS | {
    "reactions": {"rollback": {"at_most_every": "1h"}, "freeze": {"at_most": "1h"}}
}
# Fires as soon as it is in force.
SOON = {
    "name": "soon",
    "kind": "above",
    "metric": "recall@20",
    "over": "total",
    "threshold": 0.01,
    "min_samples": 1,
}


def reproduced(out: Path, notice: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    """The command, from another folder than the run was started in."""
    return subprocess.run(
        [*COMMAND, "reproduce", notice, "--run", str(out)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def fired(lines: list[str]) -> list[str]:
    return [line for line in lines if json.loads(line).get("state") == "firing"]


def assert_it_comes_out(out: Path, notice: str, cwd: Path) -> None:
    done = reproduced(out, notice, cwd)
    assert done.returncode == 0, done.stderr
    assert "equal, byte for byte, after" in done.stdout


@pytest.mark.timeout(600)
def test_a_notice_of_a_replay_that_was_killed_comes_out_again(tmp_path):
    rng = random.Random(SEED)
    write_shop(tmp_path / "events.jsonl", 1_500)
    settings = SMALL | {"checkpoint": CHECKPOINT, "alerts": ALERTS}
    (tmp_path / "settings.yaml").write_text(yaml.safe_dump(settings))
    arguments = ["replay", "events.jsonl", "--config", "settings.yaml", "--out", "run"]
    resume: list[str] = []
    for _ in range(2):
        process = subprocess.Popen(
            [*COMMAND, *arguments, "--quiet", "--no-report", *resume], cwd=tmp_path
        )
        alerts = tmp_path / "run" / "alerts.jsonl"
        n_bytes = alerts.stat().st_size if alerts.exists() else 0
        while process.poll() is None and not (alerts.exists() and alerts.stat().st_size > n_bytes):
            time.sleep(0.05)
        time.sleep(rng.uniform(0.0, 1.0))
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=60)
        resume = ["--resume"]
    command = [*COMMAND, *arguments, "--quiet", "--no-report", "--resume"]
    assert subprocess.run(command, cwd=tmp_path, timeout=300, check=False).returncode == 0
    starts = json.loads((tmp_path / "run" / "starts.json").read_text())
    assert len(starts) == 1, "a kill leaves no trace"
    notices = fired((tmp_path / "run" / "alerts.jsonl").read_text().splitlines())
    out, elsewhere = tmp_path / "run", Path("/")
    assert_it_comes_out(out, notices[-1], elsewhere)
    done = reproduced(out, json.dumps(json.loads(notices[-1]) | {"value": 0.5}), elsewhere)
    assert done.returncode == 1
    assert '-  "value": 0.5,' in done.stdout
    early = next(json.loads(line) for line in notices if json.loads(line)["anchor"])
    done = reproduced(out, f"{early['seq']}:{early['name']}", elsewhere)
    assert done.returncode == 1
    assert re.search(rf"{early['anchor']}: the anchor of the notice is not kept", done.stderr)


@pytest.mark.timeout(600)
def test_a_notice_of_a_daemon_that_was_killed_and_reloaded_comes_out_while_it_runs(
    kafka, topic, tmp_path
):
    name = topic(3)
    events = write_shop(tmp_path / "events.jsonl", 1_500).read_bytes().splitlines()
    settings = live_settings(
        kafka.bootstrap,
        [name],
        {"idle_after": "3s", "backlog_records": 200},
        joiner={"labels": "eager", "max_pending": 4},
        alerts=ALERTS,
        checkpoint=CHECKPOINT | {"keep_named": 100},
        batch={"events": 32, "max_age_ms": 100},
    )
    daemon = Daemon(settings, tmp_path / "run")
    feeder = Feeder(kafka.bootstrap, name, events, SEED, lambda: n_read(daemon))
    rng = random.Random(SEED)
    with feeder, daemon:
        for _ in range(2):
            n_entries = len(daemon.entries())
            daemon.wait_until(lambda n=n_entries: len(daemon.entries()) > n + 10)
            time.sleep(rng.uniform(0.0, 1.0))
            daemon.kill()
            daemon.start()
        rules = [*ALERTS["rules"], SOON]
        daemon.write_settings(settings | {"alerts": ALERTS | {"rules": rules}})
        daemon.wait_until(daemon.is_ready)
        daemon.signal(signal.SIGHUP)
        daemon.wait_until(lambda: written(daemon, "soon"))
        notices = [line for rule in ("soon", "loss_high") for line in written(daemon, rule)[-1:]]
        before = daemon.journal_bytes()
        for notice in notices:
            assert_it_comes_out(daemon.out, notice, tmp_path)
        assert daemon.journal_bytes().startswith(before)
        assert daemon.is_ready()
        reload_seq = next(entry.seq for entry in daemon.entries() if entry.commands)
        assert json.loads(notices[0])["seq"] > reload_seq


def written(daemon: Daemon, rule: str) -> list[str]:
    """The lines of a rule's firing notices, as far as they are written."""
    lines = (daemon.out / "alerts.jsonl").read_bytes().splitlines(keepends=True)
    whole = [line.decode() for line in lines if line.endswith(b"\n")]
    return [line for line in fired(whole) if json.loads(line)["rule"] == rule]
