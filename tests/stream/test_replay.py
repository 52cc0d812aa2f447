import json

import pytest
import yaml

from stream.build import config_hash
from stream.config import FreshrankConfig
from stream.errors import CheckpointError, UsageError
from stream.replay import Replay, run_replay
from stream.run_folder import resolved
from stream.sources.file import FileSource
from tests.receivers import Receiver
from tests.runs import SMALL, small_config, write_shop


@pytest.fixture
def replay_of(tmp_path):
    events = write_shop(tmp_path / "events.jsonl", 150)

    def make(name="run", resume=False, deliver=False, **changes) -> Replay:
        config = small_config(champion="popularity", shadows=[], **changes)
        out = tmp_path / name
        source = FileSource(config.source, [str(events)], config.batch)
        return Replay(resolved(config, out, resume), source, out, resume, deliver=deliver)

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


RULE = {"name": "ever", "kind": "above", "metric": "recall@20", "threshold": 0.0, "min_samples": 1}


def telling(url):
    rules = {"evaluate_every": "10m", "rules": [RULE]}
    return {"alerts": rules | {"deliver": [{"kind": "webhook", "name": "pager", "url": url}]}}


def told_by(replay):
    lines = (replay.out / "alerts.jsonl").read_bytes().splitlines()
    states = (json.loads(line)["state"] for line in lines)
    return [state for state in states if state in ("firing", "resolved")]


def test_a_replay_tells_nobody_of_alerts_unless_it_is_asked_to(replay_of):
    with Receiver() as receiver:
        replay = replay_of(**telling(receiver.url))
        run_replay(replay)
    assert told_by(replay)[0] == "firing"
    assert receiver.came == []
    assert not (replay.out / "deliveries").exists()


def test_a_replay_that_is_asked_to_tells_of_alerts_and_has_told_when_it_ends(replay_of):
    with Receiver() as receiver:
        replay = replay_of(deliver=True, **telling(receiver.url))
        run_replay(replay)
    assert [body["state"] for body in receiver.bodies()] == told_by(replay)


def test_telling_changes_nothing_of_what_a_replay_leaves(replay_of):
    with Receiver() as receiver:
        told = replay_of("told", deliver=True, **telling(receiver.url))
        silent = replay_of("silent", **telling(receiver.url))
        for replay in (told, silent):
            run_replay(replay)
    for name in ("alerts.jsonl", "metrics.jsonl"):
        assert (told.out / name).read_bytes() == (silent.out / name).read_bytes()


def test_what_a_replay_could_not_tell_its_resumption_does(replay_of):
    receiver = Receiver()
    replay = replay_of(deliver=True, **telling(receiver.url))
    run_replay(replay)
    with receiver:
        run_replay(replay_of(resume=True, deliver=True, **telling(receiver.url)))
    assert [body["state"] for body in receiver.bodies()] == told_by(replay)


def test_who_is_told_may_change_from_one_part_of_a_run_to_the_next(replay_of):
    before = run_replay(replay_of(**telling("http://localhost:1"))).record
    after = run_replay(replay_of(resume=True, **telling("http://localhost:2"))).record
    assert after["counts"] == before["counts"]


def test_telling_nobody_is_refused(replay_of):
    with pytest.raises(UsageError, match=r"--deliver: alerts\.deliver names nobody"):
        run_replay(replay_of(deliver=True))


def test_settings_that_only_say_who_is_told_have_the_hash_of_those_that_do_not():
    told = small_config(**telling("http://localhost:1"))
    rules = {key: value for key, value in telling("")["alerts"].items() if key != "deliver"}
    assert config_hash(told) == config_hash(small_config(alerts=rules))
