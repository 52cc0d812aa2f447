"""Event replay from files: one run of the loop, from an empty or an earlier state to a summary."""

import json
import os
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import yaml

from stream.build import (
    ALERTS_FILE,
    DEAD_LETTERS_FILE,
    METRICS_FILE,
    build_pipeline,
    config_hash,
    fixed_settings,
)
from stream.checkpoint import Checkpoints
from stream.checkpoint_files import list_checkpoints
from stream.config import FreshrankConfig
from stream.durable import write_durably
from stream.errors import CheckpointError, UsageError
from stream.pipeline import OnBatch, Pipeline
from stream.protocols import Source
from stream.settings import read_settings
from stream.values import Position, Record

CONFIG_FILE = "config.yaml"
SUMMARY_FILE = "summary.json"
OUTPUT_FILES = (SUMMARY_FILE, METRICS_FILE, ALERTS_FILE, DEAD_LETTERS_FILE)

# Steps on a mini-batch are too small to keep more threads busy.
_MAX_THREADS = 8


OnStart = Callable[[Pipeline, list[str]], None]
"""Called before the first batch, with what the user should know of the state gone on from."""


@dataclass(frozen=True, slots=True)
class Replay:
    """What to replay, and where to.

    `config` must have come through `resolved`. With `resume` the run goes on from the newest
    checkpoint in `out` that verifies; without it `out` must hold no run.
    """

    config: FreshrankConfig
    source: Source
    out: Path
    resume: bool = False


@dataclass(frozen=True, slots=True)
class Summary:
    """How a replay went; `record` is what `summary.json` holds."""

    record: dict[str, Any]
    is_stopped: bool


def resolved(config: FreshrankConfig, out: Path, resume: bool) -> FreshrankConfig:
    """The settings with nothing left to the machine.

    An unset number of threads becomes the one that the run in `out` was made with, or else the
    number of cores, up to eight: a resumed run repeats the bits of the first machine.
    """
    threads = config.threads
    if threads is None and resume and (out / CONFIG_FILE).is_file():
        threads = read_settings(FreshrankConfig, out / CONFIG_FILE).threads
    return config.model_copy(update={"threads": threads or min(os.cpu_count() or 1, _MAX_THREADS)})


def settings_of_run(out: Path, overrides: Sequence[str]) -> FreshrankConfig:
    """The settings that the run in `out` was made with, and what is to change.

    How fast and how far that run read is left out: a resumed one reads on.

    Raises
    ------
    UsageError
        If `out` holds no run.
    """
    _require_earlier_run(out)
    reading = [f"source.{key}=null" for key in ("speed", "limit", "until_ms")]
    return read_settings(FreshrankConfig, out / CONFIG_FILE, [*reading, *overrides])


def run_replay(
    replay: Replay,
    on_batch: OnBatch | None = None,
    on_start: OnStart | None = None,
) -> Summary:
    """Replay a source to its end, or until the pipeline is stopped.

    Raises
    ------
    UsageError
        If `out` holds a run and `resume` was not asked for, or the other way round.
    CheckpointError
        If no checkpoint can be gone on from, or its settings differ.
    """
    checkpoint = replay.config.checkpoint
    folder = replay.out / checkpoint.dir
    if replay.resume:
        _require_earlier_run(replay.out)
    else:
        _refuse_earlier_run(replay.out, folder)
    with Checkpoints(
        checkpoint.model_copy(update={"dir": folder}), config_hash(replay.config)
    ) as checkpoints:
        pipeline = build_pipeline(replay.config, replay.source, replay.out, checkpoints, on_batch)
        start, warnings = None, list[str]()
        if replay.resume:  # a refusal comes before any output is opened
            start, warnings = _resume(replay, checkpoints, pipeline)
        with closing(pipeline):
            if not replay.resume:
                _write_config(replay)
            if on_start is not None:
                on_start(pipeline, warnings)
            n_before, started_s = pipeline.n_events, time.perf_counter()
            pipeline.run(start)
            seconds = time.perf_counter() - started_s
    record = _summary(pipeline, pipeline.n_events - n_before, seconds)
    stored = list_checkpoints(folder)
    record["checkpoint"] = str(stored[-1][2]) if stored else None
    text = json.dumps(record, indent=2) + "\n"
    write_durably(replay.out / SUMMARY_FILE, text.encode())
    return Summary(record, pipeline.is_stopped)


