"""How fast a topic is read, decoded and judged, against a bare poll loop on the same topic.

Bare is kafka-python alone: poll and count, 500 records at once (its default) or all there are. The
loop is `KafkaSource`, journal and pipeline with a learner that only counts; the source is its part
before the pipeline. Each reading has a process of its own; they take turns, and ratios are taken
within a turn. CPU time counts every thread, but not the broker's.
"""

import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from benchmarks.broker import fill
from stream.sources.shop_config import SimulatorConfig
from stream.sources.simulator import write_simulation

SIZE = {"users": 5_000, "items": 2_000}
STREAMS = {
    "clicks": SimulatorConfig(clicks=200_000, requests_per_session=0, **SIZE),
    "shop": SimulatorConfig(clicks=110_000, **SIZE),  # a quarter of its events are lists
}
BARE = "kafka-python, 500 a poll"
BARE_AT_ONCE = "kafka-python, all at once"
SOURCE = "our source"
LOOP = "the whole loop"
CONFLUENT = "confluent-kafka"
READERS = {
    BARE: ["benchmarks.kafka_bare", "some"],
    BARE_AT_ONCE: ["benchmarks.kafka_bare", "all"],
    SOURCE: ["benchmarks.kafka_loop", "source"],
    LOOP: ["benchmarks.kafka_loop", "loop"],
    CONFLUENT: ["benchmarks.kafka_confluent", "all"],
}
TARGET = 0.7
COLUMNS = "{:26} {:>10} {:>10} {:>22} {:>22}"


def measure(bootstrap: str, folder: Path, n_turns: int, confluent_python: str | None) -> None:
    """Print the tables.

    Parameters
    ----------
    bootstrap : str
        A broker to fill.
    folder : Path
        Where the streams are simulated.
    n_turns : int
        How often each reader reads each topic.
    confluent_python : str, optional
        An interpreter that has confluent-kafka; without one, and without it here, it is left out.
    """
    interpreters = dict.fromkeys(READERS, sys.executable)
    if confluent_python is not None:
        interpreters[CONFLUENT] = confluent_python
    elif find_spec("confluent_kafka") is None:
        del interpreters[CONFLUENT]
    for name, config in STREAMS.items():
        n_records = fill(bootstrap, name, write_simulation(config, folder / name).events)
        turns = [
            {
                reader: cost([python, "-m", *READERS[reader], bootstrap, name, str(n_records)])
                for reader, python in interpreters.items()
            }
            for _ in range(n_turns)
        ]
        tell(name, n_records, turns)


def cost(command: Sequence[str]) -> dict[str, float]:
    """What a record cost one reader, in seconds by the clock and of CPU."""
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    cost_s: dict[str, float] = json.loads(done.stdout)
    return cost_s


def tell(stream: str, n_records: int, turns: Sequence[dict[str, dict[str, float]]]) -> None:
    print(f"\n{stream}: {n_records:,} events, {len(turns)} turns, median (least .. most)")
    print(COLUMNS.format("", "events/s", "us of CPU", "of bare, by clock", "of bare, by CPU"))
    for reader in turns[0]:
        rate = 1 / statistics.median(turn[reader]["wall_s"] for turn in turns)
        cpu_us = 1e6 * statistics.median(turn[reader]["cpu_s"] for turn in turns)
        shares = [spread(ratios(turns, BARE, reader, kind)) for kind in ("wall_s", "cpu_s")]
        print(COLUMNS.format(reader, f"{rate:,.0f}", f"{cpu_us:.1f}", *shares))
    for reader in (SOURCE, LOOP):
        share = statistics.median(ratios(turns, BARE, reader, "wall_s"))
        print(f"{reader} at {TARGET} of bare: {'met' if share >= TARGET else 'missed'}")
    if CONFLUENT in turns[0]:
        # kafka-python's part of the loop's CPU time, in exchange for confluent-kafka's.
        gains = [
            turn[LOOP]["cpu_s"]
            / (turn[LOOP]["cpu_s"] - turn[BARE_AT_ONCE]["cpu_s"] + turn[CONFLUENT]["cpu_s"])
            for turn in turns
        ]
        print(f"the loop over confluent-kafka, by CPU: {spread(gains)} times as fast", flush=True)


def ratios(
    turns: Sequence[dict[str, dict[str, float]]], than: str, reader: str, kind: str
) -> list[float]:
    """How fast a reader was, as a share of another one, turn by turn."""
    return [turn[than][kind] / turn[reader][kind] for turn in turns]


def spread(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} .. {max(values):.2f})"
