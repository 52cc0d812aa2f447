"""A run's folder: its settings, its outputs and its checkpoints; begun afresh, or gone on with."""

import json
import os
import uuid
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NoReturn

import yaml

from evaluators.prequential import DETAILS
from stream.build import (
    ALERTS_FILE,
    DEAD_LETTERS_FILE,
    METRICS_FILE,
    config_hash,
    fixed_settings,
)
from stream.checkpoint import LOCK_FILE, Checkpoints
from stream.checkpoint_files import list_checkpoints
from stream.config import FreshrankConfig
from stream.delivery.deliveries import queues_with_notices
from stream.durable import write_durably
from stream.errors import CheckpointError, UsageError
from stream.folder_lock import held
from stream.pipeline import Pipeline
from stream.settings import read_settings
from stream.sinks.segments import full_segments
from stream.values import Position, Record

CONFIG_FILE = "config.yaml"
SUMMARY_FILE = "summary.json"
RUN_FILE = "run.json"
OUTPUT_FILES = (SUMMARY_FILE, METRICS_FILE, ALERTS_FILE, DEAD_LETTERS_FILE)

# Steps on a mini-batch are too small to keep more threads busy.
_MAX_THREADS = 8


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
    require_earlier_run(out)
    reading = [f"source.{key}=null" for key in ("speed", "limit", "until_ms")]
    return read_settings(FreshrankConfig, out / CONFIG_FILE, [*reading, *overrides])


def run_id_of(out: Path) -> str:
    """The id of the run in this folder, made once."""
    path = out / RUN_FILE
    if path.is_file():
        return str(json.loads(path.read_bytes())["run_id"])
    run_id = uuid.uuid4().hex
    write_durably(path, json.dumps({"run_id": run_id}).encode() + b"\n")
    return run_id


def alone_in(out: Path, checkpoint_folder: Path) -> AbstractContextManager[None]:
    """Keep other processes out of a run's folder for the length of a `with` block.

    Raises
    ------
    UsageError
        If the checkpoints have no folder of their own.
    CheckpointError
        If another process is in it.
    """
    if out.resolve() == checkpoint_folder.resolve():
        raise UsageError(f"{out}: checkpoint.dir must be a folder of its own, such as checkpoints")
    return held(out / LOCK_FILE, "name another --out")


def holds_run(out: Path) -> bool:
    """Whether a run was begun in this folder."""
    return (out / CONFIG_FILE).is_file()


def require_earlier_run(out: Path) -> None:
    """Refuse to go on where nothing was begun.

    Raises
    ------
    UsageError
        If `out` holds no run.
    """
    if not holds_run(out):
        raise UsageError(
            f"{out}: holds no run to resume ({CONFIG_FILE} is missing); check --out, or leave out "
            "--resume to start a run"
        )


def refuse_earlier_run(out: Path, checkpoint_folder: Path) -> None:
    """Refuse to begin where a run, or a part of one, lies already.

    Raises
    ------
    UsageError
        If `out` or the folder of checkpoints is in use.
    """
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out}: is a file; name a folder for the outputs")
    if holds_run(out):
        raise UsageError(
            f"{out}: holds a run already; add --resume to go on with it, or name another --out"
        )
    files = [out / name for name in OUTPUT_FILES]
    files += [path for file in files for _, path in full_segments(file)]
    files += queues_with_notices(out)
    if found := [path.name for path in files if path.exists()]:
        raise UsageError(
            f"{out}: holds {', '.join(found)}, which this run would write over; move them away, "
            "or name another --out"
        )
    if list_checkpoints(checkpoint_folder):
        raise UsageError(
            f"{checkpoint_folder}: holds the checkpoints of another run; set checkpoint.dir to a "
            "folder of this run's own"
        )


def write_config(config: FreshrankConfig, out: Path) -> None:
    """Write down the settings of a run, every default spelled out."""
    text = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)
    write_durably(out / CONFIG_FILE, text.encode())


def load_newest(
    config: FreshrankConfig, out: Path, checkpoints: Checkpoints, pipeline: Pipeline
) -> tuple[Position | None, list[str]]:
    """Put a pipeline into the newest state that verifies; where it goes on, and what to tell of it.

    The position is None where no checkpoint was taken yet.

    Raises
    ------
    CheckpointError
        If all checkpoints are damaged, or were made under other settings.
    """
    found = checkpoints.latest()
    if found is None:
        return None, [f"{out}: no checkpoint was taken yet; starting from the beginning"]
    if found.manifest.config_hash != config_hash(config):
        _refuse_other_settings(config, out)
    pipeline.load_state_dict(found.state)
    checkpoints.prepare(pipeline.state_dict())
    warnings = [f"{damage.path}: passed by: {damage.reason}" for damage in found.passed_by]
    return found.manifest.position, warnings


def write_summary(
    pipeline: Pipeline, out: Path, checkpoint_folder: Path, n_events: int, seconds: float
) -> Record:
    """Write `summary.json`: what the run came to, of which `n_events` took `seconds` just now."""
    record = _summary(pipeline, n_events, seconds)
    stored = list_checkpoints(checkpoint_folder)
    record["checkpoint"] = str(stored[-1][2]) if stored else None
    text = json.dumps(record, indent=2) + "\n"
    write_durably(out / SUMMARY_FILE, text.encode())
    return record


def _refuse_other_settings(config: FreshrankConfig, out: Path) -> NoReturn:
    """Refuse to go on under other settings, naming each key that differs."""
    before = read_settings(FreshrankConfig, out / CONFIG_FILE)
    old, new = flat_settings(fixed_settings(before)), flat_settings(fixed_settings(config))
    differing = differing_keys(old, new)
    if not differing:
        raise CheckpointError(
            f"{out}: its checkpoint was made under settings that {CONFIG_FILE} does not "
            "tell, by another version perhaps; name another --out"
        )
    changes = "; ".join(f"{key} was {old.get(key)}, is {new.get(key)}" for key in differing)
    raise CheckpointError(
        f"{out}: its run has other settings: {changes}; "
        "set them back to resume, or name another --out"
    )


def differing_keys(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """The keys by which two dumps of settings differ, such as `learner.width`."""
    before, after = flat_settings(old), flat_settings(new)
    return [key for key in {**before, **after} if before.get(key) != after.get(key)]


def flat_settings(settings: Any, path: str = "") -> dict[str, Any]:
    """Settings by their full key."""
    if not isinstance(settings, dict):
        return {path: settings}
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        flat |= flat_settings(value, f"{path}.{key}" if path else key)
    return flat


def _summary(pipeline: Pipeline, n_events: int, seconds: float) -> Record:
    judged = pipeline.metrics()
    return {
        "events": pipeline.n_events,
        "events_now": n_events,
        "records": pipeline.n_records,
        "seconds": round(seconds, 3),
        "events_per_second": round(n_events / seconds, 1) if seconds else None,
        "stage_seconds": {name: round(s, 3) for name, s in pipeline.stages.seconds.items()},
        "metrics": judged["metrics"],
        "shadows": judged["shadows"],
        "serving": judged["serving"],
        "policies": judged["policies"],
        "alerts": pipeline.alerts(),
        "counts": judged["counts"],
        "reliability": judged.get("reliability"),
        **{key: judged[key] for key in DETAILS if key in judged},
        "watermark_ms": judged["watermark_ms"],
        "dead_letters": pipeline.dead_letter_counts,
    }
