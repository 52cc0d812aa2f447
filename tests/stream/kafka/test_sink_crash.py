"""A process is killed at random instants, and its topic shows nothing of it."""

import random
import subprocess
import sys
import time

import msgspec
import pytest

from tests.brokers import ROOT
from tests.kafka_sinks import messages_on
from tests.stream.kafka.sink_writer import record_of

N_RECORDS = 6_000
N_KILLS = 5


def run_killed(kafka, topic, folder, seed):
    """Kill the writer again and again, then let it come to its end; how far each life came."""
    draws = random.Random(seed)
    command = [sys.executable, "-m", "tests.stream.kafka.sink_writer"]
    command += [kafka.bootstrap, topic, str(folder), str(N_RECORDS), str(seed)]
    reached = []
    for _ in range(N_KILLS):
        with subprocess.Popen(command, cwd=ROOT) as process:
            time.sleep(0.3 + draws.random() * 1.7)
            process.kill()
        reached.append(len(messages_on(kafka, topic)))
    subprocess.run(command, cwd=ROOT, check=True, timeout=60)
    return reached


def assert_each_once_in_order(kafka, topic, n_records):
    messages = messages_on(kafka, topic)
    numbers = [int(dict(message.headers)["freshrank-number"]) for message in messages]
    assert numbers == list(range(n_records))
    assert [message.value for message in messages] == [
        msgspec.json.encode(record_of(number)) for number in range(n_records)
    ]


def test_a_topic_has_each_record_once_and_in_order_whenever_its_writer_was_killed(
    kafka, topic, tmp_path
):
    name = topic(3)
    reached = run_killed(kafka, name, tmp_path, seed=0)
    assert len({n for n in reached if 0 < n < N_RECORDS}) >= 3  # killed amid its work
    assert_each_once_in_order(kafka, name, N_RECORDS)


@pytest.mark.acceptance
@pytest.mark.parametrize("seed", range(1, 20))
def test_so_it_has_with_other_instants(kafka, topic, tmp_path, seed):
    name = topic(3)
    run_killed(kafka, name, tmp_path, seed)
    assert_each_once_in_order(kafka, name, N_RECORDS)
