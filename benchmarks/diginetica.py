"""DIGINETICA, 17 weeks in one pass: frozen within each week, and truly prequential beside it.

For p = 1 .. 16 the learners that have seen weeks 0 .. p - 1 are frozen and ranked on week p, as
the ADER benchmark does: sessions in order, items not seen in an earlier week dropped, sessions
left with fewer than two clicks dropped, every prefix predicts its next item among all items seen.
Then the week is streamed: each click is predicted, then learned. Recall@20 and MRR@20 in percent,
each the mean over all predictions of a week, and the plain mean of the weeks. Settings were
chosen on weeks 0 .. 3.

With `--passes N` the lessons of week 0 are gone over N - 1 times more before week 1 is ranked, as
`freshrank pretrain` does; every later week is seen once.

    python -m benchmarks.diginetica [--periods 16] [--passes 1] [--set key=value ...]
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from benchmarks.datasets import data_folder
from evaluators.ranking import ranks_of
from learners.panel import Panel
from stream.build import build_pipeline, config_hash
from stream.catalogue import Catalogue
from stream.checkpoint import Checkpoints
from stream.config import FreshrankConfig
from stream.importers.registry import import_events
from stream.lesson_memory import LessonMemory
from stream.lessons import select
from stream.pipeline import Pipeline
from stream.run_folder import resolved
from stream.settings import read_settings
from stream.sources.file import FileSource
from stream.values import Batch, Contexts, Int32s, Position, Queries

CONFIG = Path(__file__).with_name("diginetica.yaml")
PUBLISHED = "ADER, published: 50.21 / 17.32 (up to 100 epochs a week, width 150)"
QUERIES_AT_ONCE = 512
LESSONS_AT_ONCE = 4_096
MAX_LESSONS = 1_000_000

Figures = dict[str, tuple[float, float]]


class Weeks:
    """A source that reads one file a week, and stops before each for a look at the learners."""

    def __init__(
        self, config: FreshrankConfig, paths: list[Path], before: Callable[[int], None]
    ) -> None:
        self._config = config
        self._paths = paths
        self._before = before

    def batches(
        self, start: Position | None, next_seq: int = 0, watermark_ms: int = 0
    ) -> Iterator[Batch]:
        for week, path in enumerate(self._paths):
            self._before(week)
            source = FileSource(self._config.source, [str(path)], self._config.batch)
            for batch in source.batches(start, next_seq, watermark_ms):
                next_seq, watermark_ms = batch.seq + 1, batch.watermark_ms
                yield batch

    def acknowledge(self, end: Position) -> None:
        """Nobody reads it."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--periods", type=int, default=16, help="the last week to rank")
    parser.add_argument("--passes", type=int, default=1, help="over week 0, the first included")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run_weeks(Path(folder), arguments.periods, arguments.passes, arguments.set)


def run_weeks(folder: Path, n_weeks: int, n_passes: int, overrides: list[str]) -> list[Figures]:
    """Stream the weeks; Recall@20 and MRR@20 of each learner frozen within each week, from 1 on."""
    config = resolved(read_settings(FreshrankConfig, CONFIG, overrides), folder, False)
    weeks = list(range(n_weeks + 1))
    paths = [folder / f"week_{week}.jsonl" for week in weeks]
    for week, path in zip(weeks, paths, strict=True):
        import_events("diginetica", data_folder("diginetica"), path, periods=[week])
    frozen: list[Figures] = []
    started_s = time.perf_counter()
    memory = LessonMemory(MAX_LESSONS)

    def before(week: int) -> None:
        panel = pipeline.parts.panel
        panel.attend(memory if week == 0 and n_passes > 1 else None)
        if week == 1:
            rehearse(panel, memory, n_passes - 1, config.learner.seed)
        if week:
            frozen.append(ranked_frozen(pipeline, config, paths[week]))
            cells = "  ".join(f"{n} {r:.2f} / {m:.2f}" for n, (r, m) in frozen[-1].items())
            seconds = time.perf_counter() - started_s
            print(f"week {week:2}, frozen: {cells}   ({seconds:,.0f} s)", flush=True)

    checkpoint = config.checkpoint.model_copy(update={"dir": folder / "checkpoints"})
    with Checkpoints(checkpoint, config_hash(config)) as checkpoints:
        pipeline = build_pipeline(config, Weeks(config, paths, before), folder, checkpoints)
        pipeline.run()
        pipeline.close()
    report(config, pipeline, frozen, time.perf_counter() - started_s)
    return frozen


