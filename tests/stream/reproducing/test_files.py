import json
import os
import shutil
from pathlib import Path

import pytest

from stream.errors import ReproductionError
from stream.reproducing.asked import Place, Range
from stream.reproducing.files import batches_of_files
from stream.reproducing.job import read_run
from tests.runs import write_shop
from tests.stream.reproducing.small_runs import computed_again, fired, replay


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The events of a shop, in two files whose times overlap."""
    folder = tmp_path_factory.mktemp("shop")
    lines = write_shop(folder / "events.jsonl", 800).read_bytes().splitlines(keepends=True)
    (folder / "one.jsonl").write_bytes(b"".join(lines[::2]))
    (folder / "two.jsonl").write_bytes(b"".join(lines[1::2]))
    return folder


@pytest.fixture(scope="module")
def merged(shop: Path) -> Path:
    """A run over both files, started in their folder."""
    before = Path.cwd()
    os.chdir(shop)
    try:
        replay(shop / "merged", [Path("one.jsonl"), Path("two.jsonl")])
    finally:
        os.chdir(before)
    return shop / "merged"


def copied(run: Path, folder: Path) -> Path:
    """The run and its files, told as if it had been started in the other folder."""
    for name in ("one.jsonl", "two.jsonl"):
        shutil.copy(run.parent / name, folder)
    out = Path(shutil.copytree(run, folder / "run"))
    starts = out / "starts.json"
    starts.write_text(starts.read_text().replace(str(run.parent), str(folder)))
    return out


def test_paths_are_seen_from_the_folder_that_the_run_was_started_in(merged, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert list(fired(merged)[-1]["end"]) == ["one.jsonl", "two.jsonl"]
    assert all(computed_again(merged, notice).is_equal for notice in fired(merged)[-3:])
    assert Path.cwd() == tmp_path


def test_batches_are_cut_as_they_were_after_a_limit_amid_one(shop, tmp_path):
    lines = (shop / "events.jsonl").read_bytes().splitlines(keepends=True)
    growing = tmp_path / "growing.jsonl"
    for resume, stop in enumerate((401, 777, 1_003, len(lines))):
        growing.write_bytes(b"".join(lines[:stop]))
        # One in four ends at a limit, the others at the end of a file that grows.
        source = {"limit": 300} if not resume else {}
        replay(tmp_path / "run", [growing], resume=bool(resume), source=source)
    notices = fired(tmp_path / "run")
    assert {notice["seq"] for notice in notices if notice["end"][str(growing)]["records"] % 32}
    assert all(computed_again(tmp_path / "run", notice).is_equal for notice in notices)


def test_what_was_left_out_by_time_is_left_out_again(shop, tmp_path):
    lines = (shop / "events.jsonl").read_bytes().splitlines(keepends=True)
    ahead = lines[900:1_000]  # they stand amid earlier ones, and are passed by until then
    events = tmp_path / "events.jsonl"
    events.write_bytes(b"".join([*lines[:600], *ahead, *lines[600:900], *lines[1_000:]]))
    until_ms = json.loads(lines[900])["ts"]
    replay(tmp_path / "run", [events], source={"until_ms": until_ms})
    replay(tmp_path / "run", [events], resume=True)
    last = fired(tmp_path / "run")[-1]
    asked = Range(None, {}, last["end"], last["seq"])
    batches = list(batches_of_files(read_run(tmp_path / "run"), asked, Place({}, 0, 0)))
    assert (batches[-1].seq, batches[-1].end) == (last["seq"], last["end"])
    assert computed_again(tmp_path / "run", last).is_equal


def test_a_missing_file_is_named(merged, tmp_path):
    out = copied(merged, tmp_path)
    (tmp_path / "two.jsonl").unlink()
    with pytest.raises(ReproductionError, match=r"two\.jsonl: no such file.*range of the notice"):
        computed_again(out, fired(out)[-1])


def test_another_file_is_named(merged, tmp_path):
    out = copied(merged, tmp_path)
    (tmp_path / "two.jsonl").write_bytes((tmp_path / "one.jsonl").read_bytes())
    with pytest.raises(ReproductionError, match=r"two\.jsonl: is not the file that the run read"):
        computed_again(out, fired(out)[-1])


def test_a_shorter_file_is_named(merged, tmp_path):
    out = copied(merged, tmp_path)
    notice = fired(out)[-1]
    for name, start in notice["start"].items():
        lines = (tmp_path / name).read_bytes().splitlines(keepends=True)
        (tmp_path / name).write_bytes(b"".join(lines[: start["line"] + 9]))
    with pytest.raises(ReproductionError, match=r"one\.jsonl, two\.jsonl: shorter than when"):
        computed_again(out, notice)


def test_a_file_that_was_changed_within_the_range_makes_another_notice(merged, tmp_path):
    out = copied(merged, tmp_path)
    notice = fired(out)[-1]
    path = tmp_path / "one.jsonl"
    line = notice["start"]["one.jsonl"]["line"]
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:line], b"{}\n", *lines[line + 1 :]]))
    found = computed_again(out, notice)
    assert not found.is_equal
    assert "one.jsonl was changed after the anchor was written" in found.suspects


def test_standard_input_cannot_be_read_again(merged, tmp_path):
    out = copied(merged, tmp_path)
    notice = fired(out)[-1]
    end = {"-": notice["end"]["one.jsonl"]}
    with pytest.raises(ReproductionError, match="standard input, which nobody can read again"):
        computed_again(out, notice | {"end": end})


def test_a_run_that_was_started_too_often_since_is_refused(merged, tmp_path):
    out = copied(merged, tmp_path)
    starts = out / "starts.json"
    starts.write_text(starts.read_text().replace('"records":0', '"records":1000000'))
    with pytest.raises(ReproductionError, match=r"starts\.json: no longer tells"):
        computed_again(out, fired(out)[-1])
