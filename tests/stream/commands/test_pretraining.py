import json
import os
import signal
import subprocess
import sys
import time

import pytest
import yaml

from stream import cli
from stream.commands.pretraining import _Watched
from tests.runs import SMALL, write_shop

FRESHRANK = [sys.executable, "-c", "from stream.cli import main; main()"]


def call(capsys, *args):
    status = cli.run(args)
    out, err = capsys.readouterr()
    return status, out, err


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A shop's log in two parts, and settings for it."""
    folder = tmp_path_factory.mktemp("shop")
    lines = write_shop(folder / "events.jsonl", 900).read_bytes().splitlines(keepends=True)
    cut = len(lines) * 3 // 4
    (folder / "early.jsonl").write_bytes(b"".join(lines[:cut]))
    (folder / "late.jsonl").write_bytes(b"".join(lines[cut:]))
    (folder / "settings.yaml").write_text(yaml.safe_dump(SMALL | {"shadows": []}))
    return folder


def pretrain_args(shop, out):
    early, settings = str(shop / "early.jsonl"), str(shop / "settings.yaml")
    return ["pretrain", early, "-c", settings, "--validation-share", "0.2", "--out", str(out)]


def replayed(shop, out, *more):
    """The metrics of a replay of the late events."""
    late, settings = str(shop / "late.jsonl"), str(shop / "settings.yaml")
    status = cli.run(
        ["replay", late, "-c", settings, "--out", str(out), "-q", "--no-report", *more]
    )
    assert status == 0
    return (out / "metrics.jsonl").read_bytes()


def test_a_replay_from_a_pretrained_model_begins_better_than_a_fresh_one_and_with_equal_bits(
    shop, tmp_path, capsys
):
    args = pretrain_args(shop, tmp_path / "base")
    status, printed, err = call(capsys, *args, "--epochs", "3")
    assert status == 0
    assert "epoch 1: recall@20 0." in err
    assert "kept" in printed
    assert f"freshrank replay ... --set start_from={tmp_path / 'base'}" in printed

    start_from = ["--set", f"start_from={tmp_path / 'base'}"]
    fresh = replayed(shop, tmp_path / "fresh")
    warm = replayed(shop, tmp_path / "warm", *start_from)
    early = [json.loads(text.splitlines()[0]) for text in (fresh, warm)]
    fresh_recall, warm_recall = (record["metrics"]["recall@20"] for record in early)
    assert fresh_recall["samples"]["total"] == warm_recall["samples"]["total"] < 100
    assert warm_recall["total"] > fresh_recall["total"] + 0.1
    assert replayed(shop, tmp_path / "again", *start_from) == warm


def test_quiet_prints_nothing_and_help_says_how_to_go_on(shop, tmp_path, capsys):
    args = [*pretrain_args(shop, tmp_path / "base"), "--epochs", "1", "-q"]
    assert call(capsys, *args) == (0, "", "")
    assert json.loads((tmp_path / "base" / "pretraining.json").read_text())["best_epoch"] == 1
    assert "--set start_from=runs/base" in " ".join(call(capsys, "pretrain", "--help")[1].split())


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["--validation-share", "0.7"], "--validation-share 0.7: expected a number above 0"),
        (["--validation-share", "0"], "--validation-share 0: expected a number above 0"),
        (["--epochs", "0"], "Invalid value for '--epochs'"),
        (["--set", "champion=item_knn"], "champion: item_knn: has no weights"),
        (["--from", "yesterday"], "--from yesterday: expected ISO 8601"),
        (["--set", "learner.widht=8"], "learner.widht: unknown key; did you mean 'width'?"),
    ],
)
def test_wrong_use_ends_with_status_2_and_leaves_nothing(args, expected, shop, tmp_path, capsys):
    status, printed, err = call(capsys, *pretrain_args(shop, tmp_path / "base"), *args)
    assert (status, printed) == (2, "")
    assert expected in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("stage", ["epoch 1", "epoch 2", "last pass"])
def test_ctrl_c_leaves_no_folder(stage, shop, tmp_path, capsys, monkeypatch):
    begin = _Watched.begin

    def interrupted(self, begun):
        begin(self, begun)
        if begun.name == stage:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(_Watched, "begin", interrupted)
    args = [*pretrain_args(shop, tmp_path / "base"), "--epochs", "2"]
    status, printed, err = call(capsys, *args)
    assert (status, printed) == (130, "")
    assert err.splitlines()[-1] == f"stopped; nothing was left in {tmp_path / 'base'}"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_signal_ends_the_process_and_leaves_no_folder(shop, tmp_path):
    process = subprocess.Popen(
        [*FRESHRANK, *pretrain_args(shop, tmp_path / "base"), "--epochs", "50"],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env=dict(os.environ),
    )
    end_s = time.monotonic() + 120
    while not (tmp_path / "base.unfinished").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end_s
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143, err
    assert list(tmp_path.iterdir()) == []
