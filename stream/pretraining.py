"""Learning a log by several passes, before a stream is gone on with.

    1  the log but for its tail, through the ordinary loop: predict, judge, learn
    2  the tail is predicted by weights that stand still: the figure of epoch 1
    3  each further epoch: the lessons of 1 in another order, then 2 again
    4  the best epoch's weights are taken back
    5  the tail, through the ordinary loop: only now it is learned

What it leaves is a run's folder like any other.
"""

import json
import shutil
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from stream.appearing_folder import appearing
from stream.build import build_pipeline, config_hash
from stream.checkpoint import CheckpointConfig, Checkpoints
from stream.checkpoint_snapshot import restore_state, take_snapshot
from stream.config import AlertsSettings, FreshrankConfig
from stream.durable import write_durably
from stream.errors import NoUsableEventError, UsageError
from stream.lesson_memory import LessonMemory
from stream.lessons import select
from stream.pipeline import Pipeline
from stream.run_folder import alone_in, write_config
from stream.sources.file import FileSource
from stream.sources.inputs import STDIN
from stream.values import Batch, Lessons, Position, Record, State

RECORD_FILE = "pretraining.json"

# Below that one click more or less in the list moves the figure by more than an epoch does.
MIN_TAIL_CLICKS = 50
# Between two looks at whether to stop: some seconds on a CPU.
_LESSONS_A_LOOK = 4096


