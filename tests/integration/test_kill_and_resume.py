"""SIGKILL at random instants, then resume: equal, byte for byte, to a run that was left alone."""

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tests.runs import RESTLESS, SMALL, contents, write_shop

# One seed where every minute counts, twenty where none does.
SEEDS = [pytest.param(0), *(pytest.param(n, marks=pytest.mark.acceptance) for n in range(1, 20))]
N_KILLS = 4

# Detectors that find something in a shop of four days, and a drop against the day before.
WATCHFUL = [
    *(
        {"kind": "drift", "min_samples": 30, "direction": "both", **rule}
        for rule in (
            {
                "name": "recall_adwin",
                "metric": "recall@20",
                "detector": "adwin",
                "parameters": {"delta": 0.9, "clock": 4},
                "react": "boost",
            },
            {
                "name": "recall_kswin",
                "metric": "recall@20",
                "detector": "kswin",
                "parameters": {"alpha": 0.05, "window_size": 40, "stat_size": 15},
                "feed": "5 samples",
            },
            {
                "name": "ctr_page_hinkley",
                "metric": "ctr",
                "detector": "page_hinkley",
                "parameters": {"threshold": 5},
            },
            {
                "name": "loss_page_hinkley",
                "metric": "log_loss",
                "detector": "page_hinkley",
                "parameters": {"threshold": 0.1, "min_instances": 5},
                "feed": "20 samples",
            },
        )
    ),
    {
        "name": "recall_below_yesterday",
        "kind": "drop",
        "metric": "recall@20",
        "reference": {"same_time_before": "1d", "over": "4h"},
        "share": 0.05,
        "min_samples": 10,
    },
]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The events, the settings, and a run that nobody killed."""
    folder = tmp_path_factory.mktemp("unbroken")
    events = write_shop(folder / "events.jsonl", 4_000)
    with events.open("ab") as file:
        file.write(b'{"user": "u1", "item": "", "ts": 5}\nnot JSON\n')
    settings = SMALL | {
        "champion": "blend",
        "shadows": ["transformer", "popularity", "session_knn", "item_knn"],
        "checkpoint": {"anchor_events": 1_000, "every": "20ms"},
        "joiner": {"labels": "eager", "max_pending": 4},
        "evaluator": SMALL["evaluator"] | {"off_policy": {"temperature": 0.5, "candidates": 20}},
        "alerts": RESTLESS | {"rules": [*RESTLESS["rules"], *WATCHFUL]},
    }
    (folder / "settings.yaml").write_text(yaml.safe_dump(settings))
    assert start(folder, folder / "run").wait(timeout=240) == 0
    return folder


@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_run_killed_at_random_instants_and_resumed_equals_an_unbroken_one(
    unbroken, tmp_path, seed
):
    rng = random.Random(seed)
    out = tmp_path / "run"
    n_killed, resume = 0, False
    while n_killed < N_KILLS:
        process = start(unbroken, out, resume)
        # A resumed run needs some seconds for its imports before there is anything to kill.
        wait_for_checkpoint(process, out)
        time.sleep(rng.uniform(0.0, 1.5))
        process.send_signal(signal.SIGKILL)
        if process.wait(timeout=60) == 0:
            break
        n_killed, resume = n_killed + 1, True
    else:
        assert start(unbroken, out, resume).wait(timeout=240) == 0
    assert n_killed >= 1
    assert contents(out) == contents(unbroken / "run")
    assert b"not JSON" in (out / "dead_letters.jsonl").read_bytes()


def test_the_unbroken_run_had_everything_on(unbroken):
    """What is not exercised is not shown: every reaction began, and lists matured."""
    text = (unbroken / "run" / "alerts.jsonl").read_text()
    records = [json.loads(line) for line in text.splitlines()]
    reactions = {(r["reaction"], r["action"]) for r in records if "reaction" in r}
    assert {
        ("boost", "begin"),
        ("boost", "end"),
        ("freeze", "begin"),
        ("freeze", "end"),
        ("switch", "begin"),
        ("switch", "end"),
    } <= reactions
    assert ("rollback", "done") in reactions
    assert {r["state"] for r in records if "state" in r} >= {"pending", "firing", "resolved"}
    fired = {r["rule"] for r in records if r.get("state") == "firing"}
    assert {rule["name"] for rule in WATCHFUL} <= fired
    summary = json.loads((unbroken / "run" / "summary.json").read_text())
    assert summary["counts"]["matured"] > 100
    assert summary["counts"]["matured_early"] > 0
    assert summary["counts"]["joined_clicks"] > 100
    assert summary["metrics"]["auc"]["total"] > 0.5
    assert summary["metrics"]["dr_ctr"]["model"] == "clicks"
    assert summary["metrics"]["snips_ctr"]["samples"]["total"] > 1_000


def start(folder: Path, out: Path, resume: bool = False) -> "subprocess.Popen[bytes]":
    arguments = ["replay", str(folder / "events.jsonl"), "--config", str(folder / "settings.yaml")]
    arguments += ["--out", str(out), "--quiet", *(["--resume"] if resume else [])]
    return subprocess.Popen(
        [sys.executable, "-c", "from stream.cli import main; main()", *arguments]
    )


def wait_for_checkpoint(process: "subprocess.Popen[bytes]", out: Path) -> None:
    """Until the run has written a checkpoint that was not there before, or is over."""
    before = newest(out)
    deadline = time.monotonic() + 120
    while process.poll() is None and newest(out) == before and time.monotonic() < deadline:
        time.sleep(0.01)


def newest(out: Path) -> str:
    return max(
        (
            path.name.split("-")[1]
            for path in (out / "checkpoints").glob("*-*")
            if path.suffix != ".tmp"
        ),
        default="",
    )
