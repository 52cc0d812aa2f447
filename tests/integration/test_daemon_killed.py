"""SIGKILL of a daemon at random instants: what it leaves equals a run that was left alone.

A batch of a live stream ends when the clock says so, and so no two daemons cut alike. What a
daemon decided is in its journal: the run to compare with repeats that journal, from its first
entry to its last, in one go.
"""

import json
import math
import random
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from stream.checkpoint_files import ARRAYS_FILE, MANIFEST_FILE, STATE_FILE, list_checkpoints
from stream.config import FreshrankConfig
from stream.journal import Entry, Journal, Range
from stream.kafka.source import KafkaSource
from stream.settings import read_settings
from stream.values import Incident
from tests.brokers import create_topic, offsets, read_topic, topic_id, unique_name
from tests.daemons import Daemon, live_settings
from tests.feeding import Feeder
from tests.runs import RESTLESS, pipeline_in, write_shop

# One seed where every minute counts, twenty where none does.
SEEDS = [pytest.param(0), *(pytest.param(n, marks=pytest.mark.acceptance) for n in range(1, 20))]
N_PARTITIONS = 4
# What may differ from one process of a run to the next: how often there is a recovery point, and
# so how much is repeated, and how batches are cut from then on.
EVERY = ("20ms", "300ms", "1h")
BATCH_RECORDS = (16, 32, 64)
# Longer than it takes to hear from the brokers that there is nothing more.
SILENT_S = 8.0
OUTPUTS = ("metrics", "alerts", "dead_letters")


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Clicks and lists of a small shop."""
    path = write_shop(tmp_path_factory.mktemp("shop") / "events.jsonl", 2_500)
    return path.read_bytes().splitlines()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_daemon_killed_at_random_instants_equals_one_that_was_left_alone(
    kafka, topic, events, tmp_path, seed
):
    rng = random.Random(seed)
    run = LiveRun(kafka.bootstrap, topic, tmp_path, rng)
    with Feeder(kafka.bootstrap, run.topic, events, seed) as feeder, closing(run):
        moments = ["reading", "repeating", "silent", *rng.choices(list(run.moments), k=2)]
        for moment in ["opening", *rng.sample(moments, k=len(moments))]:
            run.start()
            run.kill_while(moment, feeder)
        run.start()
        run.end_in_good_order(n_produced := feeder.finish())
    run.assert_nothing_is_lost_or_doubled(n_produced)
    run.assert_the_topics_hold_what_the_files_hold()
    run.assert_batches_ended_in_every_way()
    assert run.left_behind() == run.repeated(tmp_path / "repeated")


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_daemon_killed_together_with_its_broker_equals_one_that_was_left_alone(
    own_kafka, events, tmp_path, seed
):
    broker = own_kafka()

    def topic(n_partitions: int) -> str:
        return create_topic(broker.bootstrap, unique_name(), n_partitions)

    rng = random.Random(1_000 + seed)
    run = LiveRun(broker.bootstrap, topic, tmp_path, rng)
    with Feeder(broker.bootstrap, run.topic, events, seed) as feeder, closing(run):
        for moment in ["reading", rng.choice(list(run.moments))]:
            run.start()
            run.kill_while(moment, feeder, broker.kill)
            broker.start()
        run.start()
        run.end_in_good_order(n_produced := feeder.finish())
    run.assert_nothing_is_lost_or_doubled(n_produced)
    run.assert_the_topics_hold_what_the_files_hold()
    assert run.left_behind() == run.repeated(tmp_path / "repeated")


class LiveRun:
    """One run of several processes, on topics of its own."""

    def __init__(
        self, bootstrap: str, topic: Callable[[int], str], folder: Path, rng: random.Random
    ) -> None:
        self.topic = topic(N_PARTITIONS)
        self.outputs = {output: topic(2) for output in OUTPUTS}
        self._rng = rng
        self.moments = {
            "opening": self._is_opening,
            "repeating": self._is_repeating,
            "reading": self._is_reading,
            "silent": self._is_silent,
        }
        self._bootstrap = bootstrap
        self._settings = live_settings(
            bootstrap,
            [self.topic],
            {"idle_after": "700ms", "backlog_records": 200},
            joiner={"labels": "eager", "max_pending": 4},
            alerts=RESTLESS,
            outputs={"kafka": self.outputs},
        )
        self.daemon = Daemon(self._settings, folder / "run")
        self._n_entries = 0
        self._quiet_s = math.inf

    def start(self) -> None:
        """Start the daemon, with other settings as far as they are free."""
        checkpoint = {"anchor_events": 1_000, "every": self._rng.choice(EVERY)}
        batch = {"events": self._rng.choice(BATCH_RECORDS), "max_age_ms": 100}
        self.daemon.write_settings(self._settings | {"checkpoint": checkpoint, "batch": batch})
        self._n_entries = len(self.daemon.entries())
        self.daemon.start()

    def close(self) -> None:
        self.daemon.kill()

    def kill_while(
        self, moment: str, feeder: Feeder, also: Callable[[], None] = lambda: None
    ) -> None:
        """Kill the daemon, and what else, some time after this moment has come."""
        before = _whole_lines(self.daemon.journal_bytes())
        if moment == "silent":
            feeder.hold()
            self._quiet_s = math.inf
        self.daemon.wait_until(self.moments[moment])
        time.sleep(self._rng.uniform(0.0, 1.5 if moment == "reading" else 0.5))
        for kill in self._rng.sample([self.daemon.kill, also], k=2):
            kill()
        feeder.go_on()
        assert self.daemon.journal_bytes().startswith(before), "an entry was decided twice"

    def end_in_good_order(self, n_produced: int) -> None:
        """Stop the daemon when it has read everything."""
        before = _whole_lines(self.daemon.journal_bytes())
        self.daemon.wait_until(lambda: self._n_read() == n_produced, timeout_s=120.0)
        self.daemon.sigterm()
        assert self.daemon.wait() == 0
        assert self.daemon.journal_bytes().startswith(before), "an entry was decided twice"

    def assert_nothing_is_lost_or_doubled(self, n_produced: int) -> None:
        entries = self.daemon.entries()
        assert [entry.seq for entry in entries] == list(range(len(entries)))
        ends = offsets(self._bootstrap, self.topic)
        assert sum(end for _, end in ends.values()) == n_produced
        for partition, bounds in ends.items():
            ranges = _ranges_of(entries, f"{self.topic}/{partition}")
            assert (ranges[0].start, ranges[-1].stop) == bounds
            assert all(one.stop == following.start for one, following in pairwise(ranges))
        summary = json.loads((self.daemon.out / "summary.json").read_bytes())
        letters = self.daemon.records("dead_letters.jsonl")
        assert summary["records"] == n_produced
        assert summary["events"] + len(letters) == n_produced
        assert sum(summary["dead_letters"].values()) == len(letters)
        assert len({letter["origin"] for letter in letters}) == len(letters) > 0

    def assert_the_topics_hold_what_the_files_hold(self) -> None:
        for output, topic in self.outputs.items():
            messages = read_topic(self._bootstrap, topic)
            headers = [dict(message.headers) for message in messages]
            numbers = [int(header["freshrank-number"]) for header in headers]
            assert numbers == list(range(len(numbers)))
            assert len({message.partition for message in messages}) == 1
            lines = (self.daemon.out / f"{output}.jsonl").read_bytes().splitlines()
            if output == "dead_letters":
                origins = [json.loads(line)["origin"].encode() for line in lines]
                assert [header["freshrank-origin"] for header in headers] == origins
            else:
                assert [message.value for message in messages] == lines

    def assert_batches_ended_in_every_way(self) -> None:
        """What is not exercised is not shown."""
        entries = self.daemon.entries()
        n_records = {sum(part.stop - part.start for part in e.ranges.values()) for e in entries}
        assert n_records >= {0}, "none came for event time alone"
        assert n_records & set(BATCH_RECORDS), "none ended by number"
        assert n_records - {0, *BATCH_RECORDS}, "none ended by age"
        assert {entry.is_backlog for entry in entries} == {False, True}

    def left_behind(self) -> dict[str, object]:
        return left_in(self.daemon.out)

    def repeated(self, out: Path) -> dict[str, object]:
        """What an uninterrupted run leaves that repeats the journal, and decides nothing."""
        config = read_settings(FreshrankConfig, self.daemon.settings_file)
        shutil.copytree(self.daemon.out / "journal", out / "journal")
        identity = topic_id(self._bootstrap, self.topic)
        start = {
            f"{self.topic}/{partition}": {"offset": 0, "topic_id": identity, "ts_ms": 0}
            for partition in range(N_PARTITIONS)
        }
        with closing(Journal(out / "journal")) as journal:
            source = KafkaSource(
                config.source.kafka,
                config.batch,
                journal,
                report=_refuse,
                until_journal_end=True,
            )
            with closing(source), pipeline_in(out, config, source) as (pipeline, _):
                pipeline.begin(start)
                pipeline.run(start)
        assert pipeline.next_seq == len(self.daemon.entries())
        return left_in(out)

    def _is_opening(self) -> bool:
        """The folder is its own; on a first start there is no checkpoint yet."""
        lock = self.daemon.out / "checkpoints" / "run.lock"
        return lock.exists() and lock.read_text().strip() == str(self.daemon.pid)

    def _is_repeating(self) -> bool:
        return bool(self.daemon.said("is next"))

    def _is_reading(self) -> bool:
        return len(self.daemon.entries()) > self._n_entries

    def _is_silent(self) -> bool:
        """All is read and no partition is waited for; if that moves event time, a batch says so."""
        if math.isinf(self._quiet_s):
            if self.daemon.is_ready() and self.daemon.status().get("lag_records") == 0:
                self._quiet_s = time.monotonic()
            return False
        entries = self.daemon.entries()[self._n_entries :]
        is_excused = bool(entries) and not entries[-1].ranges
        return is_excused or time.monotonic() - self._quiet_s > SILENT_S

    def _n_read(self) -> int:
        parts = [part for entry in self.daemon.entries() for part in entry.ranges.values()]
        return sum(part.stop - part.start for part in parts)


def left_in(out: Path) -> dict[str, object]:
    """What two runs over one journal share: files, anchors, the newest checkpoint."""
    left: dict[str, object] = {
        f"{output}.jsonl": (out / f"{output}.jsonl").read_bytes() for output in OUTPUTS
    }
    stored = list_checkpoints(out / "checkpoints")
    for seq, kind, folder in stored:
        if kind == "anchor" or seq == stored[-1][0]:
            left[f"{folder.name}/arrays"] = (folder / ARRAYS_FILE).read_bytes()
            left[f"{folder.name}/state"] = _state_in(folder)
            manifest = json.loads((folder / MANIFEST_FILE).read_bytes())
            left[f"{folder.name}/manifest"] = {
                key: manifest[key] for key in ("seq", "events", "position", "config_hash")
            }
    return left


def _state_in(folder: Path) -> dict[str, Any]:
    """The state but for its arrays, and but for how far topics have acknowledged outputs."""
    state: dict[str, Any] = msgspec.msgpack.decode((folder / STATE_FILE).read_bytes())
    sinks = state["outputs"]["sinks"]
    for output, kept in sinks.items():
        sinks[output] = kept["sinks"]["file"] if "sinks" in kept else kept
    return state


def _whole_lines(data: bytes) -> bytes:
    """A journal but for an entry that was being written: nobody had acted on it."""
    return data[: data.rfind(b"\n") + 1]


def _ranges_of(entries: Sequence[Entry], partition: str) -> list[Range]:
    return [entry.ranges[partition] for entry in entries if partition in entry.ranges]


def _refuse(incident: Incident) -> None:
    raise AssertionError(f"nothing happens to a run that is left alone: {incident}")