class PretrainConfig(BaseModel):
    """How many passes are made, and what they are judged by."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    epochs: PositiveInt = 5
    """Passes over the log, the first one included."""
    patience: PositiveInt = 2
    """Epochs without a better figure after which no further one is made."""
    validation_share: float = Field(default=0.1, gt=0.0, le=0.5)
    """Share of the clicks, the last ones, that no epoch learns."""
    max_lessons: PositiveInt = 2_000_000
    """Clicks that further epochs go over, the newest: `4 * (history_items + 10)` bytes each."""


@dataclass(frozen=True, slots=True)
class Pretraining:
    """What to learn, and where to leave it.

    `config` must have come through `stream.run_folder.resolved`; `out` must not exist.
    """

    config: FreshrankConfig
    passes: PretrainConfig
    paths: Sequence[str]
    out: Path


@dataclass(frozen=True, slots=True)
class Epoch:
    """How well the tail was predicted after so many passes; `figure` lies in [0, 1]."""

    number: int
    figure: float
    is_best: bool = True


@dataclass(frozen=True, slots=True)
class Pretrained:
    """What a pretraining came to; `figure` names what the epochs were judged by."""

    figure: str
    epochs: list[Epoch]
    n_clicks: int
    n_tail_clicks: int
    n_lessons: int
    n_dropped: int

    @property
    def best(self) -> Epoch:
        """The epoch whose weights were kept."""
        return [epoch for epoch in self.epochs if epoch.is_best][-1]


@dataclass(slots=True)
class Stage:
    """A part of the work that somebody watches: how much of `n_total` is done.

    `n_total` is 0 where nobody knows it yet.
    """

    name: str
    n_total: int
    judged: Callable[[], Record] = field(default=lambda: {"metrics": {}})
    n_done: int = 0

    @property
    def n_events(self) -> int:
        return self.n_done

    @property
    def n_records(self) -> int:
        return self.n_done

    def metrics(self) -> Record:
        """The figures so far."""
        return self.judged()


class StoppedError(Exception):
    """Raised by a witness: the pretraining ends, and leaves nothing."""


class Witness(Protocol):
    """Who watches a pretraining.

    `step` is called every so often, and may raise `StoppedError` to end it.
    """

    def begin(self, stage: Stage) -> None: ...

    def step(self) -> None: ...

    def judged(self, epoch: Epoch) -> None: ...


def pretrain(job: Pretraining, witness: Witness) -> Pretrained:
    """Learn a log by several passes, and leave a run's folder.

    The folder appears when all is done: it is filled under another name, and removed if anything
    ends the work before.

    Raises
    ------
    UsageError
        If the champion has no weights, `out` exists, or the log cannot be read twice or has too
        few clicks.
    StoppedError
        If the witness wants it to end.
    """
    _refuse_unusable(job)
    folder = Path(CheckpointConfig().dir)
    config = job.config.model_copy(
        update={
            # Alerts would react to the past.
            "alerts": AlertsSettings(),
            "checkpoint": job.config.checkpoint.model_copy(update={"dir": folder}),
            "source": job.config.source.model_copy(update={"speed": None, "kafka": None}),
            "outputs": type(job.config.outputs)(),
        }
    )
    with appearing(job.out) as out:
        settings = config.checkpoint.model_copy(update={"dir": out / folder})
        with (
            alone_in(out, out / folder),
            Checkpoints(settings, config_hash(config)) as checkpoints,
        ):
            pretrained = _Passes(config, job, witness, out, checkpoints).run()
        write_config(config, out)
        record = asdict(pretrained) | {"best_epoch": pretrained.best.number}
        write_durably(out / RECORD_FILE, (json.dumps(record, indent=2) + "\n").encode())
    return pretrained


def _refuse_unusable(job: Pretraining) -> None:
    source = job.config.source
    if STDIN in job.paths:
        raise UsageError("-: a pretraining reads its events several times; name files")
    if source.limit is not None:
        raise UsageError(
            f"source.limit: {source.limit}: a pretraining reads its events to their end; set "
            "source.until_ms to end it earlier"
        )
    if job.config.start_from is not None:
        raise UsageError(
            f"start_from: {job.config.start_from}: a pretraining begins with fresh weights; leave "
            "it to the replay or the run that goes on"
        )


@dataclass(frozen=True, slots=True)
class _Cut:
    """Where the tail begins, counted in batches: those of two readings are the same."""

    n_head_batches: int
    n_clicks: int
    n_tail_clicks: int
    n_records: int
    n_tail_records: int


class _Passes:
    """One pretraining, from its first event to its last commit."""

    def __init__(
        self,
        config: FreshrankConfig,
        job: Pretraining,
        witness: Witness,
        out: Path,
        checkpoints: Checkpoints,
    ) -> None:
        self._config = config
        self._passes = job.passes
        self._paths = job.paths
        self._witness = witness
        self._out = out
        self._checkpoints = checkpoints
        self._figure = f"recall@{max(config.ranking.ks)}"
        self._stage = Stage("", 0)
        self._pipeline = self._built(config, out)
        self._memory = LessonMemory(job.passes.max_lessons)

    def run(self) -> Pretrained:
        with closing(self._pipeline):
            panel = self._pipeline.parts.panel
            if not panel.is_rehearsing:
                raise UsageError(
                    f"champion: {self._config.champion}: has no weights, so there is nothing to "
                    "pretrain; replay the events instead, or set champion: transformer or blend"
                )
            cut = self._find_tail()
            tail = self._learn_head(cut)
            lessons = self._memory.lessons()
            epochs = self._learn_again(lessons, tail, cut)
            self._learn_tail(tail, cut)
        return Pretrained(
            figure=self._figure,
            epochs=epochs,
            n_clicks=cut.n_clicks,
            n_tail_clicks=cut.n_tail_clicks,
            n_lessons=len(lessons),
            n_dropped=self._memory.n_dropped,
        )

    def _find_tail(self) -> _Cut:
        """Count, and cut at the last end of a batch that leaves enough clicks behind it."""
        self._begin(Stage("reading", 0))
        clicks_by_batch, records_by_batch = list[int](), list[int]()
        for batch in self._source().batches(None):
            clicks_by_batch.append(len(batch.clicks))
            records_by_batch.append(batch.n_records)
            self._step(batch.n_records)
        clicks_until = np.cumsum([0, *clicks_by_batch])
        n_clicks, share = int(clicks_until[-1]), self._passes.validation_share
        if not n_clicks:
            raise NoUsableEventError(
                f"{', '.join(self._paths)}: {sum(records_by_batch):,} records and no click among "
                "them: nothing to pretrain on; see source.map if the fields have other names"
            )
        n_head = int(np.searchsorted(clicks_until, n_clicks * (1 - share), side="right")) - 1
        n_tail_clicks = n_clicks - int(clicks_until[n_head])
        if n_tail_clicks < MIN_TAIL_CLICKS or not clicks_until[n_head]:
            raise UsageError(
                f"{', '.join(self._paths)}: {n_clicks:,} clicks in {len(clicks_by_batch):,} "
                f"batches are too few to keep {share:.0%} of them for validation, at least "
                f"{MIN_TAIL_CLICKS} and whole batches; give more events, a larger "
                f"--validation-share, or a smaller batch.events than {self._config.batch.events}"
            )
        return _Cut(
            n_head_batches=n_head,
            n_clicks=n_clicks,
            n_tail_clicks=n_tail_clicks,
            n_records=sum(records_by_batch),
            n_tail_records=sum(records_by_batch[n_head:]),
        )

    def _learn_head(self, cut: _Cut) -> Position:
        """The first pass, up to where the tail begins."""
        pipeline, panel = self._pipeline, self._pipeline.parts.panel
        self._begin(Stage("epoch 1", cut.n_records - cut.n_tail_records, pipeline.metrics))
        panel.attend(self._memory)
        for batch in self._source().batches(None):
            pipeline.take(batch)
            self._step(batch.n_records)
            if pipeline.next_seq == cut.n_head_batches:
                break
        panel.attend(None)
        return batch.end

    def _learn_again(self, lessons: Lessons, tail: Position, cut: _Cut) -> list[Epoch]:
        """Further passes while they help; the champion is left with the weights of the best."""
        panel, seed = self._pipeline.parts.panel, self._config.learner.seed
        epochs = [self._validated(1, 0.0, tail, cut)]
        best, best_state = epochs[0], self._champion_state()
        for number in range(2, self._passes.epochs + 1):
            if number - best.number > self._passes.patience:
                break
            order_M = np.random.default_rng((seed, number)).permutation(len(lessons))
            self._begin(Stage(f"epoch {number}", len(lessons)))
            for start in range(0, len(lessons), _LESSONS_A_LOOK):
                part = select(lessons, order_M[start : start + _LESSONS_A_LOOK])
                panel.rehearse(part)
                self._step(len(part))
            epochs.append(self._validated(number, best.figure, tail, cut))
            if epochs[-1].is_best:
                best, best_state = epochs[-1], self._champion_state()
        if best is not epochs[-1]:
            generation_V = self._pipeline.parts.tables["catalogue"].state_dict()["table"]
            panel.restore(best_state, np.ones(len(generation_V["generation"]), np.bool_))
        return epochs

    def _validated(self, number: int, to_beat: float, tail: Position, cut: _Cut) -> Epoch:
        """How well the tail is predicted by weights that stand still."""
        pipeline = self._pipeline
        out = self._out / "validation"
        probe = self._built(self._config.model_copy(update={"shadows": ()}), out)
        with closing(probe):
            tables = pipeline.state_dict()["tables"]
            champion = {self._config.champion: self._champion_state()}
            probe.take_over({"tables": _copied(tables), "panel": {"learners": champion}})
            probe.parts.panel.freeze(True)  # not even a part of the tail is learned
            self._begin(Stage(f"validation {number}", cut.n_tail_records, probe.metrics))
            for batch in self._source().batches(tail, pipeline.next_seq, pipeline.watermark_ms):
                probe.take(batch)
                self._step(batch.n_records)
            judged = probe.metrics()["metrics"].get(self._figure)
        shutil.rmtree(out, ignore_errors=True)
        if judged is None:
            raise UsageError(
                f"{', '.join(self._paths)}: none of the last {cut.n_tail_clicks:,} clicks can be "
                "judged: all are on items that their users had clicked before; set "
                "ranking.exclude_seen: false"
            )
        epoch = Epoch(number, judged["total"], number == 1 or judged["total"] > to_beat)
        self._witness.judged(epoch)
        return epoch

    def _learn_tail(self, tail: Position, cut: _Cut) -> None:
        """The rest of the log, as the loop would have come to it; then all is committed."""
        pipeline = self._pipeline
        self._begin(Stage("last pass", cut.n_tail_records, pipeline.metrics))
        pipeline.run(tail)

    def _champion_state(self) -> State:
        panel_state = self._pipeline.parts.panel.state_dict()
        return _copied(panel_state["learners"][self._config.champion])

    def _built(self, config: FreshrankConfig, out: Path) -> Pipeline:
        return build_pipeline(config, self._source(), out, self._checkpoints, self._on_batch)

    def _source(self) -> FileSource:
        return FileSource(self._config.source, self._paths, self._config.batch)

    def _on_batch(self, batch: Batch | None, pipeline: Pipeline) -> None:  # noqa: ARG002
        self._step(batch.n_records if batch else 0)

    def _begin(self, stage: Stage) -> None:
        self._stage = stage
        self._witness.begin(stage)

    def _step(self, n_done: int) -> None:
        self._stage.n_done += n_done
        self._witness.step()


def _copied(state: State) -> State:
    """The same state, sharing no memory with whoever goes on."""
    return restore_state(take_snapshot(state))
