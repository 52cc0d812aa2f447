import json

import pytest

from stream import cli
from tests.stream.commands.test_replay import FAST, clicks, write


def call(capsys, *args):
    status = cli.run(args)
    out, err = capsys.readouterr()
    return status, out, err


@pytest.fixture(scope="module")
def finished_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inspect")
    events = write(folder / "events.jsonl", clicks(2000))
    anchors = ["--set", "checkpoint.anchor_events=500"]
    assert cli.run(["replay", events, "--out", str(folder / "run"), "-q", *FAST, *anchors]) == 0
    return folder / "run"


@pytest.fixture
def newest(finished_run):
    return max((finished_run / "checkpoints").glob("*-0*"), key=lambda path: path.name[-12:])


@pytest.mark.parametrize("below", [".", "checkpoints"])
def test_of_a_run_the_newest_checkpoint_is_shown(below, finished_run, newest, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    status, out, err = call(capsys, "inspect", str(finished_run / below))
    assert (status, err) == (0, "")
    assert str(newest) in out
    assert "every file as written" in out
    assert "2,000 events in 8 batches" in out
    assert "events.jsonl: offset" in out
    assert "arrays.safetensors" in out
    assert "tables/catalogue/" in out


def test_json_holds_the_manifest_and_every_array(newest, capsys):
    status, out, _ = call(capsys, "inspect", str(newest), "--json")
    shown = json.loads(out)
    assert status == 0
    assert (shown["path"], shown["is_verified"], shown["damage"]) == (str(newest), True, None)
    assert shown["manifest"] == {
        key: value
        for key, value in json.loads((newest / "manifest.json").read_text()).items()
        if key != "manifest_sha256"
    }
    sizes = sum(array["size_bytes"] for array in shown["arrays"])
    assert 0 < sizes < (newest / "arrays.safetensors").stat().st_size


@pytest.mark.parametrize("args", [[], ["--json"]])
def test_damage_is_shown_and_is_status_1(args, newest, tmp_path, capsys):
    broken = tmp_path / newest.name
    broken.mkdir()
    for file in newest.iterdir():
        (broken / file.name).write_bytes(file.read_bytes())
    raw = bytearray((broken / "arrays.safetensors").read_bytes())
    raw[-1] ^= 1
    (broken / "arrays.safetensors").write_bytes(raw)
    status, out, _ = call(capsys, "inspect", str(broken), *args)
    assert status == 1
    assert "arrays.safetensors has another SHA-256" in " ".join(out.split())


def test_a_checkpoint_without_its_manifest_is_an_error(newest, tmp_path, capsys):
    broken = tmp_path / newest.name
    broken.mkdir()
    status, out, err = call(capsys, "inspect", str(broken))
    assert (status, out) == (1, "")
    assert "manifest.json cannot be read" in err


def test_a_folder_without_checkpoints_is_wrong_use(tmp_path, capsys):
    status, _, err = call(capsys, "inspect", str(tmp_path))
    assert status == 2
    assert err.startswith(f"error: {tmp_path}: holds no checkpoint")
