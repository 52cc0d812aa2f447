import json

import pytest
import yaml

from stream.build import config_hash
from stream.config import FreshrankConfig
from stream.errors import CheckpointError, UsageError
from stream.replay import Replay, run_replay
from stream.run_folder import resolved
from stream.sources.file import FileSource
from tests.runs import SMALL, small_config, write_shop


@pytest.fixture
def replay_of(tmp_path):
    events = write_shop(tmp_path / "events.jsonl", 150)

    def make(name="run", resume=False, **changes) -> Replay:
        config = small_config(champion="popularity", shadows=[], **changes)
        out = tmp_path / name
        source = FileSource(config.source, [str(events)], config.batch)
        return Replay(resolved(config, out, resume), source, out, resume)

    return make


def test_a_replay_leaves_its_outputs_and_says_what_it_came_to(replay_of):
    replay = replay_of()
    record = run_replay(replay).record
    assert json.loads((replay.out / "summary.json").read_text()) == record
    n_clicks = (replay.out.parent / "events.jsonl").read_bytes().count(b'"type":"click"')
    assert record["counts"]["clicks"] == n_clicks > 150
    assert record["metrics"]["recall@20"]["samples"]["total"] == n_clicks
    assert record["counts"]["matured"] > 20
    assert record["checkpoint"].endswith("ckpt-" + record["checkpoint"].rsplit("-", 1)[1])
    settings = yaml.safe_load((replay.out / "config.yaml").read_text())
    assert FreshrankConfig.model_validate(settings) == replay.config


def test_a_folder_that_holds_a_run_is_not_written_over(replay_of):
    run_replay(replay_of())
    with pytest.raises(UsageError, match="holds a run already; add --resume"):
        run_replay(replay_of())


def test_another_runs_checkpoints_are_not_touched(replay_of, tmp_path):
    shared = {"dir": str(tmp_path / "shared"), "anchor_events": 50}
    run_replay(replay_of("one", checkpoint=shared))
    before = sorted(path.name for path in (tmp_path / "shared").iterdir())
    with pytest.raises(UsageError, match="holds the checkpoints of another run"):
        run_replay(replay_of("two", checkpoint=shared))
    assert sorted(path.name for path in (tmp_path / "shared").iterdir()) == before


def test_there_is_nothing_to_resume_in_an_empty_folder(replay_of):
    with pytest.raises(UsageError, match="holds no run to resume"):
        run_replay(replay_of(resume=True))


def test_resuming_under_other_settings_is_refused_by_key(replay_of):
    run_replay(replay_of())
    with pytest.raises(CheckpointError, match=r"batch\.events was 32, is 16"):
        run_replay(replay_of(resume=True, batch={"events": 16}))


def test_settings_that_reach_no_metric_may_change(replay_of):
    before = run_replay(replay_of()).record
    freer = SMALL["checkpoint"] | {"every": "5s", "keep": 1}
    assert run_replay(replay_of(resume=True, checkpoint=freer)).record["counts"] == before["counts"]


def test_resuming_without_the_written_settings_says_so(replay_of):
    run_replay(replay_of())
    (replay_of().out / "config.yaml").unlink()
    with pytest.raises(UsageError, match=r"config\.yaml is missing"):
        run_replay(replay_of(resume=True, batch={"events": 16}))


def test_an_unset_number_of_threads_is_the_first_runs(replay_of, tmp_path):
    config = small_config(threads=None)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text("threads: 7\n")
    assert resolved(config, tmp_path / "run", resume=True).threads == 7
    assert resolved(config.model_copy(update={"threads": 3}), tmp_path / "run", True).threads == 3


def test_the_hash_of_the_settings_leaves_out_what_may_change():
    config = small_config()
    freer, fewer = {"every": "9s"}, {"anchor_events": 9}
    checkpoint = SMALL["checkpoint"]
    assert config_hash(config) == config_hash(small_config(checkpoint=checkpoint | freer))
    # Alerts name anchors, and a rollback goes back to one.
    assert config_hash(config) != config_hash(small_config(checkpoint=checkpoint | fewer))
    assert config_hash(config) != config_hash(small_config(batch={"events": 8}))
