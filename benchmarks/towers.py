"""Other towers on ml-100k: architectures, a pretrained model by LoRA, a text encoder that learns.

The first ratings of `benchmarks.ml100k`, its catalogue told at the head: all 1,682 movies are
ranked from the first click on, by the transformer alone, which reads the last 20 clicks of a user.
Each line is a replay of its own. A checkpoint holds what was learned, with its moments and its
running mean, and nothing of a pretrained model but its fingerprint.

    python -m benchmarks.towers [--limit 12000] [--only TEXT] [--set key=value ...]
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.datasets import event_file
from benchmarks.ml100k import CONFIG
from stream.checkpoint_files import read_latest
from stream.config import FreshrankConfig
from stream.replay import Replay, run_replay
from stream.run_folder import resolved
from stream.settings import read_settings
from stream.sources.file import FileSource
from stream.values import State

# Movies and users that are told at the head.
N_TOLD = 1_682 + 943
TEXTS = "learner.content.text_encoder=minilm"
TOWERS: dict[str, tuple[str, ...]] = {
    "user: llama, the default": (),
    "user: qwen2": ("learner.tower.architecture=qwen2",),
    "user: gpt2": ("learner.tower.architecture=gpt2",),
    "user: minilm by LoRA": ("learner.tower.folder=minilm",),
    "texts: minilm, frozen": (TEXTS,),
    "texts: minilm by LoRA": (TEXTS, "learner.content.tune=lora"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--limit", type=int, default=12_000, help="clicks")
    parser.add_argument("--only", default="", help="towers whose name holds this")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()
    print(f"ml-100k with its catalogue, the first {arguments.limit:,} clicks, one thread")
    print(f"{'':26}{'Recall@20':>10}{'events/s':>10}{'checkpoint':>13}{'learned':>13} bytes")
    with tempfile.TemporaryDirectory() as folder:
        events = event_file("ml-100k", Path(folder), with_catalogue=True)
        for name, settings in TOWERS.items():
            if arguments.only in name:
                chosen = [*settings, f"source.limit={arguments.limit + N_TOLD}", *arguments.set]
                print(f"{name:26}{line(events, chosen)}", flush=True)


def line(events: Path, settings: Sequence[str]) -> str:
    """What one replay came to."""
    always = ["champion=transformer", "shadows=[]", "threads=1", "learner.history_items=20"]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        config = resolved(read_settings(FreshrankConfig, CONFIG, [*always, *settings]), out, False)
        source = FileSource(config.source, [str(events)], config.batch)
        record = run_replay(Replay(config, source, out)).record
        found = read_latest(out / "checkpoints")
        assert found is not None, "a replay ends in a checkpoint"
        n_bytes = sum(path.stat().st_size for path in found.path.iterdir())
        learner = found.state["panel"]["learners"]["transformer"]
        learned = bytes_of(learner["finetuner"]) + bytes_of(learner["served"])
    recall = record["metrics"]["recall@20"]["total"]
    return f"{recall:10.4f}{record['events_per_second']:10.1f}{n_bytes:13,}{learned:13,}"


def bytes_of(state: State) -> int:
    """Bytes of all arrays of a state."""
    entries = (bytes_of(value) for value in state.values() if isinstance(value, dict))
    arrays = (value.nbytes for value in state.values() if isinstance(value, np.ndarray))
    return sum(entries) + sum(arrays)


if __name__ == "__main__":
    main()
