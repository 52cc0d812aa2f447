"""Clocks that are wrong: the machine's own, and those that events were stamped by."""

import json
from pathlib import Path
from signal import SIGCONT, SIGHUP, SIGSTOP
from typing import Any

from tests.brokers import produce
from tests.daemons import Daemon, live_settings
from tests.live_runs import (
    FIRST_MS,
    assert_each_record_was_taken_in_once,
    clicks,
    left_in,
    n_read,
    ranges_of,
    repeated,
    summary_of,
)

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS

# Imported by Python before anything else: the process has another time of day from then on.
WALL_CLOCK = """
import os
import time
from pathlib import Path

_AHEAD_FILE = Path(os.environ["WALL_CLOCK_AHEAD_FILE"])
_time, _time_ns = time.time, time.time_ns


def _ahead_s():
    return int(_AHEAD_FILE.read_text() or 0)


time.time = lambda: _time() + _ahead_s()
time.time_ns = lambda: _time_ns() + _ahead_s() * 1_000_000_000
"""


class WallClock:
    """The time of day of a process, to be set while it runs."""

    def __init__(self, folder: Path) -> None:
        self._ahead_file = folder / "ahead"
        (folder / "sitecustomize.py").write_text(WALL_CLOCK)
        self.set(0)
        self.env = {"PYTHONPATH": str(folder), "WALL_CLOCK_AHEAD_FILE": str(self._ahead_file)}

    def set(self, ahead_s: int) -> None:
        """Let it be so far ahead of the true one."""
        beside = self._ahead_file.with_suffix(".new")
        beside.write_text(str(ahead_s))
        beside.replace(self._ahead_file)


def settings_of(bootstrap: str, topic: str, idle_after: str, **changes: Any) -> dict[str, Any]:
    kafka = {"idle_after": idle_after, "max_ahead": "1d"}
    return live_settings(bootstrap, [topic], kafka, champion="popularity", shadows=[], **changes)


def take_in(daemon: Daemon, bootstrap: str, topic: str, values: list[bytes], **where: int) -> None:
    """Produce these, and wait until they were read."""
    n_before = n_read(daemon)
    produce(bootstrap, topic, values, **where)
    daemon.wait_until(lambda: n_read(daemon) == n_before + len(values))


def end_in_good_order(daemon: Daemon) -> None:
    daemon.sigterm()
    assert daemon.wait() == 0


def reasons(daemon: Daemon, text: str) -> int:
    """How many dead letters have such a reason."""
    return sum(text in letter["reason"] for letter in daemon.records("dead_letters.jsonl"))


def watermarks(daemon: Daemon) -> list[int]:
    return [entry.watermark_ms for entry in daemon.entries()]


def test_a_wall_clock_that_is_set_back_and_forth_an_hour_decides_nothing(kafka, topic, tmp_path):
    name = topic(2)
    # Both would tell an hour's silence, or an hour's delay, if they went by the time of day.
    rules = [
        {"name": "quiet", "kind": "silent", "for": "10m"},
        {"name": "slow", "kind": "lagging", "behind": "10m", "for": "100ms"},
    ]
    watch = {"every": "100ms", "rules": rules}
    settings = settings_of(kafka.bootstrap, name, "1s", watch=watch)
    clock = WallClock(tmp_path)
    with Daemon(settings, tmp_path / "run", clock.env) as daemon:
        take_in(daemon, kafka.bootstrap, name, clicks(100))
        for number, ahead_s in enumerate([-3_600, 3_600], start=1):
            # What comes while it is held lags for a moment, under another time of day.
            daemon.signal(SIGSTOP)
            clock.set(ahead_s)
            produce(kafka.bootstrap, name, clicks(100, 100 * number))
            daemon.signal(SIGCONT)
            daemon.wait_until(lambda n=number: n_read(daemon) == 100 + 100 * n)
            stored = daemon.checkpoints()
            daemon.wait_until(lambda before=stored: daemon.checkpoints()[-1] != before[-1])
            daemon.signal(SIGHUP)
            daemon.wait_until(lambda n=number: len(daemon.said("read again")) == n)
            assert daemon.is_ready()
        hours = [line["ts"][:13] for line in daemon.said("read again")]
        end_in_good_order(daemon)
    assert hours[0] < hours[1], "the time of day was another one"
    assert daemon.records("incidents.jsonl") == []
    assert [line for line in daemon.lines() if line["level"] != "info"] == []
    assert watermarks(daemon) == sorted(watermarks(daemon))
    assert_each_record_was_taken_in_once(daemon, kafka.bootstrap, [name])
    again = repeated(daemon, kafka.bootstrap, tmp_path / "again")
    assert left_in(daemon.out) == left_in(again)


