"""The loop costs little: 50,000 events/s without a model, 0.9 of a bare torch loop with one.

The bare loop does the learner's own work and nothing else: on the same batches, in the same
process, with the same network, the inference forward and top-k, then the training forward,
backward and step on the same new and replayed positions. Its queries, lessons and replayed
sequences are recorded beforehand, so it neither reads files, nor builds contexts, nor judges,
nor checkpoints. Both are timed in turn, and the ratio is taken pair by pair.

    python -m benchmarks.replay [--events 20000] [--pairs 3]
"""

import argparse
import copy
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.datasets import event_file
from learners.item_content import ItemContent
from learners.item_vectors import ItemVectors
from learners.panel import Panel
from learners.reading import Reading
from learners.replay import ReplayBuffer, minibatches
from learners.scorer import Scorer
from learners.states import reading_of_ends, reading_to_learn, targets
from learners.top_items import top_items_of_tensor
from learners.transformer_config import TransformerConfig
from stream.build import build_pipeline, config_hash
from stream.checkpoint import Checkpoints
from stream.config import FreshrankConfig
from stream.lessons import compacted
from stream.pipeline import Pipeline
from stream.run_folder import resolved
from stream.settings import read_settings
from stream.sources.file import FileSource
from stream.values import Changes, Outcomes, Predictions, Queries