def rehearse(panel: Panel, memory: LessonMemory, n_passes: int, seed: int) -> None:
    """Go over what was taught so many times more, each time in another order."""
    lessons = memory.lessons()
    for number in range(n_passes):
        order_M = np.random.default_rng((seed, number)).permutation(len(lessons))
        for start in range(0, len(lessons), LESSONS_AT_ONCE):
            panel.rehearse(select(lessons, order_M[start : start + LESSONS_AT_ONCE]))


def report(
    config: FreshrankConfig, pipeline: Pipeline, frozen: list[Figures], seconds: float
) -> None:
    judged = pipeline.metrics()
    prequential = {config.champion: judged["metrics"]} | judged["shadows"]
    print(f"\nDIGINETICA, {pipeline.n_events:,} clicks; Recall@20 / MRR@20 in percent")
    print(f"{'':14}{'frozen, 1..':>16}{'frozen, 4..':>16}{'prequential':>16}")
    for name, figures in prequential.items():
        cells = [mean_text([week[name] for week in part]) for part in (frozen, frozen[3:])]
        cells.append(
            f"{100 * figures['recall@20']['total']:.2f} / {100 * figures['mrr@20']['total']:.2f}"
        )
        print(f"{name:14}" + "".join(f"{cell:>16}" for cell in cells))
    print(f"{PUBLISHED}\n{seconds:,.0f} s in all, {config.threads} threads")


def mean_text(weeks: list[tuple[float, float]]) -> str:
    """The mean of the weeks; nothing where there is none."""
    if not weeks:
        return ""
    recall, mrr = np.mean(weeks, axis=0)
    return f"{recall:.2f} / {mrr:.2f}"


def ranked_frozen(pipeline: Pipeline, config: FreshrankConfig, path: Path) -> Figures:
    """Recall@20 and MRR@20 of each learner on a week that none of them has seen."""
    catalogue = pipeline.parts.tables["catalogue"]
    assert isinstance(catalogue, Catalogue)
    source = FileSource(config.source, [str(path)], config.batch)
    sessions: dict[str, list[int]] = {}
    for batch in source.batches(None):
        rows = catalogue.rows(batch.clicks.item_B).tolist()
        for user, row in zip(batch.clicks.user_B, rows, strict=True):
            if row >= 0:
                sessions.setdefault(user, []).append(row)
    ranks: dict[str, list[np.ndarray]] = {}
    for queries, answer_B in prefix_queries(sessions, catalogue, config):
        for name, predictions in pipeline.parts.panel.predict(queries).items():
            ranks.setdefault(name, []).append(ranks_of(predictions.top_items_BK, answer_B))
    return {name: figures_of(np.concatenate(parts)) for name, parts in ranks.items()}


def prefix_queries(
    sessions: Mapping[str, list[int]], catalogue: Catalogue, config: FreshrankConfig
) -> Iterator[tuple[Queries, Int32s]]:
    """Every prefix of every session of two clicks or more, and the item behind it."""
    n_steps = config.learner.history_items
    pairs = [
        (number, items[max(0, end - n_steps) : end], items[end])
        for number, items in enumerate(sessions.values())
        for end in range(1, len(items))
    ]
    for start in range(0, len(pairs), QUERIES_AT_ONCE):
        part = pairs[start : start + QUERIES_AT_ONCE]
        length_C = np.array([len(history) for _, history, _ in part], np.int32)
        history_CT = np.full((len(part), int(length_C.max())), -1, np.int32)
        for row, (_, history, _) in zip(history_CT, part, strict=True):
            row[: len(history)] = history
        queries = Queries(
            contexts=Contexts(history_CT, length_C),
            context_of_B=np.arange(len(part), dtype=np.int32),
            ts_B=np.zeros(len(part), np.int64),
            # No session of the stream has a number as large: none of these was learned.
            session_B=np.array([2**62 + number for number, _, _ in part], np.int64),
            session_length_B=length_C,
            n_items=len(catalogue),
            tie_hash_V=catalogue.tie_hash_V,
            k=max(config.ranking.ks),
        )
        yield queries, np.array([answer for _, _, answer in part], np.int32)


def figures_of(rank_N: np.ndarray) -> tuple[float, float]:
    is_hit_N = rank_N > 0
    return 100 * float(is_hit_N.mean()), 100 * float((is_hit_N / np.maximum(rank_N, 1)).mean())


if __name__ == "__main__":
    main()