def _write_config(replay: Replay) -> None:
    text = yaml.safe_dump(replay.config.model_dump(mode="json"), sort_keys=False)
    write_durably(replay.out / CONFIG_FILE, text.encode())


def _require_earlier_run(out: Path) -> None:
    if not (out / CONFIG_FILE).is_file():
        raise UsageError(
            f"{out}: holds no run to resume ({CONFIG_FILE} is missing); check --out, or leave out "
            "--resume to start a run"
        )


def _refuse_earlier_run(out: Path, checkpoint_folder: Path) -> None:
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out}: is a file; name a folder for the outputs")
    if (out / CONFIG_FILE).exists():
        raise UsageError(
            f"{out}: holds a run already; add --resume to go on with it, or name another --out"
        )
    if found := [name for name in OUTPUT_FILES if (out / name).exists()]:
        raise UsageError(
            f"{out}: holds {', '.join(found)}, which this run would write over; move them away, "
            "or name another --out"
        )
    if list_checkpoints(checkpoint_folder):
        raise UsageError(
            f"{checkpoint_folder}: holds the checkpoints of another run; set checkpoint.dir to a "
            "folder of this run's own"
        )


def _resume(
    replay: Replay, checkpoints: Checkpoints, pipeline: Pipeline
) -> tuple[Position | None, list[str]]:
    found = checkpoints.latest()
    if found is None:
        return None, [f"{replay.out}: no checkpoint was taken yet; starting from the beginning"]
    if found.manifest.config_hash != config_hash(replay.config):
        _refuse_other_settings(replay)
    pipeline.load_state_dict(found.state)
    warnings = [f"{damage.path}: passed by: {damage.reason}" for damage in found.passed_by]
    return found.manifest.position, warnings


def _refuse_other_settings(replay: Replay) -> NoReturn:
    """Refuse to go on under other settings, naming each key that differs."""
    before = read_settings(FreshrankConfig, replay.out / CONFIG_FILE)
    old, new = _flat(fixed_settings(before)), _flat(fixed_settings(replay.config))
    differing = [key for key in {**old, **new} if old.get(key) != new.get(key)]
    if not differing:
        raise CheckpointError(
            f"{replay.out}: its checkpoint was made under settings that {CONFIG_FILE} does not "
            "tell, by another version perhaps; name another --out"
        )
    changes = "; ".join(f"{key} was {old.get(key)}, is {new.get(key)}" for key in differing)
    raise CheckpointError(
        f"{replay.out}: its run has other settings: {changes}; "
        "set them back to resume, or name another --out"
    )


def _flat(settings: Any, path: str = "") -> dict[str, Any]:
    if not isinstance(settings, dict):
        return {path: settings}
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        flat |= _flat(value, f"{path}.{key}" if path else key)
    return flat


def _summary(pipeline: Pipeline, n_events: int, seconds: float) -> Record:
    judged = pipeline.metrics()
    return {
        "events": pipeline.n_events,
        "events_now": n_events,
        "records": pipeline.n_records,
        "seconds": round(seconds, 3),
        "events_per_second": round(n_events / seconds, 1) if seconds else None,
        "metrics": judged["metrics"],
        "shadows": judged["shadows"],
        "policies": judged["policies"],
        "alerts": pipeline.alerts(),
        "counts": judged["counts"],
        "reliability": judged.get("reliability"),
        "watermark_ms": judged["watermark_ms"],
        "dead_letters": pipeline.dead_letter_counts,
    }
