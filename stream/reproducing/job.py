"""A notice is computed again, in a folder of its own: nothing of the run is touched or locked."""

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from stream.anchors import Anchors
from stream.build import ALERTS_FILE, build_pipeline, config_hash
from stream.catalogue import Catalogue
from stream.checkpoint import CheckpointConfig, Checkpoints
from stream.checkpoint_files import (
    Checkpoint,
    installed_versions,
    list_checkpoints,
    read_checkpoint,
)
from stream.config import FreshrankConfig
from stream.errors import CheckpointError, ReproductionError, UsageError
from stream.pipeline import OnBatch, Pipeline
from stream.reporting.json_lines import JsonLines
from stream.reproducing.asked import Place, Range, RunBefore, range_of
from stream.reproducing.comparing import Reproduction
from stream.reproducing.files import batches_of_files
from stream.reproducing.topics import Reading, batches_of_topics
from stream.run_folder import CONFIG_FILE, holds_run
from stream.settings import read_settings
from stream.starts import read_starts
from stream.values import Batch, Position, Record

OnStart = Callable[[Pipeline, Range], None]
"""Called before the first batch."""


def read_run(out: Path) -> RunBefore:
    """The run in a folder, as it was.

    Raises
    ------
    UsageError
        If the folder holds no run.
    """
    if not holds_run(out):
        raise UsageError(
            f"{out}: holds no run ({CONFIG_FILE} is missing); name the folder of one with --run"
        )
    folder = out.resolve()
    config = read_settings(FreshrankConfig, folder / CONFIG_FILE)
    return RunBefore(folder, config, tuple(read_starts(folder)))


def reproduce(
    run: RunBefore, notice: Record, on_start: OnStart, on_batch: OnBatch, wait_s: float = 30.0
) -> Reproduction:
    """Compute a notice of a run again, from its anchor and the records behind it.

    Paths of the settings and of the files are seen from the folder that the run was started in.

    Raises
    ------
    ReproductionError
        If the anchor is not kept any more, or records are gone.
    UsageError
        If it is no notice of this run.
    """
    asked = range_of(notice)
    with contextlib.ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="freshrank-")))
        if run.starts and Path(run.starts[-1].folder).is_dir():
            stack.enter_context(contextlib.chdir(run.starts[-1].folder))
        anchor = None if asked.anchor is None else _anchor(run, asked, asked.anchor)
        pipeline = stack.enter_context(_pipeline(run, scratch, anchor))
        if anchor is None:
            pipeline.parts.anchors.begin(asked.start)
        place = Place(asked.start, pipeline.next_seq, pipeline.watermark_ms)
        batches = (
            batches_of_files(run, asked, place)
            if run.config.source.kafka is None
            else batches_of_topics(run, asked, place, Reading(scratch, wait_s))
        )
        on_start(pipeline, asked)
        n_before = pipeline.n_records
        with contextlib.closing(batches):
            for batch in batches:
                pipeline.take(batch)
                on_batch(batch, pipeline)
        pipeline.parts.outputs.flush()
        return Reproduction(
            told=notice,
            found=_same_of(notice, scratch / ALERTS_FILE),
            n_batches=pipeline.next_seq - place.next_seq,
            n_records=pipeline.n_records - n_before,
            suspects=_suspects(anchor, asked),
        )


def _anchor(run: RunBefore, asked: Range, name: str) -> Checkpoint:
    """The anchor that a notice names."""
    path = run.checkpoints / name
    kept = [
        stored.name for _, kind, stored in list_checkpoints(run.checkpoints) if kind == "anchor"
    ]
    if name not in kept:
        raise ReproductionError(
            f"{path}: the anchor of the notice is not kept any more; kept are "
            f"{', '.join(kept) or 'none'}: raise checkpoint.keep_named and keep_named_for to have "
            "those of more notices stay"
        )
    found = read_checkpoint(path)
    if found.manifest.position != asked.start:
        raise ReproductionError(
            f"{path}: goes on at {found.manifest.position}, and the notice's range begins at "
            f"{asked.start}: it is a notice of another run; name its folder with --run"
        )
    if found.manifest.config_hash != config_hash(run.config):
        raise ReproductionError(
            f"{path}: was made under other settings than those in {run.out / CONFIG_FILE}; put "
            "that file back as it was"
        )
    return found


@contextlib.contextmanager
def _pipeline(run: RunBefore, scratch: Path, anchor: Checkpoint | None) -> Iterator[Pipeline]:
    """The loop in the state of an anchor, or as it begins; what it writes goes to the scratch."""
    settings = CheckpointConfig(dir=scratch / "checkpoints")
    with Checkpoints(settings, config_hash(run.config)) as checkpoints:
        built = build_pipeline(run.config, _NothingToRead(), scratch, checkpoints)
        catalogue = built.parts.tables["catalogue"]
        assert isinstance(catalogue, Catalogue), "tables are listed by name"
        folder = run.config.checkpoint.model_copy(update={"dir": run.checkpoints})
        anchors = Anchors(folder, _rolled_back_to, run.config.champion, catalogue)
        pipeline = Pipeline(replace(built.parts, anchors=anchors))
        with contextlib.closing(pipeline):
            if anchor is not None:
                outputs = pipeline.parts.outputs.state_dict()  # its files are not the run's
                pipeline.load_state_dict({**anchor.state, "outputs": outputs})
            yield pipeline


def _rolled_back_to(path: Path) -> Checkpoint:
    """An anchor that the range goes back to: without it the rest would come out otherwise."""
    try:
        return read_checkpoint(path)
    except CheckpointError as err:
        raise ReproductionError(f"{err} (the range of the notice rolls back to it)") from err


def _same_of(notice: Record, path: Path) -> Record | None:
    """What the same rule told in the same batch, of the same kind."""
    key = notice["seq"], notice["name"]
    return next((one for one in JsonLines(path) if (one["seq"], one["name"]) == key), None)


def _suspects(anchor: Checkpoint | None, asked: Range) -> list[str]:
    """What is not as it was when the anchor was written, as far as anybody can tell."""
    if anchor is None:
        return []
    now, then = installed_versions(), anchor.manifest.versions
    told = [
        f"{name} was {then[name]}, is {now.get(name)}"
        for name in then
        if then[name] != now.get(name)
    ]
    written_s = anchor.path.stat().st_mtime
    files = (Path(path) for path in asked.end)
    changed = [path for path in files if path.is_file() and path.stat().st_mtime > written_s]
    return told + [f"{path} was changed after the anchor was written" for path in changed]


class _NothingToRead:
    """A source without a batch: those of the range are handed to the loop one by one."""

    def batches(
        self,
        start: Position | None,  # noqa: ARG002
        next_seq: int = 0,  # noqa: ARG002
        watermark_ms: int = 0,  # noqa: ARG002
    ) -> Iterator[Batch | None]:
        return iter(())

    def acknowledge(self, end: Position) -> None:
        pass
