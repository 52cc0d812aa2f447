"""Weights that can no longer learn: each step is skipped, the rule fires, and they are put back."""

import json
import math

import torch

from stream.sources.batching import BatchConfig
from stream.sources.file import FileSource, FileSourceConfig
from tests.runs import run_in, small_config, write_shop

POISONED_AT = 25
DIVERGED = {
    "name": "diverged",
    "kind": "above",
    "metric": "skipped_share",
    "over": "events",
    "threshold": 0.2,
    "min_samples": 20,
    "react": "rollback",
}


def test_poisoned_weights_are_told_and_put_back(tmp_path):
    events = write_shop(tmp_path / "events.jsonl", 2_000)
    config = small_config(
        evaluator={"emit_events": 32, "window_events": 40},
        alerts={"rules": [DIVERGED], "evaluate_every": "1m"},
    )
    skipped: list[int] = []

    def watch(_batch, pipeline):
        panel = pipeline.parts.panel
        skipped.append(panel.steps.n_skipped)
        if len(skipped) == POISONED_AT:
            scorer = panel._learners["transformer"]._scorer
            with torch.no_grad():
                scorer.start_D.fill_(math.nan)

    source = FileSource(FileSourceConfig(), [str(events)], BatchConfig(events=32))
    run_in(tmp_path / "run", config, source, on_batch=watch)
    assert skipped[POISONED_AT - 1] == 0
    assert 0 < skipped[-1] == skipped[-10]  # and none any more, long before the end
    [fired, *_] = [
        record
        for record in map(json.loads, (tmp_path / "run" / "alerts.jsonl").read_text().splitlines())
        if record.get("state") == "firing"
    ]
    assert (fired["rule"], fired["value"] > 0.2) == ("diverged", True)
    *_, last = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    record = json.loads(last)
    assert record["counts"]["skipped_steps"] == skipped[-1]
    assert record["metrics"]["skipped_share"]["events"] == 0
