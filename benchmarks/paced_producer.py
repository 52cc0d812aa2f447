"""Events of the simulated shop onto a topic, at a steady rate, and when each of them was produced.

    python -m benchmarks.paced_producer BOOTSTRAP TOPIC FIRST COUNT RATE OUT

An event is produced when the clock was looked at, right before it was handed to the client; a rate
of 0 is as fast as it goes. OUT is written at the end: partition, offset and time of each event.
"""

import argparse
import time
from contextlib import closing
from itertools import islice
from pathlib import Path

import msgspec
import numpy as np
from kafka import KafkaProducer

from stream.sources.shop_config import SimulatorConfig
from stream.sources.simulator import simulate

SHOP = SimulatorConfig(clicks=90_000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bootstrap")
    parser.add_argument("topic")
    parser.add_argument("first", type=int)
    parser.add_argument("count", type=int)
    parser.add_argument("rate", type=float)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    first, rate = arguments.first, arguments.rate
    messages = [
        (str(event.get("user", event.get("item"))).encode(), msgspec.json.encode(event))
        for event in islice(simulate(SHOP).events(), first, first + arguments.count)
    ]
    assert len(messages) == arguments.count, "the shop has too few events"
    produced = produce(arguments.bootstrap, arguments.topic, messages, rate)
    np.savez(arguments.out, **produced)


def produce(
    bootstrap: str, topic: str, messages: list[tuple[bytes, bytes]], rate: float
) -> dict[str, np.ndarray]:
    """Send each message when it is due; partition, offset and time of each."""
    sent, produced_s = [], []
    settings = {"acks": "all", "metrics_enabled": False}
    with closing(KafkaProducer(bootstrap_servers=bootstrap, **settings)) as producer:
        producer.partitions_for(topic)  # asked now, or the first message would wait for it
        began_s = time.monotonic()
        for number, (key, value) in enumerate(messages):
            if rate:
                time.sleep(max(0.0, began_s + number / rate - time.monotonic()))
            produced_s.append(time.time())
            sent.append(producer.send(topic, value, key))
        places = [one.get(timeout=60) for one in sent]
    return {
        "partition": np.array([place.partition for place in places]),
        "offset": np.array([place.offset for place in places]),
        "produced_s": np.array(produced_s),
    }


if __name__ == "__main__":
    main()
