"""Half an hour at full rate leaves the daemon's memory, files and threads as they were.

`freshrank run` as a process of its own, with its champion, shadows, alerts, and outputs to topics,
over a Kafka that is started here. It is fed with a simulated shop, over and over, and with records
that are no events; whatever it takes is replaced, so that some thousand records wait at all times.
Every table is small enough to be full within the warm-up. In the end the feeding stops, the rest
is read, and the daemon is told to stop.

    python -m benchmarks.soak [--minutes 30] > benchmarks/soak.txt
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import psutil
import yaml
from kafka import KafkaProducer

from benchmarks.broker import N_PARTITIONS, running_broker
from deploy.kafka.local_kafka import LocalKafka, free_ports
from stream.sources.shop_config import DAY_MS, SimulatorConfig
from stream.sources.simulator import simulate

SHOP = SimulatorConfig(clicks=30_000, users=1_500, items=800, late_ratio=0.02)
WAITING_RECORDS = 10_000
RECORDS_AT_ONCE = 1_000
BAD_EVERY = 1_000
WARM_UP_SHARE = 1 / 3
LOOKS_A_MINUTE = 60
MOST_CHANGE = 0.05

COLUMNS = "{:>6} {:>11} {:>9} {:>7} {:>9} {:>9} {:>8} {:>8} {:>10}"
TOPICS = {"metrics": "soak-metrics", "alerts": "soak-alerts", "dead_letters": "soak-dead"}
SETTINGS: dict[str, Any] = {
    "catalogue": {"max_items": 600},
    "histories": {"max_users": 1_000},
    # Short histories are soon full: what is replayed, and with it a step, grows no longer then.
    "learner": {"history_items": 10, "replay_sequences": 4_000},
    "session_knn": {"max_sessions": 2_000},
    "joiner": {"conversion_window": "1d", "max_pending": 5_000},
    "alerts": {
        "rules": [
            {"name": "ctr_low", "kind": "below", "metric": "ctr", "threshold": 0.05},
            {
                "name": "recall_drop",
                "kind": "drop",
                "metric": "recall@20",
                "reference": "5000 events",
                "share": 0.05,
                "react": "boost",
            },
        ]
    },
    "checkpoint": {"anchor_events": 10_000, "every": "10s"},
    "log": {"format": "json"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=int, default=30)
    n_minutes = parser.parse_args().minutes
    with tempfile.TemporaryDirectory() as name, running_broker(Path(name) / "kafka") as broker:
        for topic in ("events", *TOPICS.values()):
            broker.create_topic(topic, N_PARTITIONS if topic == "events" else 1)
        with running_daemon(broker, Path(name)) as daemon, fed(broker) as feed:
            minutes = watch(daemon, feed, n_minutes)
            daemon.drain()
            status = daemon.stop()
        summary = json.loads((daemon.out / "summary.json").read_text())
    verdicts = [
        *judge(minutes),
        (status == 0, f"ended with status {status} when told to"),
        (
            summary["records"] == feed.n_records,
            f"{summary['records']:,} records taken of {feed.n_records:,} produced",
        ),
        (
            sum(summary["dead_letters"].values()) >= feed.n_bad,
            f"dead letters: {summary['dead_letters']}",
        ),
    ]
    print()
    for is_met, text in verdicts:
        print(f"{'ok    ' if is_met else 'FAILED'}  {text}")
    sys.exit(not all(is_met for is_met, _ in verdicts))


@dataclass(frozen=True)
class Look:
    """The daemon as the system sees it."""

    rss_bytes: int
    n_files: int
    n_threads: int


@dataclass(frozen=True)
class Minute:
    """What was seen in a minute: of memory the least and the most, else the median and the most.

    A step of the optimizer and a run of matured lists take memory for an instant: the least is
    what is held between them, the most the largest of them.
    """

    rss_bytes: tuple[int, int]
    files: tuple[float, int]
    threads: tuple[float, int]


class Daemon:
    """`freshrank run`, from outside.

    Parameters
    ----------
    process : Popen
        The process.
    port : int
        Where it answers.
    out : Path
        Its folder.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", port: int, out: Path) -> None:
        self._process = process
        self._seen = psutil.Process(process.pid)
        self._url = f"http://127.0.0.1:{port}/status"
        self.out = out

    def status(self) -> dict[str, Any]:
        """What it says of itself; an exit where it is no longer there."""
        while True:
            try:
                with urllib.request.urlopen(self._url, timeout=30) as answer:
                    found: dict[str, Any] = json.load(answer)
                    return found
            except OSError as err:
                if self._process.poll() is not None:
                    sys.exit(f"the daemon died with status {self._process.returncode}: {err}")
                time.sleep(0.2)  # it has not come up yet

    def look(self) -> Look:
        with self._seen.oneshot():
            return Look(
                self._seen.memory_info().rss, self._seen.num_fds(), self._seen.num_threads()
            )

    def drain(self) -> None:
        """Wait until it has taken all there is."""
        while self.status()["lag_records"] != 0:  # None: nobody knows
            time.sleep(0.5)

    def stop(self) -> int:
        """Tell it to stop; its exit status."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(timeout=120)


class Feed:
    """Produces the shop's events without end, each time around in the days that follow."""

    def __init__(self, producer: KafkaProducer) -> None:
        self._producer = producer
        self._events = endless_events()
        self.n_records = self.n_bad = 0

    def put(self, n_records: int) -> None:
        """Append so many records, and wait for the broker."""
        for _ in range(n_records):
            self.n_records += 1
            if self.n_records % BAD_EVERY == 0:
                self.n_bad += 1
                self._producer.send("events", b"no event", b"nobody")
            else:
                event = next(self._events)
                key = str(event.get("user", event.get("item"))).encode()
                self._producer.send("events", msgspec.json.encode(event), key)
        self._producer.flush()


