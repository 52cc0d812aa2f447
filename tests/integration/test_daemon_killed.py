"""SIGKILL of a daemon at random instants: what it leaves equals a run that was left alone.

A batch of a live stream ends when the clock says so, and so no two daemons cut alike. What a
daemon decided is in its journal: the run to compare with repeats that journal, from its first
entry to its last, in one go.
"""

import random
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from tests.brokers import create_topic, read_topic, unique_name
from tests.daemons import Daemon, live_settings
from tests.feeding import Feeder
from tests.live_runs import (
    assert_each_record_was_taken_in_once,
    assert_the_topics_hold_what_the_files_hold,
    left_in,
    n_read,
    repeated,
)
from tests.runs import RESTLESS, write_shop

# One seed where every minute counts, twenty where none does.
SEEDS = [pytest.param(0), *(pytest.param(n, marks=pytest.mark.acceptance) for n in range(1, 20))]
# What may differ from one process of a run to the next: how often there is a recovery point, and
# so how much is repeated, and how batches are cut from then on.
EVERY = ("20ms", "300ms", "1h")
BATCH_RECORDS = (16, 32, 64)
MOMENTS = ("opening", "repeating", "reading", "silent")
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
    with run.fed(events, seed) as feeder, closing(run):
        plan = [("reading", "20ms"), ("reading", "1h"), ("repeating", rng.choice(EVERY))]
        plan += [("silent", "1h"), (rng.choice(MOMENTS), rng.choice(EVERY))]
        for moment, every in [("opening", "20ms"), *rng.sample(plan, k=len(plan))]:
            run.start(every)
            run.kill_while(moment, feeder)
        run.start("300ms")
        run.end_in_good_order(feeder.finish())
    run.assert_batches_ended_in_every_way()
    run.assert_all_of_it_equals_a_run_left_alone(tmp_path / "alone")


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
    with run.fed(events, seed) as feeder, closing(run):
        for moment in ["reading", rng.choice(MOMENTS)]:
            run.start(rng.choice(EVERY))
            run.kill_while(moment, feeder, broker.kill)
            broker.start()
        run.start("300ms")
        run.end_in_good_order(feeder.finish())
    run.assert_all_of_it_equals_a_run_left_alone(tmp_path / "alone")


class LiveRun:
    """One run of several processes, on topics of its own."""

    def __init__(
        self, bootstrap: str, topic: Callable[[int], str], folder: Path, rng: random.Random
    ) -> None:
        self.topic = topic(4)
        self.outputs = {output: topic(2) for output in OUTPUTS}
        self._settings = live_settings(
            bootstrap,
            [self.topic],
            {"idle_after": "3s", "backlog_records": 200},
            joiner={"labels": "eager", "max_pending": 4},
            alerts=RESTLESS,
            outputs={"kafka": self.outputs},
        )
        self.daemon = Daemon(self._settings, folder / "run")
        self._bootstrap = bootstrap
        self._rng = rng
        self._n_entries = 0

    def fed(self, events: Sequence[bytes], seed: int) -> Feeder:
        """Who produces while the daemon reads."""
        return Feeder(self._bootstrap, self.topic, events, seed, lambda: n_read(self.daemon))

    def start(self, every: str) -> None:
        """Start the daemon, with other settings as far as they are free."""
        checkpoint = {"anchor_events": 1_000, "every": every}
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
        if self._rng.random() < 0.5:
            feeder.hold()  # no backlog gathers while it starts
        self.daemon.wait_until(self._is_opening)
        feeder.go_on()
        if moment == "repeating":
            self.daemon.wait_until(lambda: self.daemon.said("is next"))
        if moment in ("reading", "silent"):
            self.daemon.wait_until(lambda: len(self.daemon.entries()) > self._n_entries)
            time.sleep(self._rng.uniform(0.0, 2.0))
        if moment == "silent":
            self._wait_until_silence_is_excused(feeder.hold())
        if moment != "reading":
            time.sleep(self._rng.uniform(0.0, 1.0))
        for kill in self._rng.sample([self.daemon.kill, also], k=2):
            kill()
        feeder.go_on()
        assert self.daemon.journal_bytes().startswith(before), "an entry was decided twice"

    def end_in_good_order(self, n_produced: int) -> None:
        """Stop the daemon when it has read everything."""
        before = _whole_lines(self.daemon.journal_bytes())
        self._wait_until_silence_is_excused(n_produced)
        self.daemon.sigterm()
        assert self.daemon.wait() == 0
        assert self.daemon.journal_bytes().startswith(before), "an entry was decided twice"

    def assert_all_of_it_equals_a_run_left_alone(self, out: Path) -> None:
        assert_each_record_was_taken_in_once(self.daemon, self._bootstrap, [self.topic])
        assert_the_topics_hold_what_the_files_hold(self.daemon, self._bootstrap, self.outputs)
        messages = read_topic(self._bootstrap, self.outputs["dead_letters"])
        origins = [dict(message.headers)["freshrank-origin"].decode() for message in messages]
        letters = self.daemon.records("dead_letters.jsonl")
        assert origins == [letter["origin"] for letter in letters] != []
        times = [entry.watermark_ms for entry in self.daemon.entries()]
        assert times == sorted(times), "event time went back"
        alone = repeated(self.daemon, self._bootstrap, out)
        assert left_in(self.daemon.out) == left_in(alone)

    def assert_batches_ended_in_every_way(self) -> None:
        """What is not exercised is not shown."""
        entries = self.daemon.entries()
        n_records = {sum(part.stop - part.start for part in e.ranges.values()) for e in entries}
        assert n_records >= {0}, "none came for event time alone"
        assert n_records & set(BATCH_RECORDS), "none ended by number"
        assert n_records - {0, *BATCH_RECORDS}, "none ended by age"
        assert {entry.is_backlog for entry in entries} == {False, True}

    def _is_opening(self) -> bool:
        """The folder is its own; on a first start there is no checkpoint yet."""
        lock = self.daemon.out / "run.lock"
        return lock.exists() and lock.read_text().strip() == str(self.daemon.pid)

    def _wait_until_silence_is_excused(self, n_produced: int) -> None:
        """All is read, and event time has moved on to that of the partition that is furthest."""

        def is_excused() -> bool:
            entries = self.daemon.entries()
            furthest: dict[str, int] = {}
            for entry in entries:
                furthest |= {name: part.ts_ms for name, part in entry.ranges.items()}
            return (
                self.daemon.is_ready()
                and n_read(self.daemon) == n_produced
                and entries[-1].watermark_ms >= max(furthest.values())
            )

        self.daemon.wait_until(is_excused, timeout_s=120.0)


def _whole_lines(data: bytes) -> bytes:
    """A journal but for an entry that was being written: nobody had acted on it."""
    return data[: data.rfind(b"\n") + 1]
