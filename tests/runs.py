"""Whole runs on small streams, for tests of what a run promises."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec

from stream.build import build_pipeline, config_hash
from stream.checkpoint import Checkpoints
from stream.config import FreshrankConfig
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


def small_config(**changes: object) -> FreshrankConfig:
    return FreshrankConfig.model_validate(SMALL | changes)


def write_shop(path: Path, n_clicks: int, seed: int = 0) -> Path:
    """A small simulated shop's events."""
    config = SimulatorConfig(seed=seed, clicks=n_clicks, users=60, items=80, categories=4, days=4)
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
    files = {name: (out / name).read_bytes() for name in ("metrics.jsonl", "dead_letters.jsonl")}
    stored = sorted((out / "checkpoints").glob("*-*"), key=lambda path: path.name.split("-")[1])
    for folder in [*(out / "checkpoints").glob("anchor-*"), stored[-1]]:
        for file in folder.iterdir():
            files[f"{folder.name}/{file.name}"] = file.read_bytes()
    return files
