import json

import numpy as np
import pytest

from stream.errors import CheckpointError, UsageError
from stream.replay import Replay, run_replay
from stream.run_folder import resolved
from stream.sources.file import FileSource
from tests.conformance.stateful_contract import assert_same_bits
from tests.runs import SMALL, pipeline_in, small_config, write_shop


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """A log in two halves, and a run over the first."""
    folder = tmp_path_factory.mktemp("log")
    lines = write_shop(folder / "events.jsonl", 300).read_bytes().splitlines(keepends=True)
    (folder / "early.jsonl").write_bytes(b"".join(lines[: len(lines) // 2]))
    (folder / "late.jsonl").write_bytes(b"".join(lines[len(lines) // 2 :]))
    run_replay(replay_of(folder, folder / "base", "early"))
    return folder


def replay_of(folder, out, part, resume=False, **changes) -> Replay:
    changes = {"shadows": ["popularity"]} | changes
    config = small_config(**changes)
    source = FileSource(config.source, [str(folder / f"{part}.jsonl")], config.batch)
    return Replay(resolved(config, out, resume), source, out, resume)


def test_tables_weights_and_moments_are_taken_over_and_everything_else_begins_at_zero(
    log, tmp_path
):
    begun = {}

    def on_start(pipeline, _):
        begun.update(json.loads(json.dumps(pipeline.metrics()["counts"])))
        assert (pipeline.n_events, pipeline.next_seq, pipeline.watermark_ms) == (0, 0, 0)
        state = pipeline.state_dict()
        assert_same_bits(state["tables"], before.state["tables"])
        assert_same_bits(state["panel"], before.state["panel"])
        # What items are was told before: the evaluator hears it again.
        groups, groups_before = (one["evaluator"]["groups"] for one in (state, before.state))
        assert sorted(groups["names"]) == sorted(groups_before["names"]) != [""]
        assert np.count_nonzero(groups["group_V"]) == np.count_nonzero(groups_before["group_V"])

    replay = replay_of(log, tmp_path / "run", "late", start_from=str(log / "base"))
    with pipeline_in(log / "base", small_config(shadows=["popularity"]), replay.source) as opened:
        before = opened[1].latest()
    moments = before.state["panel"]["learners"]["transformer"]["finetuner"]["weights"]
    assert moments["items.vector_VD"]["step"] > 0
    record = run_replay(replay, on_start=on_start).record
    assert not any(begun.values())
    n_late = (log / "late.jsonl").read_bytes().count(b"\n")
    assert record["records"] == n_late
    first, *_ = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert json.loads(first)["counts"]["clicks"] <= SMALL["evaluator"]["emit_events"] + 32
    assert record["metrics"]["recall@20"]["samples"]["total"] == record["counts"]["clicks"]


def test_two_runs_that_start_from_the_same_write_the_same_bytes(log, tmp_path):
    for name in ("one", "two"):
        run_replay(replay_of(log, tmp_path / name, "late", start_from=str(log / "base")))
    assert (tmp_path / "one" / "metrics.jsonl").read_bytes() == (
        tmp_path / "two" / "metrics.jsonl"
    ).read_bytes()


def test_a_resumed_run_goes_on_from_its_own_checkpoint(log, tmp_path):
    settings = {"start_from": str(log / "base")}
    whole = run_replay(replay_of(log, tmp_path / "whole", "late", **settings)).record
    limited = settings | {"source": {"limit": 96}}
    run_replay(replay_of(log, tmp_path / "run", "late", **limited))
    resumed = replay_of(log, tmp_path / "run", "late", resume=True, **settings)
    assert run_replay(resumed).record["metrics"] == whole["metrics"]


def test_a_run_that_ended_before_its_first_checkpoint_starts_from_there_again(log, tmp_path):
    replay = replay_of(log, tmp_path / "run", "late", start_from=str(log / "base"))
    whole = run_replay(replay).record
    for path in (tmp_path / "run" / "checkpoints").glob("*-*"):
        for file in path.iterdir():
            file.unlink()
        path.rmdir()
    again = replay_of(log, tmp_path / "run", "late", resume=True, start_from=str(log / "base"))
    assert run_replay(again).record["metrics"] == whole["metrics"]


def test_a_shadow_may_be_left_out(log, tmp_path):
    replay = replay_of(log, tmp_path / "run", "late", start_from=str(log / "base"), shadows=[])
    assert run_replay(replay).record["shadows"] == {}


def test_how_it_learns_from_now_on_may_change(log, tmp_path):
    learner = SMALL["learner"] | {
        "minibatch": 8,
        "optimizer": {"learning_rate": 1e-3},
        "tower": {"lora": {"dropout": 0.1}},
        "content": {"tuned_items": 4},
    }
    replay = replay_of(log, tmp_path / "run", "late", start_from=str(log / "base"), learner=learner)
    assert run_replay(replay).record["events"] > 0


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"learner": SMALL["learner"] | {"width": 16}}, r"learner\.width was 8, is 16"),
        (
            {"learner": SMALL["learner"] | {"tower": {"architecture": "gpt2"}}},
            r"learner\.tower\.architecture was llama, is gpt2",
        ),
        ({"champion": "popularity", "shadows": []}, "champion was transformer, is popularity"),
        ({"ranking": {"exclude_seen": True}}, r"ranking\.exclude_seen was False, is True"),
        ({"inputs": {"clock": ["day"]}}, r"inputs\.clock was \[\], is \['day'\]"),
        ({"catalogue": {"max_items": 70}}, r"catalogue\.max_items was 200000, is 70"),
        ({"shadows": ["item_knn"]}, "holds the learners popularity, transformer but not item_knn"),
    ],
)
def test_what_does_not_fit_is_refused_by_key(log, tmp_path, changes, expected):
    replay = replay_of(log, tmp_path / "run", "late", start_from=str(log / "base"), **changes)
    with pytest.raises(CheckpointError, match=f"start_from: .*base: .*{expected}"):
        run_replay(replay)
    assert not (tmp_path / "run" / "config.yaml").exists()


def test_a_folder_without_a_run_is_refused(log, tmp_path):
    replay = replay_of(log, tmp_path / "run", "late", start_from=str(tmp_path / "none"))
    with pytest.raises(UsageError, match=r"start_from: .*none: holds no run \(config\.yaml is"):
        run_replay(replay)


def test_a_run_without_a_checkpoint_is_refused(log, tmp_path):
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "config.yaml").write_bytes((log / "base" / "config.yaml").read_bytes())
    replay = replay_of(log, tmp_path / "run", "late", start_from=str(tmp_path / "bare"))
    with pytest.raises(UsageError, match="no checkpoint was taken there yet"):
        run_replay(replay)
