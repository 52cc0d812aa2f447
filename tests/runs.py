"""Whole runs on small streams, for tests of what a run promises."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec

from stream.build import build_pipeline, config_hash
from stream.checkpoint import Checkpoints
from stream.config import FreshrankConfig
from stream.daemon import Daemon
from stream.pipeline import OnBatch, Pipeline
from stream.protocols import Source
from stream.sources.shop import SimulatorConfig
from stream.sources.simulator import simulate

SMALL = {
    "champion": "transformer",
    "shadows": ["popularity", "item_knn", "session_knn"],
    "batch": {"events": 32},
    "learner": {
        "history_items": 8,
        "width": 8,
        "layers": 1,
        "minibatch": 16,
        "replay_ratio": 1,
        "replay_sequences": 64,
    },
    "evaluator": {"emit_events": 64, "window_events": 100},
    "checkpoint": {"anchor_events": 200, "every": "0ms"},
    "threads": 1,
}


# Rules that fire soon and often on a small shop, with every reaction.
RESTLESS = {
    "evaluate_every": "20m",
    "rules": [
        {
            "name": "recall_drop",
            "kind": "drop",
            "metric": "recall@20",
            "over": "events",
            "reference": "1000 events",
            "share": 0.03,
            "min_samples": 50,
            "react": "boost",
        },
        {
            "name": "ndcg_drop",
            "kind": "drop",
            "metric": "ndcg@20",
            "over": "events",
            "reference": "1000 events",
            "share": 0.05,
            "for": "20 events",
            "min_samples": 50,
            "react": "rollback",
        },
        {
            "name": "loss_high",
            "kind": "above",
            "metric": "log_loss",
            "over": "time",
            "threshold": 0.15,
            "clear": 0.14,
            "keep_firing_for": "40m",
            "min_samples": 30,
            "react": "freeze",
        },
        {
            "name": "ctr_drop",
            "kind": "drop",
            "metric": "ctr",
            "policy": "popular_taste",
            "reference": "6h",
            "share": 0.1,
            "min_samples": 30,
        },
        {
            "name": "beaten",
            "kind": "worse_than",
            "metric": "recall@20",
            "shadow": "item_knn",
            "arl_events": 1000,
            "min_samples": 10,
        },
    ],
    "reactions": {"rollback": {"at_most_every": "4h"}, "freeze": {"at_most": "2h"}},
}


def small_config(**changes: object) -> FreshrankConfig:
    return FreshrankConfig.model_validate(SMALL | changes)


def default_config(**changes: object) -> FreshrankConfig:
    """The champion and the shadows as they are by default, small."""
    names = {name: FreshrankConfig.model_fields[name].default for name in ("champion", "shadows")}
    return small_config(**names, **changes)


def write_shop(path: Path, n_clicks: int, seed: int = 0) -> Path:
    """A small simulated shop's events."""
    config = SimulatorConfig(
        seed=seed, clicks=n_clicks, users=60, items=80, categories=4, days=4, late_ratio=0.1
    )
    lines = (msgspec.json.encode(event) for event in simulate(config).events())
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path


@contextmanager
def pipeline_in(
    out: Path, config: FreshrankConfig, source: Source, on_batch: OnBatch | None = None
) -> Iterator[tuple[Pipeline, Checkpoints]]:
    """A pipeline whose outputs and checkpoints lie in `out`."""
    folder = config.checkpoint.model_copy(update={"dir": out / "checkpoints"})
    with Checkpoints(folder, config_hash(config)) as checkpoints:
        pipeline = build_pipeline(config, source, out, checkpoints, on_batch)
        with closing(pipeline):
            yield pipeline, checkpoints


def run_in(
    out: Path,
    config: FreshrankConfig,
    source: Source,
    resume: bool = False,
    on_batch: OnBatch | None = None,
) -> Pipeline:
    """Run a source to its end, or to the crash it holds."""
    with pipeline_in(out, config, source, on_batch) as (pipeline, checkpoints):
        start = None
        if resume and (found := checkpoints.latest()):
            pipeline.load_state_dict(found.state)
            start = found.manifest.position
        pipeline.run(start)
    return pipeline


def contents(out: Path) -> dict[str, bytes]:
    """Every file that two equal runs share, by its path: outputs, newest checkpoint, anchors."""
    names = ("metrics.jsonl", "alerts.jsonl", "dead_letters.jsonl")
    files = {name: (out / name).read_bytes() for name in names}
    stored = sorted((out / "checkpoints").glob("*-*"), key=lambda path: path.name.split("-")[1])
    for folder in [*(out / "checkpoints").glob("anchor-*"), stored[-1]]:
        for file in folder.iterdir():
            files[f"{folder.name}/{file.name}"] = file.read_bytes()
    return files


def run_until(daemon: Daemon, n_events: int) -> dict[str, object]:
    """Run the loop in this thread until so many events were taken in."""

    def stop() -> None:
        deadline_s = time.monotonic() + 60
        while time.monotonic() < deadline_s:
            run = daemon._run
            if run is not None and run.pipeline.n_events >= n_events:
                break
            time.sleep(0.05)
        daemon.stop()

    stopper = threading.Thread(target=stop)
    stopper.start()
    try:
        return daemon.run()
    finally:
        stopper.join()
