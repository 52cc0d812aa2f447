import json
from pathlib import Path

import pytest

from stream.cli import run
from tests.runs import write_shop
from tests.stream.reproducing.small_runs import fired, replay


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small run whose rules fire."""
    folder = tmp_path_factory.mktemp("told")
    replay(folder / "run", [write_shop(folder / "events.jsonl", 500)])
    return folder / "run"


def test_it_tells_what_it_compares_and_that_both_are_equal(out, capsys):
    notice = fired(out)[-1]
    assert run(["reproduce", notice["rule"], "--run", str(out)]) == 0
    told = capsys.readouterr().out
    lines = {name: text for line in told.splitlines() for name, _, text in [line.partition("  ")]}
    assert lines["notice"].split() == [f"{notice['seq']}:{notice['name']}"]
    assert lines["checkpoint"].strip() == notice["anchor"]
    assert lines["batches"].split() == [str(int(notice["anchor"][7:])), "to", str(notice["seq"])]
    (start,), (end,) = notice["start"].values(), notice["end"].values()
    assert f"line {start['line']} up to {end['line']}" in " ".join(told.split())
    n_records = end["records"] - start["records"]
    n_batches = notice["seq"] + 1 - int(notice["anchor"][7:])
    done = f"equal, byte for byte, after {n_batches} batches with {n_records} records"
    assert told.splitlines()[-1] == done


def test_another_notice_is_a_failure_with_the_difference(out, capsys):
    notice = fired(out)[-1]
    assert run(["reproduce", json.dumps(notice | {"samples": 7.0}), "--run", str(out)]) == 1
    told = capsys.readouterr()
    assert '-  "samples": 7.0,\n' in told.out
    assert "not reproduced: after" in told.err


def test_one_that_never_came_is_a_failure(out, capsys):
    notice = fired(out)[-1] | {"rule": "other", "name": "alert:other:firing"}
    assert run(["reproduce", json.dumps(notice), "--run", str(out)]) == 1
    assert "the rule told nothing of this kind" in capsys.readouterr().err


def test_what_names_no_notice_is_wrong_use(out, capsys):
    assert run(["reproduce", "nobody", "--run", str(out)]) == 2
    assert "holds no notice nobody; the last that fired: " in capsys.readouterr().err


def test_a_folder_without_a_run_is_wrong_use(tmp_path, capsys):
    assert run(["reproduce", "low", "--run", str(tmp_path)]) == 2
    assert "holds no run" in capsys.readouterr().err


def test_the_run_must_be_named(capsys):
    assert run(["reproduce", "low"]) == 2
    assert "--run" in capsys.readouterr().err