SETTINGS: dict[str, Path | None] = {
    "ml-100k": Path(__file__).with_name("ml100k.yaml"),
    "diginetica": Path(__file__).with_name("diginetica.yaml"),
    "shop": None,  # simulated: a quarter of its events are lists of ten items
}
MODEL_FREE = ["champion=counting", "shadows=[]", "batch.events=256"]
MODEL_ONLY = ["champion=transformer", "shadows=[]", "batch.events=256"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=20_000, help="events timed with the model")
    parser.add_argument("--pairs", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name in SETTINGS:
            events = event_file(name, Path(folder))
            without_model(name, events, Path(folder), arguments.pairs)
            if name != "shop":  # the bare loop knows no lists
                with_model(name, events, Path(folder), arguments)


def without_model(name: str, events: Path, folder: Path, n_runs: int) -> None:
    """Events a second of the whole loop with a learner that only counts."""
    rates = []
    for run in range(n_runs):
        config = settings_of(name, folder, MODEL_FREE)
        started_s = time.perf_counter()
        n_events = run_pipeline(config, events, folder / f"{name}-free-{run}")
        rates.append(n_events / (time.perf_counter() - started_s))
    print(f"{name:11} without a model: {statistics.median(rates):9,.0f} events/s", flush=True)


def with_model(name: str, events: Path, folder: Path, arguments: argparse.Namespace) -> None:
    """Events a second of the whole loop with the transformer, and of the bare loop."""
    config = settings_of(name, folder, [*MODEL_ONLY, f"source.limit={arguments.events}"])
    bare_batches, n_items = record(config, events, folder / f"{name}-recorded")
    loop_s, bare_s = [], []
    for pair in range(arguments.pairs):
        started_s = time.perf_counter()
        n_events = run_pipeline(config, events, folder / f"{name}-model-{pair}")
        loop_s.append(time.perf_counter() - started_s)
        bare_s.append(run_bare(config.learner, bare_batches, n_items))
    ratios = [bare / loop for bare, loop in zip(bare_s, loop_s, strict=True)]
    print(
        f"{name:11} with the transformer: {n_events / statistics.median(loop_s):6,.0f} events/s, "
        f"bare torch loop: {n_events / statistics.median(bare_s):6,.0f} events/s, "
        f"ratio {statistics.median(ratios):.3f} ({min(ratios):.3f} .. {max(ratios):.3f}), "
        f"{n_events:,} events, {config.threads} threads",
        flush=True,
    )


def settings_of(name: str, folder: Path, overrides: Sequence[str]) -> FreshrankConfig:
    return resolved(read_settings(FreshrankConfig, SETTINGS[name], overrides), folder, False)


def run_pipeline(config: FreshrankConfig, events: Path, out: Path) -> int:
    """The loop as `freshrank replay` runs it: decoding, judging, writing, checkpoints."""
    folder = config.checkpoint.model_copy(update={"dir": out / "checkpoints"})
    source = FileSource(config.source, [str(events)], config.batch)
    with Checkpoints(folder, config_hash(config)) as checkpoints:
        pipeline = build_pipeline(config, source, out, checkpoints)
        pipeline.run()
        pipeline.close()
    return pipeline.n_events


@dataclass(frozen=True)
class Bare:
    """What is read, as tensors: histories in buckets, and where the states asked for are."""

    history_of: list[Tensor]
    place_N: Tensor


@dataclass(frozen=True)
class BareStep:
    """One optimizer step: the states to learn from, and what followed them."""

    read: Bare
    target_N: Tensor


@dataclass(frozen=True)
class BareBatch:
    """What the bare loop is given, as tensors."""

    n_items: int
    read: Bare
    context_of_B: np.ndarray
    seen: tuple[Tensor, Tensor] | None
    tie_hash_V: Tensor
    k: int
    steps: list[BareStep] = field(default_factory=list)


class Recorder:
    """A learner that ranks nothing and writes down what the transformer would have been given."""

    def __init__(self, config: TransformerConfig) -> None:
        self._config = config
        self._device = device_of(config)
        self._replay = ReplayBuffer(
            config.replay_sequences, config.history_items + 1, config.replay_recent
        )
        self._n_learned = 0
        self._n_items = 0
        self.batches: list[BareBatch] = []

    def predict(self, queries: Queries) -> Predictions:
        seen = queries.contexts.seen
        if seen is not None:
            owner = np.repeat(np.arange(len(queries.contexts.length_C)), np.diff(seen.starts))
        self.batches.append(
            BareBatch(
                n_items=queries.n_items,
                read=self._bare(reading_of_ends(queries.contexts, self._device)),
                context_of_B=queries.context_of_B,
                seen=None if seen is None else (self._tensor(owner), self._tensor(seen.values)),
                tie_hash_V=self._tensor(queries.tie_hash_V),
                k=queries.k,
            )
        )
        return Predictions(np.full((len(queries), queries.k), -1, np.int32))

    def learn(self, outcomes: Outcomes) -> None:
        if not len(outcomes.lessons):
            return
        rng = np.random.default_rng((self._config.seed, self._n_learned))
        for lessons, replayed in minibatches(
            outcomes.lessons, self._replay, self._config.minibatch, self._config.replay_ratio, rng
        ):
            used = compacted(lessons)
            asked = reading_to_learn(used, replayed, self._device)
            step = BareStep(self._bare(asked), self._tensor(targets(used, replayed)))
            self.batches[-1].steps.append(step)
        self._n_learned += 1

    def _bare(self, planned: Reading) -> Bare:
        return Bare(
            [self._tensor(one) for one in planned.history_of], self._tensor(planned.place_N)
        )

    def _tensor(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(array.astype(np.int64)).to(self._device)

    def follow(self, changes: Changes) -> None:
        self._n_items = changes.n_items

    def state_dict(self) -> dict[str, int]:
        return {"schema_version": 1}

    def load_state_dict(self, state: dict[str, int]) -> None:
        raise NotImplementedError("a recording is not resumed")


def record(config: FreshrankConfig, events: Path, out: Path) -> tuple[list[BareBatch], int]:
    """The batches of a run as tensors, and how many items there are in the end."""
    recorder = Recorder(config.learner)
    folder = config.checkpoint.model_copy(update={"dir": out / "checkpoints", "every": 10**9})
    source = FileSource(config.source, [str(events)], config.batch)
    with Checkpoints(folder, config_hash(config)) as checkpoints:
        pipeline = build_pipeline(config, source, out, checkpoints)
        panel = Panel((config.champion, recorder), {})
        pipeline = Pipeline(replace(pipeline.parts, panel=panel))
        pipeline.run()
        pipeline.close()
    return recorder.batches, len(pipeline.parts.tables["catalogue"])


def run_bare(
    config: TransformerConfig,
    batches: Sequence[BareBatch],
    n_items: int,
    clock_s: Callable[[], float] = time.perf_counter,
) -> float:
    """Seconds that the bare loop takes."""
    torch.manual_seed(config.seed)
    device = device_of(config)
    content = ItemContent(config.content)
    scorer = Scorer(
        ItemVectors(config.width, content), config.shape, config.temperature, config.tower
    )
    scorer.items.vector_VD = torch.nn.Parameter(0.1 * torch.randn(n_items, config.width))
    scorer.to(device)
    served = copy.deepcopy(scorer).requires_grad_(False).eval()
    optimizer = torch.optim.AdamW(scorer.parameters(), lr=4e-3, fused=True)
    autocast = partial(
        torch.autocast, device.type, dtype=torch.bfloat16, enabled=device.type == "cuda"
    )
    started_s = clock_s()
    for batch in batches:
        for one in (scorer, served):
            one.items.n_rows["vector_VD"] = batch.n_items
        if batch.n_items:
            with torch.inference_mode(), autocast():
                item_VD = served.items.vectors()
                state_CD = bare_states(served, batch.read, item_VD)
                score_CV = served.scores(state_CD, item_VD).float()
                if batch.seen is not None:
                    score_CV[batch.seen] = -torch.inf
                top_CK = top_items_of_tensor(score_CV, batch.tie_hash_V, batch.k)
                top_CK.cpu().numpy()[batch.context_of_B]
        for step in batch.steps:
            scorer.train()
            optimizer.zero_grad(set_to_none=True)
            with autocast():
                loss = bare_loss(scorer, step)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(scorer.parameters(), 1.0, foreach=True)
            optimizer.step()
            with torch.no_grad():
                torch._foreach_lerp_(list(served.parameters()), list(scorer.parameters()), 0.03)
    return clock_s() - started_s


def device_of(config: TransformerConfig) -> torch.device:
    """Where the learner works."""
    is_cuda = config.device == "cuda" or (config.device == "auto" and torch.cuda.is_available())
    return torch.device("cuda" if is_cuda else "cpu")


def bare_loss(scorer: Scorer, step: BareStep) -> Tensor:
    item_VD = scorer.items.vectors()
    score_NV = scorer.scores(bare_states(scorer, step.read, item_VD), item_VD).float()
    return functional.cross_entropy(score_NV, step.target_N)


def bare_states(scorer: Scorer, read: Bare, item_VD: Tensor) -> Tensor:
    states = [scorer.states(history_CT, item_VD).flatten(0, 1) for history_CT in read.history_of]
    return torch.cat(states).index_select(0, read.place_N)


if __name__ == "__main__":
    main()
