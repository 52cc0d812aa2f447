"""Where the blend loses to one of its parts: recall by history, by session and by item.

The blend and all its parts answer the same queries in the same run: ml-100k with its catalogue told
at the head, or the first weeks of DIGINETICA, click by click. A slice is what was known when a
click was predicted: how many clicks of the user the context held, how many of them were of the open
session, and how often the item had been clicked in earlier batches. The lead is the blend's over
the best part, with two standard errors of the paired difference.

    python -m benchmarks.slices [--diginetica] [--periods 3]
"""

import argparse
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np

from benchmarks.datasets import data_folder, event_file
from benchmarks.diginetica import CONFIG as DIGINETICA
from benchmarks.ml100k import CONFIG as ML_100K
from stream.build import build_pipeline, config_hash
from stream.checkpoint import Checkpoints
from stream.config import FreshrankConfig
from stream.importers.registry import import_events
from stream.run_folder import resolved
from stream.settings import read_settings
from stream.sources.file import FileSource
from stream.values import Changes, Outcomes

K = 20
BOUNDS = (0, 1, 2, 5, 10, 20, 50, 100, 500)
BLEND = "blend"


class Watch:
    """Hits of every learner by slice; told by the panel what it learns."""

    def __init__(self) -> None:
        self._n_clicks: Counter[int] = Counter()
        self.hits: dict[tuple[str, int], dict[str, list[np.ndarray]]] = defaultdict(
            lambda: defaultdict(list)
        )

    def learn(self, outcomes: Outcomes) -> None:
        queries, answer_B = outcomes.queries, outcomes.answer_B
        of_dimension = {
            "clicks of the user": queries.contexts.length_C[queries.context_of_B],
            "clicks of the session": queries.session_length_B,
            "clicks of the item": np.array([self._n_clicks[row] for row in answer_B.tolist()]),
        }
        for name, predictions in outcomes.predictions.items():
            is_hit_B = (predictions.top_items_BK[:, :K] == answer_B[:, None]).any(axis=1)
            is_hit_B &= answer_B >= 0
            for dimension, count_B in of_dimension.items():
                slice_B = np.searchsorted(BOUNDS, count_B, side="right") - 1
                for number in np.unique(slice_B[outcomes.is_sample_B]).tolist():
                    chosen = outcomes.is_sample_B & (slice_B == number)
                    self.hits[dimension, number][name].append(is_hit_B[chosen])
        self._n_clicks.update(answer_B.tolist())

    def follow(self, changes: Changes) -> None:
        """Rows are never recycled here."""
        assert not len(changes.recycled_R)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--diginetica", action="store_true", help="instead of ml-100k")
    parser.add_argument("--periods", type=int, default=3, help="of DIGINETICA, the last week")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if arguments.diginetica:
            events, config_file = folder / "events.jsonl", DIGINETICA
            weeks = list(range(arguments.periods + 1))
            import_events("diginetica", data_folder("diginetica"), events, periods=weeks)
        else:
            events, config_file = event_file("ml-100k", folder, with_catalogue=True), ML_100K
        watch = watched(events, config_file, folder / "run")
    for dimension in dict.fromkeys(dimension for dimension, _ in watch.hits):
        _print_table(dimension, watch)


def watched(events: Path, config_file: Path, out: Path) -> Watch:
    """The hits of one replay."""
    config = resolved(read_settings(FreshrankConfig, config_file, ["threads=1"]), out, resume=False)
    source = FileSource(config.source, [str(events)], config.batch)
    watch = Watch()
    with Checkpoints(config.checkpoint, config_hash(config)) as checkpoints:
        pipeline = build_pipeline(config, source, out, checkpoints)
        pipeline.parts.panel.attend(watch)
        pipeline.run()
        pipeline.close()
    return watch


def _print_table(dimension: str, watch: Watch) -> None:
    numbers = sorted(number for name, number in watch.hits if name == dimension)
    learners = list(watch.hits[dimension, numbers[0]])
    print(f"\n{dimension:22}{'samples':>9}" + "".join(f"{name:>13}" for name in learners), end="")
    print("   lead over the best part")
    for number in numbers:
        is_hit_of = {
            name: np.concatenate(parts) for name, parts in watch.hits[dimension, number].items()
        }
        recall_of = {name: is_hit_N.mean() for name, is_hit_N in is_hit_of.items()}
        best = max((name for name in learners if name != BLEND), key=lambda name: recall_of[name])
        ahead_N = is_hit_of[BLEND].astype(float) - is_hit_of[best]
        error = 2 * ahead_N.std() / np.sqrt(len(ahead_N))
        cells = "".join(f"{recall_of[name]:13.4f}" for name in learners)
        loss = "  LOSES" if ahead_N.mean() < -error else ""
        print(
            f"{_title(number):22}{len(ahead_N):9,}{cells}   {ahead_N.mean():+.4f} ± {error:.4f} "
            f"({best}){loss}",
            flush=True,
        )


def _title(number: int) -> str:
    first, after = BOUNDS[number], BOUNDS[number + 1] if number + 1 < len(BOUNDS) else None
    if after is None:
        return f"{first}+"
    return f"{first}" if after == first + 1 else f"{first} .. {after - 1}"


if __name__ == "__main__":
    main()
