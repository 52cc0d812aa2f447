"""The one place that turns settings into objects."""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from evaluators.alerts import Alerts
from evaluators.prequential import PrequentialEvaluator
from learners.blend import Blend, Neighbours
from learners.counting import CountingLearner
from learners.item_neighbours import ItemNeighbours
from learners.panel import Ensemble, Panel
from learners.popularity import Popularity
from learners.session_neighbours import SessionNeighbours
from learners.transformer import TransformerLearner
from stream.anchors import Anchors
from stream.askers import AskerReader
from stream.catalogue import Catalogue
from stream.checkpoint import Checkpoints
from stream.config import FreshrankConfig, LearnerName, judged
from stream.contexts import Asked, ContextBuilder
from stream.histories import Histories
from stream.joiner import Joiner
from stream.pipeline import OnBatch, Parts, Pipeline
from stream.protocols import Learner, Sink, Source, Stateful
from stream.reactor import Reactor
from stream.sinks.dead_letter_line import dead_letter_line
from stream.sinks.jsonl import JsonlSink
from stream.sinks.outputs import Outputs
from stream.sinks.tee import Tee

METRICS_FILE = "metrics.jsonl"
ALERTS_FILE = "alerts.jsonl"
DEAD_LETTERS_FILE = "dead_letters.jsonl"

# What may differ between the parts of one run. None of it reaches a metric or a weight, but that
# a limit ends the stream early, amid a batch: going on from there cuts later batches otherwise.
# Which anchors there are may matter: alerts name them, and a rollback goes back to one.
_FREE_KEYS: dict[str, set[str] | bool] = {
    "alerts": {"deliver"},
    "checkpoint": {"dir", "keep", "keep_named", "keep_named_for", "every"},
    "source": {"kafka", "speed", "limit", "until_ms"},
    "outputs": True,
    "watch": True,
    "log": True,
    "server": True,
}
# A live run's journal says how it was cut, which alert rules held when, and what its records were
# read under: of `source.kafka` that may change once nothing is to be repeated (stream.repeating).
_FREE_KEYS_OF_LIVE: dict[str, set[str] | bool] = {"batch": True, "alerts": True}


def build_pipeline(
    config: FreshrankConfig,
    source: Source,
    out: Path,
    checkpoints: Checkpoints,
    on_batch: OnBatch | None = None,
    topics: Mapping[str, Sink] | None = None,
) -> Pipeline:
    """The loop over a source, with its outputs in `out`.

    `config.threads` must be resolved (see `stream.run_folder`): it is set for the whole process.
    `topics` are further sinks of a live run: for `metrics`, `alerts` or `dead_letters`. With them,
    though there be none, the files of the outputs are bounded by `config.outputs.files`.
    """
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    catalogue = Catalogue(config.catalogue)
    histories = Histories(config.histories, _history_entries(config))
    tables: dict[str, Stateful] = {"catalogue": catalogue, "histories": histories}
    askers = AskerReader(config.inputs, histories) if config.inputs.is_on else None
    if askers is not None:
        tables["askers"] = askers
    contexts = ContextBuilder(
        catalogue,
        histories,
        Asked(
            history_items=config.learner.history_items,
            k=max(config.ranking.ks),
            exclude_seen=config.ranking.exclude_seen,
            rule=config.evaluator.off_policy.rule,
            sliced_by=config.evaluator.slices.context if config.evaluator.slices.enabled else (),
        ),
        askers,
    )
    names = [config.champion, *config.shadows]
    parts = Parts(
        source=source,
        tables=tables,
        contexts=contexts,
        panel=build_panel(config),
        joiner=Joiner(catalogue, histories, config.joiner, names, config.inputs),
        evaluator=PrequentialEvaluator(config.evaluator, config.ranking, names),
        alerts=Alerts(judged(config.alerts)),
        reactor=Reactor(
            config.alerts.reactions, config.alerts.rules, f"recall@{max(config.ranking.ks)}"
        ),
        anchors=Anchors(
            config.checkpoint.model_copy(update={"dir": checkpoints.folder}),
            checkpoints.load,
            config.champion,
            catalogue,
        ),
        outputs=_outputs(config, out, topics),
        checkpoints=checkpoints,
    )
    return Pipeline(parts, on_batch)


def _outputs(config: FreshrankConfig, out: Path, topics: Mapping[str, Sink] | None) -> Outputs:
    # A replay ends, and so do its files; they stay whole.
    limits = None if topics is None else config.outputs.files
    files: dict[str, Sink] = {
        "metrics": JsonlSink(out / METRICS_FILE, files=limits),
        "alerts": JsonlSink(out / ALERTS_FILE, files=limits),
        "dead_letters": JsonlSink(out / DEAD_LETTERS_FILE, encode=dead_letter_line, files=limits),
    }
    if topics is None:
        return Outputs(**files)
    further = {name: {"topic": topics[name]} if name in topics else {} for name in files}
    return Outputs(**{name: Tee(file=file, **further[name]) for name, file in files.items()})


def build_panel(config: FreshrankConfig) -> Panel:
    """The champion and its shadows, untrained."""
    champion = build_learner(config, config.champion)
    parts = champion.parts if isinstance(champion, Ensemble) else ()
    shadows: dict[str, Learner | None] = {
        name: None if name in parts else build_learner(config, name) for name in config.shadows
    }
    return Panel((config.champion, champion), shadows)


def build_learner(config: FreshrankConfig, name: LearnerName) -> Learner:
    """One learner, untrained."""
    builders: dict[str, Callable[[], Learner]] = {
        "transformer": lambda: TransformerLearner(config.learner, config.inputs),
        "popularity": lambda: Popularity(config.popularity),
        "item_knn": lambda: ItemNeighbours(config.item_knn),
        "session_knn": lambda: SessionNeighbours(config.session_knn),
        "blend": lambda: _blend(config),
        "counting": CountingLearner,
    }
    return builders[name]()


def _blend(config: FreshrankConfig) -> Blend:
    neighbours: dict[str, Neighbours] = {
        "session_knn": SessionNeighbours(config.session_knn),
        "item_knn": ItemNeighbours(config.item_knn),
    }
    return Blend(
        config.blend, ("transformer", TransformerLearner(config.learner, config.inputs)), neighbours
    )


def fixed_settings(config: FreshrankConfig) -> dict[str, object]:
    """The settings that a resumed run must share with the run it goes on from."""
    free = _FREE_KEYS | (_FREE_KEYS_OF_LIVE if config.source.kafka else {})
    return config.model_dump(mode="json", exclude=free)


def config_hash(config: FreshrankConfig) -> str:
    """A hash of the settings that a resumed run must share."""
    text = json.dumps(fixed_settings(config), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _history_entries(config: FreshrankConfig) -> int:
    seen_items = config.histories.seen_items if config.ranking.exclude_seen else 0
    return max(config.learner.history_items, seen_items)
