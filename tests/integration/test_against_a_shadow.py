"""A champion that a shadow beats, in whole runs: told once, wherever a run is cut."""

import json
from pathlib import Path

import pytest

from stream.config import FreshrankConfig
from stream.sources.file import FileSource
from tests.runs import contents, run_in, small_config, write_shop

RULE = {
    "name": "beaten",
    "kind": "worse_than",
    "shadow": "item_knn",
    "metric": "recall@20",
    "over": "events",
    "arl_events": 10_000,
    "min_samples": 20,
}


@pytest.fixture(scope="module")
def events(tmp_path_factory) -> Path:
    return write_shop(tmp_path_factory.mktemp("shop") / "events.jsonl", 4_000)


def beaten_config() -> FreshrankConfig:
    return small_config(
        champion="popularity",
        shadows=["item_knn"],
        alerts={"evaluate_every": "10m", "rules": [RULE]},
    )


def source_of(events: Path) -> FileSource:
    config = beaten_config()
    return FileSource(config.source, [str(events)], config.batch)


@pytest.fixture(scope="module")
def unbroken(events, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("unbroken")
    run_in(out, beaten_config(), source_of(events))
    return out


def test_a_champion_that_is_beaten_is_told_once_and_by_how_much(unbroken):
    lines = (unbroken / "alerts.jsonl").read_text().splitlines()
    fired = [json.loads(line) for line in lines if '"firing"' in line]
    assert len(fired) == 1
    assert (fired[0]["shadow"], fired[0]["threshold"]) == ("item_knn", 0.0)
    assert fired[0]["value"] < -0.02
    assert fired[0]["evidence"] >= 10_000


def test_records_tell_how_sure_the_difference_is_by_click_and_by_user(unbroken):
    last = json.loads((unbroken / "metrics.jsonl").read_text().splitlines()[-1])
    recall = last["shadows"]["item_knn"]["recall@20"]
    for interval in (recall["interval"], recall["interval_by_user"]):
        assert interval[0] < recall["difference"] < interval[1] < 0


@pytest.mark.parametrize("stop_at", [5, 21, 60])
def test_a_run_that_was_stopped_and_resumed_tells_the_same(events, unbroken, tmp_path, stop_at):
    def stop(batch, pipeline) -> None:
        if pipeline.next_seq == stop_at:
            pipeline.stop()

    run_in(tmp_path, beaten_config(), source_of(events), on_batch=stop)
    assert contents(tmp_path) != contents(unbroken)
    run_in(tmp_path, beaten_config(), source_of(events), resume=True)
    assert contents(tmp_path) == contents(unbroken)