def endless_events() -> Iterator[dict[str, Any]]:
    """One shop after another, under the same users and items."""
    number = 0
    while True:
        shop = SHOP.model_copy(update={"seed": number})
        for event in simulate(shop).events():
            event["ts"] += number * shop.days * DAY_MS
            if "request_id" in event:
                event["request_id"] += f"-{number}"
            if "session" in event:
                event["session"] += f"-{number}"
            yield event
        number += 1


@contextmanager
def fed(broker: LocalKafka) -> Iterator[Feed]:
    settings = {"acks": "all", "linger_ms": 5, "metrics_enabled": False}
    with closing(KafkaProducer(bootstrap_servers=broker.bootstrap, **settings)) as producer:
        yield Feed(producer)


@contextmanager
def running_daemon(broker: LocalKafka, folder: Path) -> Iterator[Daemon]:
    """The daemon for a `with`; killed at its end if it still runs."""
    port = next(free_ports())
    kafka = {"connection": {"bootstrap": broker.bootstrap}, "topics": ["events"]}
    live = {
        "source": {"kafka": kafka},
        "outputs": {"kafka": TOPICS},
        "server": {"port": port},
    }
    path, out, log = folder / "settings.yaml", folder / "run", folder / "daemon.log"
    path.write_text(yaml.safe_dump(SETTINGS | live))
    command = ["run", "--config", str(path), "--out", str(out)]
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-c", "from stream.cli import main; main()", *command], stderr=file
        )
    try:
        yield Daemon(process, port, out)
    finally:
        if process.poll() is None:
            process.kill()
        if process.wait():
            sys.stderr.write(log.read_text(errors="replace")[-4_000:])


def watch(daemon: Daemon, feed: Feed, n_minutes: int) -> list[Minute]:
    """Feed the daemon, and print a line a minute; what was seen, by minute."""
    print(f"{n_minutes} minutes, {os.cpu_count()} cores")
    print(
        COLUMNS.format(
            *("minute", "events", "events/s", "lag", "MiB held", "most"),
            *("files", "threads", "incidents"),
        )
    )
    feed.put(WAITING_RECORDS)
    daemon.status()  # it answers: the imports are over
    minutes: list[Minute] = []
    n_events = 0
    for number in range(1, n_minutes + 1):
        began_s = time.monotonic()
        looks: list[Look] = []
        while (passed_s := time.monotonic() - began_s) < 60:
            status = daemon.status()
            lag = status["lag_records"]
            if lag is not None and lag < WAITING_RECORDS:
                feed.put(RECORDS_AT_ONCE)
            elif passed_s * LOOKS_A_MINUTE / 60 < len(looks):
                time.sleep(0.05)
            if passed_s * LOOKS_A_MINUTE / 60 >= len(looks):
                looks.append(daemon.look())
        minutes.append(minute_of(looks))
        tell(number, (status["events"] - n_events) / passed_s, status, looks)
        n_events = status["events"]
    return minutes


def minute_of(looks: Sequence[Look]) -> Minute:
    files, threads = [look.n_files for look in looks], [look.n_threads for look in looks]
    return Minute(
        rss_bytes=(min(look.rss_bytes for look in looks), max(look.rss_bytes for look in looks)),
        files=(statistics.median(files), max(files)),
        threads=(statistics.median(threads), max(threads)),
    )


def tell(number: int, rate: float, status: dict[str, Any], looks: Sequence[Look]) -> None:
    minute = minute_of(looks)
    print(
        COLUMNS.format(
            number,
            f"{status['events']:,}",
            f"{rate:,.0f}",
            "unknown" if (lag := status["lag_records"]) is None else f"{lag:,}",
            *(f"{n_bytes / 2**20:,.0f}" for n_bytes in minute.rss_bytes),
            "{:.0f}..{}".format(*minute.files),
            "{:.0f}..{}".format(*minute.threads),
            status["incidents"],
        ),
        flush=True,
    )


def judge(minutes: Sequence[Minute]) -> list[tuple[bool, str]]:
    """Whether what came after the warm-up stayed as it was, and what is said of it."""
    warm = minutes[round(len(minutes) * WARM_UP_SHARE) :]
    early, late = warm[: len(warm) // 2], warm[len(warm) // 2 :]
    held = [minute.rss_bytes[0] for minute in warm]
    change = max(held) / min(held) - 1
    moved = f"{(held[-1] - held[0]) / 2**20:+.1f} MiB from the first to the last of them"
    text = f"memory held within {change:.1%} over the last {len(warm)} minutes, {moved}"
    verdicts = [(change <= MOST_CHANGE, text)]
    grown = max(m.rss_bytes[1] for m in late) / max(m.rss_bytes[1] for m in early) - 1
    text = f"the most memory of their second half against the first: {grown:+.1%}"
    verdicts.append((grown <= MOST_CHANGE, text))
    for name, of in (("files", lambda m: m.files), ("threads", lambda m: m.threads)):
        # A checkpoint, or somebody who asks, opens one for an instant: at the median none stays.
        before = statistics.median(of(m)[0] for m in early)
        after = statistics.median(of(m)[0] for m in late)
        most = max(of(m)[1] for m in warm)
        text = f"{name}: {before:.0f} at the median, then {after:.0f}, and never above {most}"
        verdicts.append((after <= before, text))
    return verdicts


if __name__ == "__main__":
    main()
