"""Topics that change under a daemon: records deleted unread, made again, partitions added."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from signal import SIGCONT, SIGSTOP
from typing import Any

import pytest

from tests.brokers import (
    add_partitions,
    create_topic,
    delete_records,
    delete_topic,
    offsets,
    produce,
    unique_name,
)
from tests.daemons import Daemon, live_settings
from tests.live_runs import clicks, n_read, ranges_of, summary_of

# Records of a topic of two partitions that were read before anything happens to it.
N_READ = 60


def settings_of(bootstrap: str, topics: list[str], on_gap: str) -> dict[str, Any]:
    kafka = {"on_gap": on_gap, "idle_after": "1s"}
    return live_settings(bootstrap, topics, kafka, champion="popularity", shadows=[])


def incidents_of(daemon: Daemon, kind: str) -> list[dict[str, Any]]:
    return [one for one in daemon.records("incidents.jsonl") if one["kind"] == kind]


def gaps_of(daemon: Daemon, topic: str) -> dict[int, tuple[int, int, int]]:
    """The gaps that were told of a topic: by partition its two ends, and how much was lost."""
    told = [one for one in incidents_of(daemon, "gap") if one["name"].startswith(f"{topic}/")]
    assert len({one["name"] for one in told}) == len(told), "a gap was told twice"
    return {
        int(one["name"].rpartition("/")[2]): (
            one["details"]["from_offset"],
            one["details"]["to_offset"],
            one["details"]["lost_records"],
        )
        for one in told
    }


def jumps_of(daemon: Daemon, partition: str) -> list[tuple[int, int]]:
    """Where the journal goes on elsewhere than where it was."""
    ranges = ranges_of(daemon.entries(), partition)
    return [(one.stop, two.start) for one, two in pairwise(ranges) if one.stop != two.start]


def is_at_the_end(daemon: Daemon, bootstrap: str, topic: str) -> bool:
    """Whether the last record of each partition was read."""
    entries = daemon.entries()
    return all(
        (ranges := ranges_of(entries, f"{topic}/{partition}")) and ranges[-1].stop == end
        for partition, (_, end) in offsets(bootstrap, topic).items()
    )


@contextmanager
def held(daemon: Daemon) -> Iterator[None]:
    """Keep a daemon from reading on."""
    daemon.signal(SIGSTOP)
    time.sleep(1.0)  # the broker answers a fetch that is under way in half of it
    yield
    daemon.signal(SIGCONT)


def delete_unread(bootstrap: str, topic: str) -> None:
    """As retention does: 20 records of the first partition and 10 of the second."""
    produce(bootstrap, topic, clicks(N_READ, N_READ))
    delete_records(bootstrap, topic, {0: 50, 1: 40})


def create_again(bootstrap: str, topic: str) -> None:
    delete_topic(bootstrap, topic)
    create_topic(bootstrap, topic, 2)
    produce(bootstrap, topic, clicks(30, N_READ))


@dataclass(frozen=True)
class Fault:
    """Something that happens to a topic, and what is to be said of it."""

    happen: Callable[[str, str], None]
    told: str
    gaps: dict[int, tuple[int, int, int]]


FAULTS = {
    "retention": Fault(
        delete_unread,
        "[0]: 20 records from offset 30 on were deleted before they were read; the first one left "
        "is at 50",
        {0: (30, 50, 20), 1: (30, 40, 10)},
    ),
    "created again": Fault(
        create_again,
        "[0]: the topic was deleted and created again; at least 0 records from offset 30 on were "
        "not read, and the new topic begins at 0",
        {0: (30, 0, 0), 1: (30, 0, 0)},
    ),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=list(FAULTS))
def test_records_that_are_gone_end_the_run_until_it_may_go_on_without_them(
    kafka, topic, tmp_path, fault
):
    name = topic(2)
    produce(kafka.bootstrap, name, clicks(N_READ))
    with Daemon(settings_of(kafka.bootstrap, [name], "fail"), tmp_path / "run") as daemon:
        daemon.wait_until(lambda: n_read(daemon) == N_READ)
        with held(daemon):
            fault.happen(kafka.bootstrap, name)
        assert daemon.wait() == 1, "while it runs"
        assert_the_gap_is_told(daemon, name + fault.told)

        daemon.start()
        assert daemon.wait() == 1, "when it starts"
        assert_the_gap_is_told(daemon, name + fault.told)
        assert n_read(daemon) == N_READ

        daemon.write_settings(settings_of(kafka.bootstrap, [name], "earliest"))
        daemon.start()
        daemon.wait_until(lambda: is_at_the_end(daemon, kafka.bootstrap, name))
        daemon.sigterm()
        assert daemon.wait() == 0
    assert gaps_of(daemon, name) == fault.gaps
    for partition, (start, stop, _) in fault.gaps.items():
        assert jumps_of(daemon, f"{name}/{partition}") == [(start, stop)]
    assert summary_of(daemon)["events"] == N_READ + 30


def assert_the_gap_is_told(daemon: Daemon, text: str) -> None:
    [said] = daemon.said("to go on there", level="error")
    assert said["event"].startswith(text)
    assert "set source.kafka.on_gap: earliest" in said["event"]


@dataclass(frozen=True)
class Reading:
    """A daemon that may go on behind gaps, and its topics; it stands at their ends."""

    daemon: Daemon
    bootstrap: str
    expiring: str
    passing: str
    growing: str

    def wait_for_the_end_of(self, topic: str) -> None:
        self.daemon.wait_until(lambda: is_at_the_end(self.daemon, self.bootstrap, topic))


@pytest.fixture(scope="module")
def reading(kafka, tmp_path_factory) -> Iterator[Reading]:
    """One daemon for several tests: each has a topic of its own."""
    names = [create_topic(kafka.bootstrap, unique_name(), 2) for _ in range(3)]
    for name in names:
        produce(kafka.bootstrap, name, clicks(N_READ))
    settings = settings_of(kafka.bootstrap, names, "earliest")
    with Daemon(settings, tmp_path_factory.mktemp("reading") / "run") as daemon:
        daemon.wait_until(lambda: n_read(daemon) == 3 * N_READ)
        yield Reading(daemon, kafka.bootstrap, *names)
        daemon.sigterm()
        assert daemon.wait() == 0
    for name in names:
        delete_topic(kafka.bootstrap, name)


def test_records_deleted_under_a_running_daemon_are_counted_and_passed(reading):
    daemon, name = reading.daemon, reading.expiring
    with held(daemon):
        delete_unread(reading.bootstrap, name)
    reading.wait_for_the_end_of(name)
    assert gaps_of(daemon, name) == {0: (30, 50, 20), 1: (30, 40, 10)}
    assert jumps_of(daemon, f"{name}/0") == [(30, 50)]
    assert jumps_of(daemon, f"{name}/1") == [(30, 40)]


def test_a_topic_that_is_deleted_is_an_incident_until_it_is_made_again(reading):
    daemon, name = reading.daemon, reading.passing
    delete_topic(reading.bootstrap, name)
    daemon.wait_until(lambda: not daemon.is_ready())
    assert daemon.ask("/healthz")[0] == 200
    assert daemon.ask("/readyz")[1]["reasons"] == [
        f"source.kafka.topics: {name} does not exist any more"
    ]
    [lost] = incidents_of(daemon, "topic")
    assert (lost["name"], lost["state"], lost["severity"]) == (name, "firing", "page")

    create_topic(reading.bootstrap, name, 2)
    produce(reading.bootstrap, name, clicks(10, 500))
    reading.wait_for_the_end_of(name)
    assert daemon.is_ready()
    assert [one["state"] for one in incidents_of(daemon, "topic")] == ["firing", "resolved"]
    assert gaps_of(daemon, name) == {0: (30, 0, 0), 1: (30, 0, 0)}
    parts = [one for one in ranges_of(daemon.entries(), f"{name}/0") if one.start < one.stop]
    first, last = parts[0], parts[-1]
    assert (last.start, last.stop) == (0, 5)
    assert first.topic_id != last.topic_id


def test_partitions_that_are_added_are_read_from_their_first_record(reading):
    daemon, name = reading.daemon, reading.growing
    add_partitions(reading.bootstrap, name, 4)
    # At once: before the daemon can know of them.
    produce(reading.bootstrap, name, clicks(40, 500))
    reading.wait_for_the_end_of(name)
    for partition, first in enumerate([0, 0, 0, 0]):
        assert ranges_of(daemon.entries(), f"{name}/{partition}")[0].start == first
        assert jumps_of(daemon, f"{name}/{partition}") == []
    assert gaps_of(daemon, name) == {}
