"""A new run begins with what an earlier one learned: `start_from`.

Taken over are catalogue, histories and learners, with weights and optimizer moments. The new run
reads its own source from the source's beginning, counts events, batches and metrics from zero,
and knows nothing of lists, alerts and anchors of the earlier one.
"""

from typing import Any

from stream.checkpoint_files import Checkpoint, read_latest
from stream.config import FreshrankConfig
from stream.errors import CheckpointError, UsageError
from stream.pipeline import Pipeline
from stream.run_folder import CONFIG_FILE, differing_keys, flat_settings, holds_run
from stream.settings import read_settings

# How the transformer learns from now on; everything else of it is in the shape of its state, or
# changes what its weights mean.
_FREE_OF_LEARNER: dict[str, Any] = {
    "minibatch": True,
    "replay_ratio": True,
    "replay_recent": True,
    "dropout": True,
    "average_decay": True,
    "click_memory": True,
    "tasks": True,
    "optimizer": True,
    "seed": True,
    "device": True,
    "tower": {"lora": {"dropout", "learning_rate"}},
    "content": {"lora": {"dropout", "learning_rate"}, "tuned_items": True, "refreshed_items": True},
}
_ALWAYS_SHARED = {"champion", "catalogue", "histories", "inputs", "learner"}
# The settings of a learner that has some beside `learner`.
_SETTINGS_OF = {
    "blend": {"blend", "item_knn", "session_knn"},
    "popularity": {"popularity"},
    "item_knn": {"item_knn"},
    "session_knn": {"session_knn"},
}


def take_over(config: FreshrankConfig, pipeline: Pipeline) -> None:
    """Put into a fresh pipeline what the run in `config.start_from` learned, if there is one.

    Raises
    ------
    UsageError
        If the folder holds no run, or none with a checkpoint.
    CheckpointError
        If its checkpoints are damaged, or its settings shape its state otherwise.
    """
    if config.start_from is None:
        return
    found = _newest(config)
    try:
        pipeline.take_over(found.state)
    except CheckpointError as err:
        raise CheckpointError(f"start_from: {config.start_from}: {err}") from err


def _newest(config: FreshrankConfig) -> Checkpoint:
    folder = config.start_from
    assert folder is not None, "asked for only where there is one"
    if not holds_run(folder):
        raise UsageError(
            f"start_from: {folder}: holds no run ({CONFIG_FILE} is missing); name the --out of "
            "freshrank pretrain, or of another run"
        )
    before = read_settings(FreshrankConfig, folder / CONFIG_FILE)
    _refuse_other_shape(before, config)
    found = read_latest(folder / before.checkpoint.dir)
    if found is None:
        raise UsageError(f"start_from: {folder}: no checkpoint was taken there yet")
    return found


def _refuse_other_shape(before: FreshrankConfig, config: FreshrankConfig) -> None:
    """Name each setting that the state would not fit."""
    old, new = _shaping(before, config), _shaping(config, config)
    if differing := differing_keys(old, new):
        was, now = flat_settings(old), flat_settings(new)
        changes = "; ".join(f"{key} was {was.get(key)}, is {now.get(key)}" for key in differing)
        raise CheckpointError(
            f"start_from: {config.start_from}: its run has other settings: {changes}; set them as "
            "they were there, or pretrain with these"
        )


def _shaping(config: FreshrankConfig, wanted: FreshrankConfig) -> dict[str, Any]:
    """The settings that shape the state of what `wanted` asks for."""
    shared = _ALWAYS_SHARED.union(
        *(_SETTINGS_OF.get(name, set()) for name in (wanted.champion, *wanted.shadows))
    )
    settings = config.model_dump(mode="json", include=shared, exclude={"learner": _FREE_OF_LEARNER})
    return settings | {"ranking": {"exclude_seen": config.ranking.exclude_seen}}
