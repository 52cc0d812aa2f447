"""What Kafka costs: a loop reads at 0.7 of a bare poll loop, and learns a click within a second.

Two parts, `benchmarks.kafka_throughput` and `benchmarks.kafka_freshness`, each over a broker that
is started here and runs on the same cores.

    python -m benchmarks.kafka [--only throughput|freshness] [--turns 5] [--seconds 60]
        [--confluent PYTHON]
"""

import argparse
import os
import tempfile
from pathlib import Path

from benchmarks import kafka_freshness, kafka_throughput
from benchmarks.broker import running_broker

PARTS = ("throughput", "freshness")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=PARTS)
    parser.add_argument("--turns", type=int, default=5, help="how often each reader reads")
    parser.add_argument("--seconds", type=int, default=60, help="how long a rate is kept up")
    parser.add_argument(
        "--confluent", metavar="PYTHON", help="an interpreter with confluent-kafka, if not this one"
    )
    arguments = parser.parse_args()
    parts = [arguments.only] if arguments.only else PARTS
    with tempfile.TemporaryDirectory() as name, running_broker(Path(name) / "kafka") as broker:
        print(f"{os.cpu_count()} cores, {os.getloadavg()[0]:.1f} of them busy before", flush=True)
        if "throughput" in parts:
            kafka_throughput.measure(
                broker.bootstrap, Path(name), arguments.turns, arguments.confluent
            )
        if "freshness" in parts:
            kafka_freshness.measure(broker, Path(name), arguments.seconds)


if __name__ == "__main__":
    main()
