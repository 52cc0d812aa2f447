import json
import shutil
from collections import Counter
from pathlib import Path

import pytest

from stream.errors import ReproductionError, UsageError
from stream.reproducing import job
from stream.reproducing.job import read_run
from tests.runs import write_shop
from tests.stream.reproducing.small_runs import computed_again, fired, replay


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run over a shop; the shop lies beside it."""
    folder = tmp_path_factory.mktemp("whole")
    replay(folder / "run", [write_shop(folder / "events.jsonl", 1_000)])
    return folder / "run"


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    """The same run, for a test that spoils it."""
    return Path(shutil.copytree(whole, tmp_path / "run"))


def contents(folder: Path) -> dict[Path, tuple[bytes, int]]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def after_rollback(run: Path) -> dict:
    """A firing notice whose range goes back to an anchor before its own."""
    lines = [json.loads(line) for line in (run / "alerts.jsonl").read_text().splitlines()]
    done = [one for one in lines if one.get("action") == "done"]
    return next(
        notice
        for notice in fired(run)
        for one in done
        if notice["anchor"] and int(notice["anchor"][7:]) <= one["seq"] < notice["seq"]
    )


def test_every_firing_notice_comes_out_again_byte_for_byte(whole):
    notices = fired(whole)
    assert Counter(notice["rule"] for notice in notices).keys() >= {"recall_drop", "mrr_falls"}
    assert {notice["anchor"] is None for notice in notices} == {False, True}
    for notice in notices:
        found = computed_again(whole, notice)
        assert found.difference == ""
        assert found.is_equal
    assert after_rollback(whole)["anchor"] in {
        path.name for path in (whole / "checkpoints").iterdir()
    }


def test_a_notice_names_where_its_range_begins(whole):
    notice = fired(whole)[-1]
    manifest = json.loads((whole / "checkpoints" / notice["anchor"] / "manifest.json").read_text())
    assert notice["start"] == manifest["position"]


def test_nothing_of_the_run_is_touched_even_while_another_process_holds_it(whole):
    before = contents(whole)
    assert computed_again(whole, fired(whole)[-1]).is_equal
    assert contents(whole) == before


def test_notices_that_say_something_else_than_firing_come_out_too(whole):
    lines = (whole / "alerts.jsonl").read_text().splitlines()
    resolved = [one for line in lines if (one := json.loads(line)).get("state") == "resolved"]
    assert computed_again(whole, resolved[-1]).is_equal


def test_a_notice_that_was_changed_does_not_come_out_and_the_difference_is_told(whole):
    notice = fired(whole)[-1]
    found = computed_again(whole, notice | {"value": 0.123456})
    assert not found.is_equal
    assert '-  "value": 0.123456,' in found.difference
    assert f'+  "value": {notice["value"]},' in found.difference


def test_a_notice_that_was_never_told_does_not_come_out(whole):
    notice = fired(whole)[-1]
    found = computed_again(whole, notice | {"name": "alert:other:firing", "rule": "other"})
    assert found.found is None
    assert not found.is_equal


def test_an_anchor_that_is_not_kept_is_named_with_those_that_are(run):
    notice = fired(run)[-1]
    shutil.rmtree(run / "checkpoints" / notice["anchor"])
    told = rf"{notice['anchor']}: the anchor of the notice is not kept any more; kept are anchor-"
    with pytest.raises(ReproductionError, match=told):
        computed_again(run, notice)


def test_an_anchor_that_the_range_rolls_back_to_is_needed_too(run):
    notice = after_rollback(run)
    lines = [json.loads(line) for line in (run / "alerts.jsonl").read_text().splitlines()]
    done = [one for one in lines if one.get("action") == "done" and one["seq"] < notice["seq"]]
    name = done[-1]["anchor"]
    assert computed_again(run, notice).is_equal
    if name != notice["anchor"]:
        shutil.rmtree(run / "checkpoints" / name)
        with pytest.raises(ReproductionError, match=rf"{name}.*rolls back to it"):
            computed_again(run, notice)


def test_a_damaged_anchor_is_refused(run):
    notice = fired(run)[-1]
    path = run / "checkpoints" / notice["anchor"] / "state.msgpack"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(Exception, match=rf"{notice['anchor']}.*state\.msgpack"):
        computed_again(run, notice)


def test_a_notice_of_another_run_is_refused(run):
    notice = fired(run)[-1]
    start = {path: cursor | {"line": 7} for path, cursor in notice["start"].items()}
    with pytest.raises(ReproductionError, match="a notice of another run"):
        computed_again(run, notice | {"start": start})


def test_settings_that_were_changed_since_are_refused(run):
    text = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(text.replace("width: 8", "width: 16"))
    with pytest.raises(ReproductionError, match="made under other settings"):
        computed_again(run, fired(run)[-1])


def test_another_release_is_told_as_what_may_be_why_it_comes_out_otherwise(whole, monkeypatch):
    monkeypatch.setattr(job, "installed_versions", lambda: {"torch": "1.0"})
    assert any("torch was 2" in one for one in computed_again(whole, fired(whole)[-1]).suspects)


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(UsageError, match="holds no run"):
        read_run(tmp_path)


def test_a_run_that_began_with_another_one_is_reproduced_from_its_first_notice_on(whole, tmp_path):
    events = whole.parent / "events.jsonl"
    lines = events.read_bytes().splitlines(keepends=True)
    late = tmp_path / "late.jsonl"
    late.write_bytes(b"".join(lines[len(lines) // 2 :]))
    replay(tmp_path / "run", [late], start_from=str(whole))
    notices = fired(tmp_path / "run")
    assert notices[0]["anchor"] == "anchor-000000000000"
    assert all(computed_again(tmp_path / "run", notice).is_equal for notice in notices)
