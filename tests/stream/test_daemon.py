"""The daemon in this process, on a real broker; what processes suffer is in tests/integration."""

import json
import threading
import time
from pathlib import Path

import msgspec
import pytest

from stream.config import FreshrankConfig
from stream.daemon import Daemon, DaemonJob
from stream.errors import ConfigError
from stream.run_folder import resolved
from stream.sources.shop import SimulatorConfig
from stream.sources.simulator import simulate
from tests.brokers import produce, read_topic
from tests.runs import SMALL

SHOP = SimulatorConfig(clicks=300, users=30, items=40, categories=4, days=2)


def job_of(bootstrap: str, out: Path, topics: list[str], **changes: object) -> DaemonJob:
    kafka = {"connection": {"bootstrap": bootstrap}, "topics": topics}
    settings = SMALL | {"source": {"kafka": kafka}, "server": {"port": None}} | changes
    config = resolved(FreshrankConfig.model_validate(settings), out, resume=False)
    return DaemonJob(config, out / "freshrank.yaml", (), out)


def run_until(daemon: Daemon, n_events: int) -> dict[str, object]:
    """Run the loop in this thread until so many events were taken in."""

    def stop() -> None:
        deadline_s = time.monotonic() + 60
        while time.monotonic() < deadline_s:
            run = daemon._run
            if run is not None and run.pipeline.n_events >= n_events:
                break
            time.sleep(0.05)
        daemon.stop()

    stopper = threading.Thread(target=stop)
    stopper.start()
    try:
        return daemon.run()
    finally:
        stopper.join()


def test_settings_without_topics_are_refused(tmp_path):
    job = DaemonJob(FreshrankConfig(), tmp_path / "freshrank.yaml", (), tmp_path)
    with pytest.raises(ConfigError, match=r"freshrank\.yaml: source\.kafka is not set"):
        Daemon(job)


def test_a_daemon_learns_a_topic_and_goes_on_where_it_stopped(kafka, topic, tmp_path):
    events, alerts = topic(2), topic(1)
    lines = [msgspec.json.encode(event) for event in simulate(SHOP).events()]
    half = len(lines) // 2
    produce(kafka.bootstrap, events, lines[:half])
    outputs = {"kafka": {"metrics": alerts}}
    first = run_until(Daemon(job_of(kafka.bootstrap, tmp_path, [events], outputs=outputs)), half)
    assert first["events"] == half
    produce(kafka.bootstrap, events, lines[half:])
    job = job_of(kafka.bootstrap, tmp_path, [events], outputs=outputs)
    second = run_until(Daemon(job), len(lines))
    assert (second["events"], second["events_now"]) == (len(lines), len(lines) - half)
    assert json.loads((tmp_path / "summary.json").read_text())["events"] == len(lines)
    told = [record.value for record in read_topic(kafka.bootstrap, alerts)]
    assert told == (tmp_path / "metrics.jsonl").read_bytes().splitlines()


def test_other_rules_in_the_file_come_into_force_through_the_journal(kafka, topic, tmp_path):
    events = topic(1)
    lines = [msgspec.json.encode(event) for event in simulate(SHOP).events()]
    produce(kafka.bootstrap, events, lines)
    run_until(Daemon(job_of(kafka.bootstrap, tmp_path, [events])), len(lines))
    rule = {"name": "low", "kind": "below", "metric": "recall@20", "threshold": 0.1}
    daemon = Daemon(job_of(kafka.bootstrap, tmp_path, [events], alerts={"rules": [rule]}))
    produce(kafka.bootstrap, events, lines[-1:])
    run_until(daemon, len(lines) + 1)
    journal = b"".join(path.read_bytes() for path in (tmp_path / "journal").iterdir())
    assert journal.count(b'"commands"') == 1
    assert b'"name":"low"' in journal


def test_a_run_keeps_its_id(kafka, topic, tmp_path):
    events = topic(1)
    produce(kafka.bootstrap, events, [b'{"user": "u", "item": "i", "ts": 1}'])
    run_until(
        Daemon(
            job_of(kafka.bootstrap, tmp_path, [events], outputs={"kafka": {"metrics": topic(1)}})
        ),
        1,
    )
    before = (tmp_path / "run.json").read_bytes()
    run_until(
        Daemon(
            job_of(kafka.bootstrap, tmp_path, [events], outputs={"kafka": {"metrics": topic(1)}})
        ),
        1,
    )
    assert (tmp_path / "run.json").read_bytes() == before
