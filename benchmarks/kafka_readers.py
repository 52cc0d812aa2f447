"""One reading of a topic, from its first record to its last, in a process of its own.

    python -m benchmarks.kafka_readers READER BOOTSTRAP TOPIC RECORDS

Prints the seconds and the CPU seconds of a record, as JSON. Timed is the middle, from a tenth of
the records to nine tenths: connecting is left out, and who reads ahead is as far ahead at both
ends. Each reader imports what it needs and no more.
"""

import argparse
import gc
import json
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

POLL_MS = 200
MESSAGES_AT_ONCE = 500
LOOP = ["champion=counting", "shadows=[]"]


class Stopwatch:
    """Wall clock and CPU time of the middle eight tenths of the records."""

    def __init__(self, n_records: int) -> None:
        self._n_records = n_records
        self._bounds = [n_records // 10, n_records - n_records // 10]
        self._marks: list[tuple[int, float, float]] = []

    def reached(self, n_records: int) -> bool:
        """Note how many were read; whether that is all of them."""
        if len(self._marks) < 2 and n_records >= self._bounds[len(self._marks)]:
            self._marks.append((n_records, time.perf_counter(), time.process_time()))
        return n_records >= self._n_records

    def cost(self) -> dict[str, float]:
        """Seconds of a record."""
        (first, began_s, began_cpu_s), (last, ended_s, ended_cpu_s) = self._marks
        n_records = last - first
        return {
            "wall_s": (ended_s - began_s) / n_records,
            "cpu_s": (ended_cpu_s - began_cpu_s) / n_records,
        }


def read_bare(bootstrap: str, topic: str, watch: Stopwatch, **settings: Any) -> None:
    """kafka-python, and nothing but counting."""
    from kafka import KafkaConsumer, TopicPartition

    settings |= {"enable_auto_commit": False, "auto_offset_reset": "earliest"}
    with closing(KafkaConsumer(bootstrap_servers=bootstrap, **settings)) as consumer:
        consumer.assign([TopicPartition(topic, n) for n in consumer.partitions_for_topic(topic)])
        n_records = 0
        while not watch.reached(n_records):
            n_records += sum(map(len, consumer.poll(POLL_MS).values()))


def read_bare_at_once(bootstrap: str, topic: str, watch: Stopwatch) -> None:
    """The same, with all that was fetched in one poll."""
    read_bare(bootstrap, topic, watch, max_poll_records=sys.maxsize)


def read_confluent(bootstrap: str, topic: str, watch: Stopwatch) -> None:
    """confluent-kafka, and of each message what a source needs of it."""
    from confluent_kafka import Consumer, TopicPartition

    settings = {"enable.auto.commit": False, "auto.offset.reset": "earliest", "check.crcs": True}
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "bare", **settings})
    partitions = consumer.list_topics(topic).topics[topic].partitions
    consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
    n_records = 0
    while not watch.reached(n_records):
        messages = consumer.consume(MESSAGES_AT_ONCE, POLL_MS / 1000)
        columns = (
            [message.partition() for message in messages],
            [message.offset() for message in messages],
            [message.timestamp() for message in messages],
            [message.value() for message in messages],
        )
        n_records += len(columns[0])
    consumer.close()


def read_source(bootstrap: str, topic: str, watch: Stopwatch) -> None:
    """Our source and its journal: reading, decoding, cutting."""
    from stream.journal import Journal
    from stream.kafka.source import KafkaSource

    with tempfile.TemporaryDirectory() as folder:
        config = settings_of(bootstrap, topic, Path(folder), LOOP)
        kafka = config.source.kafka
        assert kafka is not None, "it was just set"
        with (
            closing(Journal(Path(folder) / "journal")) as journal,
            closing(KafkaSource(kafka, config.batch, journal, report=complain)) as source,
        ):
            settle()
            n_records = 0
            for batch in source.batches(source.starting_position()):
                n_records += batch.n_records if batch else 0
                if watch.reached(n_records):
                    break


def read_loop(bootstrap: str, topic: str, watch: Stopwatch) -> None:
    """The whole loop over our source, with a learner that only counts."""
    from stream.build import build_pipeline, config_hash
    from stream.checkpoint import Checkpoints
    from stream.journal import Journal
    from stream.kafka.source import KafkaSource
    from stream.pipeline import Pipeline
    from stream.values import Batch

    def on_batch(batch: Batch | None, pipeline: Pipeline) -> None:  # noqa: ARG001
        if watch.reached(pipeline.n_records):
            pipeline.stop()

    with tempfile.TemporaryDirectory() as name:
        out = Path(name)
        config = settings_of(bootstrap, topic, out, LOOP)
        kafka = config.source.kafka
        assert kafka is not None, "it was just set"
        folder = config.checkpoint.model_copy(update={"dir": out / "checkpoints"})
        with (
            closing(Journal(out / "journal")) as journal,
            Checkpoints(folder, config_hash(config)) as checkpoints,
            closing(KafkaSource(kafka, config.batch, journal, report=complain)) as source,
            closing(build_pipeline(config, source, out, checkpoints, on_batch)) as pipeline,
        ):
            checkpoints.keep(journal)
            settle()
            pipeline.run(source.starting_position())


def settings_of(bootstrap: str, topic: str, out: Path, overrides: list[str]) -> Any:
    """The defaults, over this topic."""
    from stream.config import FreshrankConfig
    from stream.run_folder import resolved
    from stream.settings import read_settings

    kafka = [f"source.kafka.connection.bootstrap={bootstrap}", f"source.kafka.topics=[{topic}]"]
    return resolved(read_settings(FreshrankConfig, None, [*kafka, *overrides]), out, False)


def complain(incident: object) -> None:
    """Nothing is to go wrong here."""
    raise AssertionError(incident)


def settle() -> None:
    """Have the garbage collector leave alone what was imported, as the daemon does."""
    gc.collect()
    gc.freeze()


READERS: dict[str, Callable[[str, str, Stopwatch], None]] = {
    "bare": read_bare,
    "bare_at_once": read_bare_at_once,
    "confluent": read_confluent,
    "source": read_source,
    "loop": read_loop,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("reader", choices=READERS)
    parser.add_argument("bootstrap")
    parser.add_argument("topic")
    parser.add_argument("records", type=int)
    arguments = parser.parse_args()
    # kafka-python reads its schemas in a way that Python 3.11 and 3.12 call deprecated.
    warnings.simplefilter("ignore", DeprecationWarning)
    watch = Stopwatch(arguments.records)
    READERS[arguments.reader](arguments.bootstrap, arguments.topic, watch)
    print(json.dumps(watch.cost()))


if __name__ == "__main__":
    main()
