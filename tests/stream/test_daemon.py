"""The daemon in this process, on a real broker; what processes suffer is in tests/integration."""

import json
import logging
import shutil
import socket
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from stream.checkpoint_files import read_latest
from stream.config import FreshrankConfig
from stream.daemon import Daemon, DaemonJob
from stream.errors import CheckpointError, ConfigError
from stream.journal import Journal
from stream.kafka.sink import KafkaSink
from stream.replay import Replay, run_replay
from stream.run_folder import resolved
from stream.sources.file import FileSource
from stream.sources.shop import SimulatorConfig
from stream.sources.simulator import simulate
from tests.brokers import produce, read_topic
from tests.runs import SMALL, run_until, small_config

SHOP = SimulatorConfig(clicks=300, users=30, items=40, categories=4, days=2)


def job_of(bootstrap: str, out: Path, topics: list[str], **changes: object) -> DaemonJob:
    kafka = {"connection": {"bootstrap": bootstrap}, "topics": topics}
    settings = SMALL | {"source": {"kafka": kafka}, "server": {"port": None}} | changes
    config = resolved(FreshrankConfig.model_validate(settings), out, resume=False)
    return DaemonJob(config, out / "freshrank.yaml", (), out)


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


def test_a_daemon_begins_with_what_an_earlier_run_learned(kafka, topic, tmp_path):
    config = small_config()
    (tmp_path / "own.jsonl").write_text('{"user": "u", "item": "only here", "ts": 1}\n' * 9)
    source = FileSource(config.source, [str(tmp_path / "own.jsonl")], config.batch)
    base, out = tmp_path / "base", tmp_path / "run"
    run_replay(Replay(resolved(config, base, resume=False), source, base))
    events = topic(1)
    lines = [msgspec.json.encode(event) for event in simulate(SHOP).events()]
    produce(kafka.bootstrap, events, lines)
    job = job_of(kafka.bootstrap, out, [events], start_from=str(base))
    summary = run_until(Daemon(job), len(lines))
    assert summary["events"] == len(lines)
    found = read_latest(out / "checkpoints")
    assert found is not None
    assert found.state["tables"]["catalogue"]["table"]["ids"][0] == "only here"


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


def test_settings_that_would_make_other_batches_wait_until_the_journal_is_repeated(
    kafka, topic, tmp_path, caplog
):
    events = topic(2)
    lines = [msgspec.json.encode(event) for event in simulate(SHOP).events()]
    produce(kafka.bootstrap, events, lines)

    def job(**changes: object) -> DaemonJob:
        source = {"connection": {"bootstrap": kafka.bootstrap}, "topics": [events], **changes}
        return job_of(kafka.bootstrap, tmp_path, [events], source={"kafka": source})

    run_until(Daemon(job()), len(lines))
    newest = max((tmp_path / "checkpoints").glob("*-*"), key=lambda path: path.name.split("-")[1])
    shutil.rmtree(newest)  # as if the process had been killed before it was written
    before = (tmp_path / "config.yaml").read_bytes()
    told = r"batches \d+ to \d+, .*source\.kafka\.max_ahead was 86400000, is 3600000; set them back"
    daemon = Daemon(job(max_ahead="1h"))
    daemon.stop()  # at once, should it not be refused
    with pytest.raises(CheckpointError, match=told):
        daemon.run()
    assert (tmp_path / "config.yaml").read_bytes() == before
    run_until(Daemon(job()), len(lines))
    produce(kafka.bootstrap, events, lines[-1:])
    caplog.set_level(logging.INFO)
    summary = run_until(Daemon(job(max_ahead="1h")), len(lines) + 1)
    assert summary["events"] == len(lines) + 1
    assert "on, source.kafka.max_ahead was 86400000, is 3600000" in caplog.text
    settings = [e.settings for e in Journal(tmp_path / "journal").entries(0) if e.settings]
    assert [one["source.kafka.max_ahead"] for one in settings] == [86_400_000, 3_600_000]


def test_a_loop_that_waits_for_an_output_topic_is_not_stuck_and_says_what_it_waits_for(
    kafka, topic, tmp_path
):
    """The topic is on a broker that takes connections and never answers."""
    events = topic(1)
    lines = [msgspec.json.encode(event) for event in simulate(SHOP).events()]
    produce(kafka.bootstrap, events, lines)
    with closing(socket.create_server(("127.0.0.1", 0))) as deaf:
        connection = {"bootstrap": f"127.0.0.1:{deaf.getsockname()[1]}"}
        outputs = {"kafka": {"connection": connection, "metrics": "metrics"}}
        watch = {"rules": [], "every": "50ms", "stuck_after": "1s"}
        daemon = Daemon(job_of(kafka.bootstrap, tmp_path, [events], outputs=outputs, watch=watch))
        sinks = Daemon._sinks

        def small(*arguments: Any) -> dict[str, KafkaSink]:
            found = sinks(*arguments)
            for sink in found.values():
                sink._waiting._max_messages = 2
            return found

        told: list[list[str]] = []

        def look() -> None:
            deadline_s = time.monotonic() + 60
            while time.monotonic() < deadline_s and len(told) < 30:
                time.sleep(0.1)
                if (run := daemon._run) is not None and run.sinks["metrics"].waited_for:
                    told.append(run.reasons_to_wait())
            daemon.stop()

        looking = threading.Thread(target=look)
        with pytest.MonkeyPatch.context() as patching:
            patching.setattr(Daemon, "_sinks", small)
            looking.start()
            daemon.run()
            looking.join()
    assert len(told) == 30
    assert told[0][0].startswith("output metrics: 2 records wait for topic metrics: ")
    assert not (tmp_path / "incidents.jsonl").exists()


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
