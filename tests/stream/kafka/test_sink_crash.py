"""A process is killed at random instants, and its topic shows nothing of it."""

import random
import subprocess
import sys
import time

import msgspec
import pytest

from tests.brokers import ROOT, offsets
from tests.kafka_sinks import messages_on
from tests.stream.kafka.sink_writer import record_of

N_RECORDS = 4_000
N_LIVES = 12
N_AMID_WORK = 3


def run_killed(kafka, topic, folder, seed):
    """Kill the writer again and again, then let it come to its end; how many kills met its work."""
    draws = random.Random(seed)
    command = [sys.executable, "-m", "tests.stream.kafka.sink_writer"]
    command += [kafka.bootstrap, topic, str(folder), str(N_RECORDS), str(seed)]
    n_amid_work, n_sent, latest_s = 0, 0, 0.8
    for _ in range(N_LIVES):
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
            process.stdout.readline()  # it begins to write
            time.sleep(draws.random() * latest_s)
            process.kill()
        ends = offsets(kafka.bootstrap, topic).values()
        n_sent_before, n_sent = n_sent, sum(end for _, end in ends)
        if n_sent_before < n_sent < N_RECORDS:
            n_amid_work += 1
        else:  # it was looking at what the topic has, as is often so on a slow machine
            latest_s += 0.1
        if n_amid_work == N_AMID_WORK or n_sent >= N_RECORDS:
            break
    subprocess.run(command, cwd=ROOT, check=True, timeout=60, stdout=subprocess.DEVNULL)
    return n_amid_work


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
    assert run_killed(kafka, name, tmp_path, seed=0) == N_AMID_WORK
    assert_each_once_in_order(kafka, name, N_RECORDS)


@pytest.mark.acceptance
@pytest.mark.parametrize("seed", range(1, 20))
def test_so_it_has_with_other_instants(kafka, topic, tmp_path, seed):
    name = topic(3)
    assert run_killed(kafka, name, tmp_path, seed) == N_AMID_WORK
    assert_each_once_in_order(kafka, name, N_RECORDS)
