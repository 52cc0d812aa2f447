"""Event replay from files: one run of the loop, from an empty or an earlier state to a summary."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stream.build import build_pipeline, config_hash
from stream.checkpoint import Checkpoints
from stream.config import FreshrankConfig
from stream.delivery.deliveries import Deliveries
from stream.errors import UsageError
from stream.notices import Incident
from stream.pipeline import OnBatch, Pipeline
from stream.protocols import Source
from stream.run_folder import (
    alone_in,
    load_newest,
    refuse_earlier_run,
    require_earlier_run,
    run_id_of,
    write_config,
    write_summary,
)
from stream.starts import Start, note_start
from stream.taking_over import take_over
from stream.values import Position

LOGGER = logging.getLogger("freshrank.replay")

# Nobody waits for a replay: what its destinations take slowly may take a while.
_LAST_DELIVERIES_S = 30.0

OnStart = Callable[[Pipeline, list[str]], None]
"""Called before the first batch, with what the user should know of the state gone on from."""


@dataclass(frozen=True, slots=True)
class Replay:
    """What to replay, and where to.

    `config` must have come through `resolved`. With `resume` the run goes on from the newest
    checkpoint in `out` that verifies; without it `out` must hold no run. `paths` are the files
    that are read, if the run is to tell of them afterwards. With `deliver` whoever
    `alerts.deliver` names is told of alerts: a replay of last year's clicks is no reason to wake
    anybody, unless it is asked for.
    """

    config: FreshrankConfig
    source: Source
    out: Path
    resume: bool = False
    paths: Sequence[str] = ()
    deliver: bool = False


@dataclass(frozen=True, slots=True)
class Summary:
    """How a replay went; `record` is what `summary.json` holds."""

    record: dict[str, Any]
    is_stopped: bool


def run_replay(
    replay: Replay,
    on_batch: OnBatch | None = None,
    on_start: OnStart | None = None,
) -> Summary:
    """Replay a source to its end, or until the pipeline is stopped.

    Raises
    ------
    UsageError
        If `out` holds a run and `resume` was not asked for, or the other way round; or if nobody
        is named whom `deliver` could tell.
    CheckpointError
        If no checkpoint can be gone on from, or its settings differ; or if the run that
        `start_from` names cannot be begun with.
    """
    if replay.deliver and not replay.config.alerts.deliver:
        raise UsageError(
            "--deliver: alerts.deliver names nobody to be told; write for example alerts: "
            "{deliver: [{kind: alertmanager, url: 'http://localhost:9093'}]}"
        )
    checkpoint = replay.config.checkpoint
    folder = replay.out / checkpoint.dir
    if replay.resume:
        require_earlier_run(replay.out)
    else:
        refuse_earlier_run(replay.out, folder)
    with (
        alone_in(replay.out, folder),
        Checkpoints(
            checkpoint.model_copy(update={"dir": folder}), config_hash(replay.config)
        ) as checkpoints,
    ):
        pipeline = build_pipeline(replay.config, replay.source, replay.out, checkpoints, on_batch)
        start, warnings = None, list[str]()
        if replay.resume:  # a refusal comes before any output is opened
            start, warnings = load_newest(replay.config, replay.out, checkpoints, pipeline)
        if start is None:
            take_over(replay.config, pipeline)
        with closing(pipeline), _told_by(replay, pipeline):
            if not replay.resume:
                write_config(replay.config, replay.out)
            if replay.paths:
                note_start(replay.out, _begun_at(replay, start), replay.config.batch.events)
            if on_start is not None:
                on_start(pipeline, warnings)
            if start is None and replay.config.start_from is not None:
                pipeline.begin({}, "anchor")
            n_before, started_s = pipeline.n_events, time.perf_counter()
            pipeline.run(start)
            seconds = time.perf_counter() - started_s
    record = write_summary(pipeline, replay.out, folder, pipeline.n_events - n_before, seconds)
    return Summary(record, pipeline.is_stopped)


def _begun_at(replay: Replay, start: Position | None) -> Start:
    n_records = sum(int(cursor.get("records", 0)) for cursor in (start or {}).values())
    return Start(str(Path.cwd()), tuple(replay.paths), n_records, replay.config.source.until_ms)


@contextmanager
def _told_by(replay: Replay, pipeline: Pipeline) -> Iterator[None]:
    """Tell those of notices who are to be told; at the end, what waits still."""
    if not replay.deliver:
        yield
        return

    def report(incident: Incident) -> None:
        LOGGER.warning("%s", incident.text)

    run_id = run_id_of(replay.out)
    deliveries = Deliveries(replay.config.alerts.deliver, replay.out, run_id, report)
    pipeline.parts.outputs.tell(deliveries)
    deliveries.start()
    try:
        yield
    finally:
        deliveries.close(_LAST_DELIVERIES_S)
