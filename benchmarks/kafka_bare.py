"""kafka-python, and nothing but counting.

    python -m benchmarks.kafka_bare some|all BOOTSTRAP TOPIC RECORDS

`some`: 500 records a poll, the client's default; `all`: whatever was fetched.
"""

import sys
from contextlib import closing
from functools import partial

from kafka import KafkaConsumer, TopicPartition

from benchmarks.reading import Stopwatch, main

POLL_MS = 200
DEFAULT_RECORDS = 500


def read(bootstrap: str, topic: str, watch: Stopwatch, max_poll_records: int) -> None:
    settings = {"enable_auto_commit": False, "auto_offset_reset": "earliest"}
    with closing(KafkaConsumer(bootstrap_servers=bootstrap, **settings)) as consumer:
        consumer.assign([TopicPartition(topic, n) for n in consumer.partitions_for_topic(topic)])
        n_records = 0
        while not watch.reached(n_records):
            polled = consumer.poll(POLL_MS, max_records=max_poll_records)
            n_records += sum(map(len, polled.values()))


if __name__ == "__main__":
    main(
        {
            "some": partial(read, max_poll_records=DEFAULT_RECORDS),
            "all": partial(read, max_poll_records=sys.maxsize),
        }
    )
