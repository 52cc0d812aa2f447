"""Sinks on a broker, for tests: made with little patience, and read back."""

import time

import msgspec

from stream.kafka.cluster.connection import ConnectionConfig
from stream.kafka.sink import KafkaSink, SinkLimits
from stream.kafka.writing.messages import Destination
from stream.kafka.writing.sending import Patience
from tests.brokers import offsets, read_topic

LIMITS = SinkLimits(close_s=20.0, patience=Patience(settle_s=0.0, refused_s=0.3, incident_s=60.0))


def destination_of(bootstrap, topic, output="metrics", run_id="r1"):
    return Destination(topic, output, run_id, ConnectionConfig(bootstrap=bootstrap))


def sink_on(kafka, topic, output="metrics", run_id="r1", limits=LIMITS, **settings):
    report = settings.pop("report", [].append)
    destination = destination_of(kafka.bootstrap, topic, output, run_id)
    return KafkaSink(destination, report, limits=limits, **settings)


def record(seq):
    return {"seq": seq, "name": "recall@20", "total": seq / 8}


def write(sink, *seqs):
    for seq in seqs:
        sink.write(record(seq))


def wait_until(is_so, timeout_s=20.0):
    give_up_s = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < give_up_s, "it did not come to be"
        time.sleep(0.005)


def wait_until_sent(sink, timeout_s=20.0):
    wait_until(lambda: sink.n_pending == 0, timeout_s)


def messages_on(kafka, topic):
    """What lies on a topic, be it nothing."""
    is_empty = all(first == end for first, end in offsets(kafka.bootstrap, topic).values())
    return [] if is_empty else read_topic(kafka.bootstrap, topic)


def headers_of(message):
    return dict(message.headers)


def numbers_on(kafka, topic, output="metrics", run_id="r1"):
    """The numbers that a run's output has on a topic, as they lie there."""
    own = {"freshrank-run": run_id.encode(), "freshrank-output": output.encode()}
    return [
        int(headers_of(message)["freshrank-number"])
        for message in messages_on(kafka, topic)
        if own.items() <= headers_of(message).items()
    ]


def seqs_on(kafka, topic):
    """The `seq` of each record of a topic, as they lie there."""
    return [msgspec.json.decode(message.value)["seq"] for message in messages_on(kafka, topic)]
