"""What each input is worth: a simulated shop that offers all of them, read with and without each.

Users say what they like and bring attributes, requests name their device, wants go with the hour,
items have a title, attributes and a given vector. Each line is a replay of its own that reads one
of these, or several, by a small transformer; Recall@20 over all clicks, over each user's first
one, and over clicks on items that had fewer than ten before, and the mean log loss of the softmax
over all items, which tells small effects apart sooner. Gains are over a replay that reads a field
which no request carries: what a declaration brings along by itself is in the second line.

    python -m benchmarks.inputs [--seeds 4] [--clicks 12000] [--only TEXT] [--champion blend]
"""

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import mean, stdev

import numpy as np

from learners.panel import Panel
from learners.transformer import TransformerLearner
from stream.build import build_learner, build_pipeline, config_hash
from stream.checkpoint import Checkpoints
from stream.config import FreshrankConfig
from stream.pipeline import Pipeline
from stream.run_folder import resolved
from stream.settings import read_settings
from stream.sources.file import FileSource
from stream.sources.simulator import SimulatorConfig, simulate
from stream.values import Bools, Outcomes

K = 20
NEW_BELOW_CLICKS = 10
IMAGE = 16
SLICES = ("all clicks", "first clicks", "new items")
LOG_LOSS = "log loss"
SMALL = ("learner.width=32", "learner.layers=1", "learner.replay_ratio=2")


@dataclass(frozen=True)
class Input:
    """The settings that read it, and what it needs of item events."""

    settings: tuple[str, ...]
    item_fields: tuple[str, ...] = ()


INPUTS = {
    "context (device)": Input(("inputs.context.device=category",)),
    "clock (day)": Input(("inputs.clock=[day]",)),
    "profile text": Input(("inputs.profile.words=16",)),
    "profile attributes": Input(
        ("inputs.profile.values=8", "inputs.profile.attributes={age: number}")
    ),
    "item text": Input(("learner.content.tokens=24",), ("title",)),
    "item attributes": Input(("learner.content.tokens=24",), ("category", "attributes")),
    "item vectors": Input((f"learner.content.vectors={{image: {IMAGE}}}",), ("vectors",)),
}
NOTHING = "a field that never comes"
OF_USERS = tuple(name for name in INPUTS if not name.startswith("item"))
OF_ITEMS = tuple(name for name in INPUTS if name.startswith("item"))


@dataclass
class Tally:
    """Hits and samples of each slice."""

    n_hits: Counter[str] = field(default_factory=Counter)
    n: Counter[str] = field(default_factory=Counter)
    loss: float = 0.0
    n_known: int = 0

    def add(self, name: str, is_in_B: Bools, is_hit_B: Bools) -> None:
        """Count a batch's samples of a slice."""
        self.n[name] += int(is_in_B.sum())
        self.n_hits[name] += int((is_in_B & is_hit_B).sum())

    def figures(self) -> list[float]:
        """Recall of each slice, and the log loss; 0 from a learner that gives no probabilities."""
        recalls = [self.n_hits[name] / max(self.n[name], 1) for name in SLICES]
        return [*recalls, self.loss / max(self.n_known, 1)]


