"""Both configurations over one stream, in lock step: what `freshrank compare` runs.

Each side is a whole pipeline, or one for each seed, with tables, learners and an evaluator of its
own; nothing is shared but the batches, which nobody writes to. A batch is taken by all of them
before the next one is read.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from evaluators.paired_judge import Answered, PairedJudge
from stream.build import build_pipeline, config_hash
from stream.checkpoint import CheckpointConfig, Checkpoints
from stream.comparing.pairable import refuse_unpairable
from stream.config import AlertsSettings, FreshrankConfig
from stream.errors import UsageError
from stream.held_bytes import held_bytes
from stream.pipeline import Pipeline
from stream.sources.file import FileSource
from stream.taking_over import take_over
from stream.values import Batch, Changes, Outcomes, Record

# The first batches pay for what is loaded on first use: no cost of a setting.
_WARM_BATCHES = 2
_NEVER_MS = 1 << 50
_NEVER_EVENTS = 1 << 50


@dataclass(frozen=True, slots=True)
class ComparisonJob:
    """What to compare. Both configurations must have come through `stream.run_folder.resolved`.

    With `seeds` each side runs once for each, as `learner.seed`; without, once as it is.
    """

    a: FreshrankConfig
    b: FreshrankConfig
    seeds: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Cost:
    """What one side took, for each of its seeds, after the first batches.

    `cpu_s` counts all threads of the process while it worked for this side, `stage_cpu_s` says
    what for. `state_bytes` is what a checkpoint of it would hold.
    """

    events: int
    cpu_s: float
    wall_s: float
    stage_cpu_s: Mapping[str, float]
    state_bytes: int


class Comparison:
    """One pass over a stream with both configurations; it cannot be resumed.

    Parameters
    ----------
    job : ComparisonJob
    source : FileSource
        Made of the settings that both share.
    on_batch : callable, optional
        Called after each batch that all have taken.

    Raises
    ------
    ConfigError
        If a setting differs that both must share.
    UsageError
        If a seed comes twice.
    """

    def __init__(
        self,
        job: ComparisonJob,
        source: FileSource,
        on_batch: "Callable[[Batch, Comparison], None] | None" = None,
    ) -> None:
        refuse_unpairable(job.a, job.b)
        if len(set(job.seeds)) != len(job.seeds):
            raise UsageError(f"--seeds {','.join(map(str, job.seeds))}: name each seed once")
        self.judge = PairedJudge(job.a.ranking.ks, max(len(job.seeds), 1))
        self._job = job
        self._source = source
        self._on_batch = on_batch
        self._is_stopped = False
        self._sides: tuple[list[_Runner], list[_Runner]] = ([], [])
        self._n_records = 0

    def run(self) -> None:
        """Read the stream to its end, or until `stop`.

        Raises
        ------
        CheckpointError
            If a run that `start_from` names cannot be begun with.
        """
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="freshrank-")))
            for name, side, config in zip(
                "ab", self._sides, (self._job.a, self._job.b), strict=True
            ):
                for seed in self._job.seeds or (config.learner.seed,):
                    out = folder / f"{name}-{seed}"
                    side.append(_Runner(_seeded(config, seed), self._source, out, stack))
            for batch in self._source.batches(None):
                self._take(batch)
                if self._on_batch is not None:
                    self._on_batch(batch, self)
                if self._is_stopped:
                    break

    def stop(self) -> None:
        """End the pass after the batch in hand; may be called from a signal handler."""
        self._is_stopped = True

    @property
    def is_stopped(self) -> bool:
        return self._is_stopped

    @property
    def n_events(self) -> int:
        """Events that all have taken in."""
        return self._first.n_events if self._first else 0

    @property
    def n_records(self) -> int:
        """Records that all have taken in, good and bad."""
        return self._n_records

    @property
    def watermark_ms(self) -> int:
        """The event time so far."""
        return self._first.watermark_ms if self._first else 0

    @property
    def dead_letter_counts(self) -> dict[str, int]:
        """Dead letters of A by reason; B has the same but for clicks that it takes for repeats."""
        return self._first.dead_letter_counts if self._first else {}

    def metrics(self) -> Record:
        """How far the other is ahead, for whoever watches."""
        figures = self.judge.figures()
        return {
            "metrics": {
                f"B less A in {name}": {"total": f.difference} for name, f in figures.items()
            }
        }

    def judged(self) -> tuple[list[Record], list[Record]]:
        """The evaluator's own figures of each pipeline of A, and of B."""
        a, b = self._sides
        return [one.pipeline.metrics() for one in a], [one.pipeline.metrics() for one in b]

    def costs(self) -> tuple[Cost, Cost]:
        """What each side took."""
        a, b = self._sides
        return _cost(a), _cost(b)

    @property
    def _first(self) -> Pipeline | None:
        return self._sides[0][0].pipeline if self._sides[0] else None

    def _take(self, batch: Batch) -> None:
        a, b = self._sides
        # Who comes second finds the batch in the caches: each does every other time.
        ones, others = (a, b) if batch.seq % 2 == 0 else (b, a)
        for first, second in zip(ones, others, strict=True):
            first.take(batch)
            second.take(batch)
        self._n_records += batch.n_records
        self.judge.update(
            [one.answered for one in a],
            [one.answered for one in b],
            at=(self.n_events, self.watermark_ms),
        )