def test_one_broken_clock_among_many_is_not_believed_and_moves_nothing(kafka, topic, tmp_path):
    name = topic(2)
    values = clicks(400)
    beyond = clicks(4, 100, first_ms=FIRST_MS + 10 * DAY_MS)
    within = clicks(2, 104, first_ms=FIRST_MS + DAY_MS // 2)
    for number, value in enumerate([*beyond, *within]):
        values.insert(60 * number + 30 + number % 2, value)  # one partition after the other
    with Daemon(settings_of(kafka.bootstrap, name, "1h"), tmp_path / "run") as daemon:
        take_in(daemon, kafka.bootstrap, name, values)
        end_in_good_order(daemon)
    assert FIRST_MS + 300_000 < watermarks(daemon)[-1] < FIRST_MS + 400_000
    letters = daemon.records("dead_letters.jsonl")
    assert sorted(letter["raw"].encode() for letter in letters) == sorted(beyond)
    assert reasons(daemon, "far future: ts ") == reasons(daemon, "more than 1d ahead") == 4
    assert summary_of(daemon)["events"] == 402
    assert_each_record_was_taken_in_once(daemon, kafka.bootstrap, [name])


def test_partitions_full_of_the_future_do_not_move_time_while_others_speak(kafka, topic, tmp_path):
    name = topic(4)
    with Daemon(settings_of(kafka.bootstrap, name, "1h"), tmp_path / "run") as daemon:
        for start in (0, 100):
            take_in(daemon, kafka.bootstrap, name, clicks(100, start), partition=0)
            take_in(daemon, kafka.bootstrap, name, clicks(100, start), partition=1)
            half_a_day_on = clicks(100, start, first_ms=FIRST_MS + DAY_MS // 2)
            take_in(daemon, kafka.bootstrap, name, half_a_day_on, partition=2)
            a_month_on = clicks(100, start, first_ms=FIRST_MS + 30 * DAY_MS)
            take_in(daemon, kafka.bootstrap, name, a_month_on, partition=3)
        assert daemon.is_ready()
        end_in_good_order(daemon)
    assert FIRST_MS + 150_000 < watermarks(daemon)[-1] < FIRST_MS + 200_000
    entries = daemon.entries()
    own_time = [ranges_of(entries, f"{name}/{number}")[-1].ts_ms for number in range(4)]
    assert max(own_time[:2]) < FIRST_MS + 200_000
    assert min(own_time[2:]) > FIRST_MS + DAY_MS // 2
    assert_each_record_was_taken_in_once(daemon, kafka.bootstrap, [name])


def test_timestamps_that_go_back_an_hour_are_taken_and_what_is_late_is_counted(
    kafka, topic, tmp_path
):
    name = topic(2)
    settings = settings_of(
        kafka.bootstrap, name, "1h", joiner={"attribution_window": "10m", "early_wait": "1m"}
    )
    with Daemon(settings, tmp_path / "run") as daemon:
        take_in(daemon, kafka.bootstrap, name, [*clicks(200), *lists(5, FIRST_MS + 200_000)])
        take_in(daemon, kafka.bootstrap, name, clicks(200, first_ms=FIRST_MS - HOUR_MS))
        take_in(daemon, kafka.bootstrap, name, lists(20, FIRST_MS - HOUR_MS))
        take_in(daemon, kafka.bootstrap, name, clicks(100, 250))
        end_in_good_order(daemon)
    assert watermarks(daemon) == sorted(watermarks(daemon))
    assert FIRST_MS + 300_000 < watermarks(daemon)[-1] < FIRST_MS + 350_000
    summary = summary_of(daemon)
    assert summary["counts"]["late_impressions"] == 20
    assert summary["counts"]["impressions"] == 5
    assert summary["counts"]["clicks"] == 500
    assert reasons(daemon, "late: the attribution window of this list had passed") == 20
    assert_each_record_was_taken_in_once(daemon, kafka.bootstrap, [name])


def lists(n_lists: int, first_ms: int) -> list[bytes]:
    """Lists that were shown, each at another time."""
    return [
        json.dumps(
            {
                "type": "impression",
                "request_id": f"r{first_ms + n}",
                "user": f"u{n}",
                "items": ["i1", "i2", "i3"],
                "ts": first_ms + n,
            }
        ).encode()
        for n in range(n_lists)
    ]
