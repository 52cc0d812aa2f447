"""confluent-kafka, and of each message what a source needs of it.

    python -m benchmarks.kafka_confluent all BOOTSTRAP TOPIC RECORDS

The package is no dependency: an interpreter that has it needs nothing else.
"""

from confluent_kafka import Consumer, TopicPartition

from benchmarks.reading import Stopwatch, main

MESSAGES_AT_ONCE = 500
TIMEOUT_S = 0.2


def read(bootstrap: str, topic: str, watch: Stopwatch) -> None:
    settings = {"enable.auto.commit": False, "auto.offset.reset": "earliest", "check.crcs": True}
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "bare", **settings})
    numbers = consumer.list_topics(topic).topics[topic].partitions
    consumer.assign([TopicPartition(topic, number, 0) for number in numbers])
    n_records = 0
    while not watch.reached(n_records):
        messages = consumer.consume(MESSAGES_AT_ONCE, TIMEOUT_S)
        columns = (
            [message.partition() for message in messages],
            [message.offset() for message in messages],
            [message.timestamp() for message in messages],
            [message.value() for message in messages],
        )
        n_records += len(columns[0])
    consumer.close()


if __name__ == "__main__":
    main({"all": read})
