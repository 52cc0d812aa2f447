"""Ablations: each default of the transformer against what it could have been.

On the stream of `benchmarks.ml100k`, its catalogue told at the head: all 1,682 movies are ranked
from the first click on. Beside Recall@20 over all clicks stands that over clicks on movies that had
fewer than ten before. With `--diginetica`, those that matter most on weeks 0 .. 3 of
`benchmarks.diginetica`: Recall@20 and MRR@20 of the transformer, frozen within each week, in
percent. Each line is a replay of its own with one setting changed, over several seeds.

    python -m benchmarks.quality [--seeds 2] [--only TEXT] [--champion blend] [--diginetica]
"""

import argparse
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean

import numpy as np

from benchmarks.datasets import event_file
from benchmarks.diginetica import run_weeks
from benchmarks.ml100k import CONFIG
from learners.panel import Panel
from stream.build import build_learner, build_pipeline, config_hash
from stream.checkpoint import Checkpoints
from stream.config import FreshrankConfig
from stream.pipeline import Pipeline
from stream.run_folder import resolved
from stream.settings import read_settings
from stream.sources.file import FileSource
from stream.values import Outcomes

K = 20
NEW_BELOW_CLICKS = 10
DEFAULTS = "defaults"
ABLATIONS: tuple[tuple[str, ...], ...] = (
    (),
    ("learner.replay_ratio=0",),
    ("learner.replay_ratio=1",),
    ("learner.replay_ratio=4",),
    ("learner.replay_ratio=8",),
    ("learner.replay_recent=0",),
    ("learner.replay_recent=0.5",),
    ("learner.temperature=null",),
    ("learner.temperature=8",),
    ("learner.temperature=24",),
    ("learner.content.tokens=0",),
    ("learner.content.text_encoder=minilm",),
    ("learner.content.tokens=0", "learner.content.text_encoder=minilm"),
    ("learner.objective.label_smoothing=0.05",),
    ("learner.objective.distillation=0.5",),
    ("learner.optimizer.schedule.warmup_steps=200",),
    ("learner.optimizer.schedule.decay_steps=500",),
    ("learner.sampling.exact_items=0",),
    ("learner.history_items=20",),
    ("learner.history_items=100",),
    ("learner.minibatch=32",),
    ("learner.minibatch=128",),
    ("learner.dropout=0.1",),
    ("learner.dropout=0.5",),
    ("learner.average_decay=0",),
    ("learner.average_decay=0.99",),
    ("learner.width=128", "learner.heads=4"),
    ("learner.layers=1",),
)
ON_DIGINETICA: tuple[tuple[str, ...], ...] = (
    (),
    ("learner.temperature=null",),
    ("learner.replay_ratio=0",),
    ("learner.dropout=0.3",),
    ("learner.minibatch=64",),
)
WEEKS = 3


@dataclass
class Tally:
    """Hits and samples, of all clicks and of those on items that are new."""

    n: int = 0
    n_hits: int = 0
    n_new: int = 0
    n_new_hits: int = 0

    def recalls(self) -> tuple[float, float]:
        """Recall of all, and of the new."""
        return self.n_hits / self.n, self.n_new_hits / self.n_new


class WatchedPanel(Panel):
    """The champion alone, with a tally of its answers by how often an item was clicked before."""

    def __init__(self, config: FreshrankConfig) -> None:
        super().__init__((config.champion, build_learner(config, config.champion)), {})
        self._n_clicks: Counter[int] = Counter()
        self.tally = Tally()

    def learn(self, outcomes: Outcomes) -> None:
        [predictions] = outcomes.predictions.values()
        is_hit_B = (predictions.top_items_BK[:, :K] == outcomes.answer_B[:, None]).any(axis=1)
        is_hit_B &= outcomes.answer_B >= 0
        # By the clicks of earlier batches, as the learner knew them.
        n_before_B = np.array([self._n_clicks[row] for row in outcomes.answer_B.tolist()])
        is_new_B = outcomes.is_sample_B & (n_before_B < NEW_BELOW_CLICKS)
        self.tally.n += int(outcomes.is_sample_B.sum())
        self.tally.n_hits += int(is_hit_B[outcomes.is_sample_B].sum())
        self.tally.n_new += int(is_new_B.sum())
        self.tally.n_new_hits += int(is_hit_B[is_new_B].sum())
        self._n_clicks.update(outcomes.answer_B.tolist())
        super().learn(outcomes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--only", default="", help="ablations whose name holds this")
    parser.add_argument("--champion", default="transformer", choices=["transformer", "blend"])
    parser.add_argument("--diginetica", action="store_true", help="instead of ml-100k")
    arguments = parser.parse_args()
    stream = "DIGINETICA, weeks 1 .. 3" if arguments.diginetica else "ml-100k with its catalogue"
    heads = ("Recall@20", "MRR@20") if arguments.diginetica else ("Recall@20", "new items")
    print(f"{stream}, {arguments.champion}, mean of {arguments.seeds} seeds")
    print(f"{'setting':58}{heads[0]:>10}{heads[1]:>11}   seeds")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if not arguments.diginetica:
            events = event_file("ml-100k", folder, with_catalogue=True)
        for ablation in ON_DIGINETICA if arguments.diginetica else ABLATIONS:
            title = " ".join(one.removeprefix("learner.") for one in ablation) or DEFAULTS
            if arguments.only not in title:
                continue
            found = []
            for seed in range(arguments.seeds):
                settings = [
                    *(f"champion={arguments.champion}", "shadows=[]", "threads=1"),
                    *(*ablation, f"learner.seed={seed}"),
                ]
                if arguments.diginetica:
                    found.append(frozen_figures(settings, arguments.champion))
                else:
                    found.append(recalls(events, settings))
            first, second = (mean(one) for one in zip(*found, strict=True))
            each = " ".join(f"{one[0]:.4f}" for one in found)
            print(f"{title:58}{first:10.4f}{second:11.4f}   {each}", flush=True)


def frozen_figures(settings: Sequence[str], champion: str) -> tuple[float, float]:
    """Recall@20 and MRR@20, the means of the weeks."""
    with tempfile.TemporaryDirectory() as folder:
        weeks = run_weeks(Path(folder), WEEKS, 1, list(settings))
    recall, mrr = np.mean([week[champion] for week in weeks], axis=0)
    return float(recall), float(mrr)


def recalls(events: Path, settings: Sequence[str]) -> tuple[float, float]:
    """Recall@20 of one replay, over all clicks and over those on new items."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        config = resolved(read_settings(FreshrankConfig, CONFIG, settings), out, resume=False)
        source = FileSource(config.source, [str(events)], config.batch)
        seldom = config.checkpoint.model_copy(update={"every": 10**9})
        with Checkpoints(seldom, config_hash(config)) as checkpoints:
            pipeline = build_pipeline(config, source, out, checkpoints)
            panel = WatchedPanel(config)
            pipeline = Pipeline(replace(pipeline.parts, panel=panel))
            pipeline.run()
            pipeline.close()
    return panel.tally.recalls()


if __name__ == "__main__":
    main()
