"""Our source over Kafka, and the whole loop over it with a learner that only counts.

python -m benchmarks.kafka_loop source|loop BOOTSTRAP TOPIC RECORDS
"""

import gc
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from benchmarks.reading import Stopwatch, main
from stream.build import build_pipeline, config_hash
from stream.checkpoint import Checkpoints
from stream.config import FreshrankConfig
from stream.journal import Journal
from stream.kafka.source import KafkaSource
from stream.pipeline import OnBatch, Pipeline
from stream.run_folder import resolved
from stream.settings import read_settings
from stream.values import Batch

COUNTING = ["champion=counting", "shadows=[]"]


def read_source(bootstrap: str, topic: str, watch: Stopwatch) -> None:
    """Reading, decoding, cutting, and the journal."""
    with tempfile.TemporaryDirectory() as name:
        config = settings_of(bootstrap, topic, Path(name), COUNTING)
        with opened(config, Path(name)) as (source, _), settled():
            n_records = 0
            for batch in source.batches(source.starting_position()):
                n_records += batch.n_records if batch else 0
                if watch.reached(n_records):
                    break


def read_loop(bootstrap: str, topic: str, watch: Stopwatch) -> None:
    """The same, and everything after it but a model."""

    def on_batch(batch: Batch | None, pipeline: Pipeline) -> None:  # noqa: ARG001
        if watch.reached(pipeline.n_records):
            pipeline.stop()

    with tempfile.TemporaryDirectory() as name:
        config = settings_of(bootstrap, topic, Path(name), COUNTING)
        with pipeline_over_kafka(config, Path(name), on_batch) as (pipeline, source), settled():
            pipeline.run(source.starting_position())


def settings_of(bootstrap: str, topic: str, out: Path, overrides: list[str]) -> FreshrankConfig:
    """The defaults, over this topic."""
    kafka = [f"source.kafka.connection.bootstrap={bootstrap}", f"source.kafka.topics=[{topic}]"]
    return resolved(read_settings(FreshrankConfig, None, [*kafka, *overrides]), out, False)


@contextmanager
def opened(config: FreshrankConfig, out: Path) -> Iterator[tuple[KafkaSource, Journal]]:
    """The source and its journal."""
    kafka = config.source.kafka
    assert kafka is not None, "a topic was set"
    with (
        closing(Journal(out / "journal")) as journal,
        closing(KafkaSource(kafka, config.batch, journal, report=complain)) as source,
    ):
        yield source, journal


@contextmanager
def pipeline_over_kafka(
    config: FreshrankConfig, out: Path, on_batch: OnBatch
) -> Iterator[tuple[Pipeline, KafkaSource]]:
    """The loop as `freshrank run` has it, without what the wall clock asks for."""
    folder = config.checkpoint.model_copy(update={"dir": out / "checkpoints"})
    with (
        opened(config, out) as (source, journal),
        Checkpoints(folder, config_hash(config)) as checkpoints,
        closing(build_pipeline(config, source, out, checkpoints, on_batch)) as pipeline,
    ):
        checkpoints.keep(journal)
        yield pipeline, source


@contextmanager
def settled() -> Iterator[None]:
    """Have the garbage collector leave alone what was imported, as the daemon does."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()  # or some of it would complain at the end that it was not cleaned up


def complain(incident: object) -> None:
    """Nothing is to go wrong here."""
    raise AssertionError(incident)


if __name__ == "__main__":
    main({"source": read_source, "loop": read_loop})