class _Runner:
    """One pipeline, what it answered last, and what it took."""

    def __init__(
        self, config: FreshrankConfig, source: FileSource, out: Path, stack: ExitStack
    ) -> None:
        settings = config.checkpoint.model_copy(update={"dir": out / "checkpoints"})
        checkpoints = stack.enter_context(Checkpoints(settings, config_hash(config)))
        built = build_pipeline(config, source, out, checkpoints)
        self.pipeline = stack.enter_context(
            closing(Pipeline(built.parts, clock_s=time.process_time))
        )
        take_over(config, self.pipeline)
        self._champion = config.champion
        self._answers = _Answers()
        self.pipeline.parts.panel.attend(self._answers)
        self._before = self._spent()
        self.wall_s = 0.0

    @property
    def answered(self) -> Answered:
        """What it answered to the last batch."""
        assert self._answers.last is not None, "a batch was taken"
        return Answered(self._answers.last, self._champion)

    def take(self, batch: Batch) -> None:
        """Take a batch, and an anchor after it where rules may go back to one."""
        began_s = time.perf_counter()
        self.pipeline.stages.start()
        self.pipeline.take(batch)
        self.pipeline.commit_if_due(batch.end)
        self.wall_s += time.perf_counter() - began_s
        if self.pipeline.next_seq == _WARM_BATCHES:
            self._before = self._spent()
            self.wall_s = 0.0

    def spent(self) -> tuple[int, dict[str, float]]:
        """Events and seconds by stage, since the first batches."""
        n_before, seconds_before = self._before
        n_events, seconds = self._spent()
        return n_events - n_before, {
            stage: seconds[stage] - seconds_before.get(stage, 0.0) for stage in seconds
        }

    def _spent(self) -> tuple[int, dict[str, float]]:
        return self.pipeline.n_events, dict(self.pipeline.stages.seconds)


class _Answers:
    """Hears what a panel is taught: what was asked, predicted and answered."""

    def __init__(self) -> None:
        self.last: Outcomes | None = None

    def learn(self, outcomes: Outcomes) -> None:
        self.last = outcomes

    def follow(self, changes: Changes) -> None:
        """Nothing is kept by row."""


def _seeded(config: FreshrankConfig, seed: int) -> FreshrankConfig:
    """The settings of one pipeline: what only tells, and what only keeps, is left out.

    Shadows are, too: they are no part of what the champion answers. Rules stay where they react.
    """
    rules = tuple(rule for rule in config.alerts.rules if rule.react != "none")
    can_go_back = any(rule.react == "rollback" for rule in rules)
    anchor_events = config.checkpoint.anchor_events if can_go_back else _NEVER_EVENTS
    alerts = config.alerts.model_copy(update={"rules": rules}) if rules else AlertsSettings()
    return config.model_copy(
        update={
            "learner": config.learner.model_copy(update={"seed": seed}),
            "shadows": config.shadows if rules else (),
            "alerts": alerts,
            "checkpoint": CheckpointConfig(
                anchor_events=anchor_events,
                keep_anchors=config.checkpoint.keep_anchors,
                every=_NEVER_MS,
            ),
            "source": config.source.model_copy(update={"kafka": None}),
            "outputs": type(config.outputs)(),
        }
    )


def _cost(side: Sequence[_Runner]) -> Cost:
    spent = [one.spent() for one in side]
    stages = {stage: sum(seconds[stage] for _, seconds in spent) for _, s in spent for stage in s}
    stages.pop("read", None)  # nothing is read within a batch
    return Cost(
        events=sum(n_events for n_events, _ in spent),
        cpu_s=sum(stages.values()),
        wall_s=sum(one.wall_s for one in side),
        stage_cpu_s=stages,
        state_bytes=sum(held_bytes(one.pipeline.state_dict()) for one in side) // len(side)
        if side
        else 0,
    )


def peak_process_bytes() -> int:
    """The most memory that the process has held so far, of everything in it."""
    import resource  # noqa: PLC0415 - only Unix has it

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
