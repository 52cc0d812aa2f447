"""How long learning stands still while a checkpoint is taken, and how long a resume takes.

A stream over 100,000 items, all of them in the model's table, with some new ones in each batch,
goes through the loop with the transformer and its shadows. The stall is how long the loop's
thread is held up by a checkpoint: from when it is due until the outputs are on disk and the state
is copied. Each is on disk before the next batch begins, as it is where they are a minute apart.
The resume is timed from an opened folder to the first batch that is judged, after the imports.

    python -m benchmarks.recovery [--items 100000] [--checkpoints 12]
"""

import argparse
import statistics
import tempfile
import time
from contextlib import closing
from pathlib import Path

import msgspec
import numpy as np

from stream.build import build_pipeline, config_hash
from stream.checkpoint import CheckpointConfig, Checkpoints
from stream.checkpoint_files import Kind
from stream.config import FreshrankConfig
from stream.pipeline import Pipeline
from stream.run_folder import load_newest, resolved
from stream.settings import read_settings
from stream.sources.file import FileSource
from stream.values import Batch, Position, State

BATCH_EVENTS = 256
CHECKPOINT_BATCHES = 8
NEW_ITEMS_IN_A_BATCH = 3
SETTINGS = [
    "champion=transformer",
    f"batch.events={BATCH_EVENTS}",
    f"checkpoint.anchor_events={BATCH_EVENTS * CHECKPOINT_BATCHES}",
    "checkpoint.keep_anchors=3",
    "checkpoint.every=1h",
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--checkpoints", type=int, default=12)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        n_clicks = BATCH_EVENTS * CHECKPOINT_BATCHES * arguments.checkpoints
        events = write_events(folder / "events.jsonl", arguments.items, n_clicks)
        config = resolved(read_settings(FreshrankConfig, None, SETTINGS), folder, False)
        print(f"{arguments.items:,} items, {config.threads} threads")
        stalls_ms = stalls(config, events, folder / "run")
        size_bytes = sum(f.stat().st_size for f in newest(folder / "run").iterdir())
        print(f"checkpoint: {size_bytes / 2**20:.0f} MiB")
        print("stall (ms):", " ".join(f"{stall:.0f}" for stall in stalls_ms))
        print(f"largest {max(stalls_ms):.0f} ms, median {statistics.median(stalls_ms):.0f} ms")
        print(f"resume to the first judged batch: {resume_s(config, events, folder / 'run'):.2f} s")


def write_events(path: Path, n_items: int, n_clicks: int) -> Path:
    """Every item once, then clicks on them, some of them on items that were never seen."""
    rng = np.random.default_rng(0)
    with path.open("wb") as file:
        for item in range(n_items):
            event = {"type": "item", "item": f"item-{item}", "ts": 1_700_000_000_000 + item}
            file.write(msgspec.json.encode(event) + b"\n")
        for click in range(n_clicks):
            is_new = click % BATCH_EVENTS < NEW_ITEMS_IN_A_BATCH
            event = {
                "type": "click",
                "user": f"user-{rng.integers(20_000)}",
                "item": f"new-{click}" if is_new else f"item-{rng.integers(n_items)}",
                "ts": 1_700_000_000_000 + n_items + click,
            }
            file.write(msgspec.json.encode(event) + b"\n")
    return path


class TimedCheckpoints(Checkpoints):
    """Notes how long each one holds up who asks for it."""

    def __init__(self, config: CheckpointConfig, run_hash: str) -> None:
        super().__init__(config, run_hash)
        self._due_s = 0.0
        self.held_up_s: list[float] = []

    def due(self, events: int) -> Kind | None:
        kind = super().due(events)
        self._due_s = time.perf_counter()
        return kind

    def save(self, state: State, position: Position, seq: int, events: int, kind: Kind) -> None:
        super().save(state, position, seq, events, kind)
        self.held_up_s.append(time.perf_counter() - self._due_s)


def stalls(config: FreshrankConfig, events: Path, out: Path) -> list[float]:
    """How long each checkpoint that was taken among the clicks held up the loop, in ms."""
    n_before = 0  # checkpoints among the items, while the tables still grow

    def on_batch(batch: Batch | None, pipeline: Pipeline) -> None:  # noqa: ARG001
        nonlocal n_before
        assert batch is not None, "files have no pauses"
        if not len(batch.clicks):
            n_before = len(checkpoints.held_up_s)
        checkpoints.wait()

    folder = config.checkpoint.model_copy(update={"dir": out / "checkpoints"})
    source = FileSource(config.source, [str(events)], config.batch)
    with TimedCheckpoints(folder, config_hash(config)) as checkpoints:
        pipeline = build_pipeline(config, source, out, checkpoints, on_batch)
        with closing(pipeline):
            pipeline.run()
    return [1000 * held_up_s for held_up_s in checkpoints.held_up_s[n_before:]]


def resume_s(config: FreshrankConfig, events: Path, out: Path) -> float:
    """Seconds from opening the folder to the first batch judged, from the newest but one."""
    started_s = time.perf_counter()
    first_s: list[float] = []

    def on_batch(batch: Batch | None, pipeline: Pipeline) -> None:  # noqa: ARG001
        first_s.append(time.perf_counter())
        pipeline.stop()

    folder = config.checkpoint.model_copy(update={"dir": out / "checkpoints"})
    with Checkpoints(folder, config_hash(config)) as checkpoints:
        source = FileSource(config.source, [str(events), str(append_one(events))], config.batch)
        pipeline = build_pipeline(config, source, out, checkpoints, on_batch)
        start, _ = load_newest(config, out, checkpoints, pipeline)
        with closing(pipeline):
            pipeline.run(start)
    return first_s[0] - started_s


def append_one(events: Path) -> Path:
    """A further file of clicks, so that there is something to go on with."""
    more = events.with_name("more.jsonl")
    event = {"type": "click", "user": "user-1", "item": "item-1", "ts": 1_800_000_000_000}
    more.write_bytes((msgspec.json.encode(event) + b"\n") * BATCH_EVENTS)
    return more


def newest(out: Path) -> Path:
    return max((out / "checkpoints").glob("*-*"), key=lambda path: path.name.split("-")[1])


if __name__ == "__main__":
    main()
