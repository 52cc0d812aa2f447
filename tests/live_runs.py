"""What a daemon left behind: whether each record was taken in once, and what a repetition leaves.

`assert_each_record_was_taken_in_once` compares topics with the journal, the summary and the dead
letters; `repeated` runs over the same journal without any fault, and `left_in` tells what the two
must have left alike.
"""

import json
import shutil
from collections.abc import Sequence
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from stream.checkpoint_files import ARRAYS_FILE, MANIFEST_FILE, STATE_FILE, list_checkpoints
from stream.config import FreshrankConfig
from stream.journal import Entry, Journal, Range
from stream.kafka.source import KafkaSource
from stream.notices import Incident
from stream.settings import read_settings
from tests.brokers import offsets, read_topic, topic_id
from tests.daemons import Daemon
from tests.runs import pipeline_in

FIRST_MS = 1_700_000_000_000


def clicks(
    n_clicks: int, first: int = 0, *, first_ms: int = FIRST_MS, step_ms: int = 1_000
) -> list[bytes]:
    """Clicks, each of another time; those from another `first` on differ from all of these."""
    return [
        json.dumps(
            {"user": f"u{n % 40}", "item": f"i{n % 60}", "ts": first_ms + n * step_ms}
        ).encode()
        for n in range(first, first + n_clicks)
    ]


def n_read(daemon: Daemon) -> int:
    """Records that batches took so far, by the journal."""
    return sum(
        part.stop - part.start for entry in daemon.entries() for part in entry.ranges.values()
    )


def ranges_of(entries: Sequence[Entry], partition: str) -> list[Range]:
    """What was read of a partition such as `clicks/0`, range by range."""
    return [entry.ranges[partition] for entry in entries if partition in entry.ranges]


def summary_of(daemon: Daemon) -> dict[str, Any]:
    """What the run came to; there when it has ended in good order."""
    return json.loads((daemon.out / "summary.json").read_bytes())


def assert_each_record_was_taken_in_once(
    daemon: Daemon, bootstrap: str, topics: Sequence[str]
) -> None:
    """No record that the topics hold is missing, and none came twice."""
    entries = daemon.entries()
    assert [entry.seq for entry in entries] == list(range(len(entries)))
    n_records = 0
    for topic in topics:
        for partition, bounds in offsets(bootstrap, topic).items():
            ranges = ranges_of(entries, f"{topic}/{partition}")
            read = (ranges[0].start, ranges[-1].stop) if ranges else (bounds[1], bounds[1])
            assert read == bounds, f"{topic}[{partition}] holds {bounds}, {read} were read"
            assert all(one.stop == following.start for one, following in pairwise(ranges))
            n_records += bounds[1] - bounds[0]
    summary, letters = summary_of(daemon), daemon.records("dead_letters.jsonl")
    assert summary["records"] == n_records
    assert summary["events"] + len(letters) == n_records
    assert sum(summary["dead_letters"].values()) == len(letters)
    assert len({letter["origin"] for letter in letters}) == len(letters)


def assert_the_topics_hold_what_the_files_hold(
    daemon: Daemon, bootstrap: str, outputs: dict[str, str]
) -> None:
    """Every record of these outputs is on its topic, once, in order."""
    for output, topic in outputs.items():
        messages = read_topic(bootstrap, topic)
        numbers = [int(dict(message.headers)["freshrank-number"]) for message in messages]
        assert numbers == list(range(len(daemon.records(f"{output}.jsonl"))))
        if output != "dead_letters":
            lines = (daemon.out / f"{output}.jsonl").read_bytes().splitlines()
            assert [message.value for message in messages] == lines


def repeated(daemon: Daemon, bootstrap: str, out: Path) -> Path:
    """The folder of an uninterrupted run over the journal of this one, from its first entry on."""
    config = read_settings(FreshrankConfig, daemon.settings_file)
    assert config.source.kafka is not None
    shutil.copytree(daemon.out / "journal", out / "journal")
    start = {
        f"{topic.name}/{partition}": {
            "offset": 0,
            "topic_id": topic_id(bootstrap, topic.name),
            "ts_ms": 0,
        }
        for topic in config.source.kafka.topics
        for partition in offsets(bootstrap, topic.name)
    }
    with closing(Journal(out / "journal")) as journal:
        source = KafkaSource(
            config.source.kafka, config.batch, journal, report=_refuse, until_journal_end=True
        )
        with closing(source), pipeline_in(out, config, source) as (pipeline, _):
            pipeline.begin(start)
            pipeline.run(start)
    assert pipeline.next_seq == len(daemon.entries())
    return out


def left_in(out: Path) -> dict[str, Any]:
    """What two runs over one journal share: files, anchors, the newest checkpoint."""
    names = ("metrics.jsonl", "alerts.jsonl", "dead_letters.jsonl")
    left: dict[str, Any] = {name: (out / name).read_bytes() for name in names}
    stored = list_checkpoints(out / "checkpoints")
    for seq, kind, folder in stored:
        if kind == "anchor" or seq == stored[-1][0]:
            manifest = json.loads((folder / MANIFEST_FILE).read_bytes())
            left[f"{folder.name}/arrays"] = (folder / ARRAYS_FILE).read_bytes()
            left[f"{folder.name}/state"] = _state_in(folder)
            left[f"{folder.name}/position"] = manifest["position"]
    return left


def _state_in(folder: Path) -> dict[str, Any]:
    """The state but for its arrays, and but for how far topics have acknowledged outputs."""
    state: dict[str, Any] = msgspec.msgpack.decode((folder / STATE_FILE).read_bytes())
    sinks = state["outputs"]["sinks"]
    for output, kept in sinks.items():
        sinks[output] = kept["sinks"]["file"] if "sinks" in kept else kept
    return state


def _refuse(incident: Incident) -> None:
    raise AssertionError(f"nothing happens to a run that is left alone: {incident}")