class WatchedPanel(Panel):
    """The champion alone, with a tally of its answers."""

    def __init__(self, config: FreshrankConfig) -> None:
        self._champion_itself = build_learner(config, config.champion)
        super().__init__((config.champion, self._champion_itself), {})
        self._n_clicks: Counter[int] = Counter()
        self.tally = Tally()

    def learn(self, outcomes: Outcomes) -> None:
        [predictions] = outcomes.predictions.values()
        is_hit_B = (predictions.top_items_BK[:, :K] == outcomes.answer_B[:, None]).any(axis=1)
        is_hit_B &= outcomes.answer_B >= 0
        queries = outcomes.queries
        is_first_B = queries.contexts.length_C[queries.context_of_B] == 0
        n_before_B = np.array([self._n_clicks[row] for row in outcomes.answer_B.tolist()])
        is_sample_B = outcomes.is_sample_B
        self.tally.add("all clicks", is_sample_B, is_hit_B)
        self.tally.add("first clicks", is_sample_B & is_first_B, is_hit_B)
        self.tally.add("new items", is_sample_B & (n_before_B < NEW_BELOW_CLICKS), is_hit_B)
        self._n_clicks.update(outcomes.answer_B.tolist())
        if isinstance(self._champion_itself, TransformerLearner) and queries.n_items:
            known_B = outcomes.answer_B >= 0
            scored = self._champion_itself.score(queries)
            context_K = queries.context_of_B[known_B].astype(np.int64)
            score_K = scored.of(context_K, outcomes.answer_B[known_B])
            self.tally.loss += float((scored.total()[context_K] - score_K).sum())
            self.tally.n_known += len(context_K)
        super().learn(outcomes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--clicks", type=int, default=12_000)
    parser.add_argument("--only", default="", help="lines whose name holds this")
    parser.add_argument("--champion", default="transformer", choices=["transformer", "blend"])
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="KEY=VALUE")
    arguments = parser.parse_args()
    print(f"simulated shop, {arguments.clicks} clicks, {arguments.champion}, Recall@{K}: mean of")
    print(f"{arguments.seeds} seeds, and the mean gain with its deviation between seeds")
    print(f"{'read':32}" + "".join(f"{name:>24}" for name in (*SLICES, LOG_LOSS)))
    base: list[list[float]] = []
    for name, settings, read in lines():
        if name != NOTHING and arguments.only not in name:
            continue
        chosen = [f"champion={arguments.champion}", *settings, *arguments.settings]
        found = [
            figures([INPUTS[one] for one in read], seed, arguments.clicks, chosen)
            for seed in range(arguments.seeds)
        ]
        base = found if name == NOTHING else base
        print(f"{name:32}" + "".join(cells(found, base)), flush=True)


def lines() -> list[tuple[str, list[str], Sequence[str]]]:
    """The lines of the table: their names, settings beside, and what they read."""
    never = ["inputs.context.never=category"]
    several = {"all of users": OF_USERS, "all of items": OF_ITEMS, "all": tuple(INPUTS)}
    each = {name: (name,) for name in INPUTS} | several
    read = [(name, never, names) for name, names in each.items()]
    return [(NOTHING, never, ()), ("nothing declared", [], ()), *read]


def cells(found: Sequence[list[float]], base: Sequence[list[float]]) -> list[str]:
    """The mean of each figure, and the gain over the base on the same seeds."""
    texts = []
    for of_seeds, before in zip(zip(*found, strict=True), zip(*base, strict=True), strict=True):
        gains = [one - other for one, other in zip(of_seeds, before, strict=True)]
        spread = stdev(gains) if len(gains) > 1 else 0.0
        texts.append(f"{mean(of_seeds):9.4f} {mean(gains):+.4f}±{spread:.4f}")
    return texts


def figures(
    inputs: Sequence[Input], seed: int, n_clicks: int, settings: Sequence[str]
) -> list[float]:
    """What one replay came to."""
    kept = {one for each in inputs for one in each.item_fields}
    chosen = [
        *SMALL,
        "learner.content.tokens=0",
        *(one for each in inputs for one in each.settings),
    ]
    chosen += ["shadows=[]", "threads=1", "batch.events=64", f"learner.seed={seed}", *settings]
    with tempfile.TemporaryDirectory() as folder:
        out, events = Path(folder) / "run", Path(folder) / "events.jsonl"
        write_events(events, seed, n_clicks, kept)
        config = resolved(read_settings(FreshrankConfig, None, chosen), out, resume=False)
        source = FileSource(config.source, [str(events)], config.batch)
        folder_of_run = {"dir": out / "checkpoints", "every": 10**9}
        seldom = config.checkpoint.model_copy(update=folder_of_run)
        with Checkpoints(seldom, config_hash(config)) as checkpoints:
            pipeline = build_pipeline(config, source, out, checkpoints)
            panel = WatchedPanel(config)
            pipeline = Pipeline(replace(pipeline.parts, panel=panel))
            pipeline.run()
            pipeline.close()
    return panel.tally.figures()


def write_events(path: Path, seed: int, n_clicks: int, item_fields: set[str]) -> None:
    """The shop's events; items say no more of themselves than these fields."""
    config = SimulatorConfig(
        seed=seed,
        clicks=n_clicks,
        users=max(n_clicks // 4, 10),
        items=600,
        requests_per_session=0,
        profile_ratio=0.8,
        device_shift=0.5,
        hour_shift=0.3,
        attributes=True,
        vectors=IMAGE,
    )
    known = {"type", "item", "ts", *item_fields}
    with path.open("w", encoding="utf-8") as file:
        for event in simulate(config).events():
            is_item = event["type"] == "item"
            told = {name: value for name, value in event.items() if not is_item or name in known}
            file.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
