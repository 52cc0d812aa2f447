"""Ranges of topics, on a real broker; a daemon that is killed is in tests/integration."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from stream.config import FreshrankConfig
from stream.daemon import Daemon, DaemonJob
from stream.errors import KafkaError, ReproductionError
from stream.reproducing.asked import Place, Range
from stream.reproducing.job import read_run, reproduce
from stream.reproducing.topics import Reading, batches_of_topics
from stream.run_folder import resolved
from stream.sources.shop import SimulatorConfig
from stream.sources.simulator import simulate
from tests.brokers import create_topic, delete_records, delete_topic, offsets, produce, unique_name
from tests.runs import SMALL, run_until
from tests.stream.reproducing.small_runs import ALERTS, CHECKPOINT, computed_again, fired

SHOP = SimulatorConfig(clicks=900, users=60, items=80, categories=4, days=4)
LINES = [msgspec.json.encode(event) for event in simulate(SHOP).events()]


def job_of(bootstrap: str, out: Path, topic: str, **source: Any) -> DaemonJob:
    kafka = {"connection": {"bootstrap": bootstrap}, "topics": [topic], **source}
    settings = SMALL | {
        "source": {"kafka": kafka},
        "server": {"port": None},
        "joiner": {"labels": "eager"},
        "alerts": ALERTS,
        "checkpoint": CHECKPOINT,
    }
    config = resolved(FreshrankConfig.model_validate(settings), out, resume=False)
    return DaemonJob(config, out / "freshrank.yaml", (), out)


@pytest.fixture(scope="module")
def read_topic(kafka: Any) -> Any:
    name = unique_name()
    create_topic(kafka.bootstrap, name, 3)
    yield name
    delete_topic(kafka.bootstrap, name)


@pytest.fixture(scope="module")
def whole(kafka: Any, read_topic: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run over a topic, which read its second half with other settings than its first."""
    out = tmp_path_factory.mktemp("live") / "run"
    half = len(LINES) // 2
    produce(kafka.bootstrap, read_topic, LINES[:half])
    run_until(Daemon(job_of(kafka.bootstrap, out, read_topic)), half)
    produce(kafka.bootstrap, read_topic, LINES[half:])
    other = {"max_ahead": "30d", "backlog_records": 5}
    run_until(Daemon(job_of(kafka.bootstrap, out, read_topic, **other)), len(LINES))
    return out


def test_every_firing_notice_whose_anchor_is_kept_comes_out_again(whole):
    notices = fired(whole)
    assert len(notices) > 5
    assert {notice["anchor"] is None for notice in notices} == {False, True}
    for notice in notices:
        assert computed_again(whole, notice).difference == ""


def test_a_range_that_was_read_under_two_settings_is_read_under_both(whole, tmp_path):
    first, last = fired(whole)[0], fired(whole)[-1]
    asked = Range(None, first["start"], last["end"], last["seq"])
    place = Place(first["start"], 0, 0)
    batches = list(batches_of_topics(read_run(whole), asked, place, Reading(tmp_path)))
    assert [batch.seq for batch in batches] == list(range(last["seq"] + 1))
    assert batches[-1].end == last["end"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["journal-0", "journal-1"]


def test_nothing_is_committed_and_nothing_of_the_run_is_touched(whole):
    files = (path for path in whole.rglob("*") if path.is_file())
    before = {path: path.stat().st_mtime_ns for path in files}
    assert computed_again(whole, fired(whole)[-1]).is_equal
    files = (path for path in whole.rglob("*") if path.is_file())
    assert {path: path.stat().st_mtime_ns for path in files} == before


def test_a_journal_that_tells_no_more_of_the_range_is_named(whole, tmp_path):
    run = Path(shutil.copytree(whole, tmp_path / "run"))
    for segment in (run / "journal").iterdir():
        segment.unlink()
    with pytest.raises(ReproductionError, match="the journal ends after batch"):
        computed_again(run, fired(run)[-1])


def test_brokers_that_do_not_answer_are_waited_for_no_longer_than_told(whole):
    run = read_run(whole)
    kafka = run.config.source.kafka
    assert kafka is not None
    deaf = kafka.connection.model_copy(update={"bootstrap": ("127.0.0.1:1",)})
    source = run.config.source.model_copy(
        update={"kafka": kafka.model_copy(update={"connection": deaf})}
    )
    run = replace(run, config=run.config.model_copy(update={"source": source}))
    with pytest.raises(KafkaError, match=r"waited 1 s to read the range again"):
        reproduce(run, fired(whole)[-1], lambda *_: None, lambda *_: None, wait_s=1.0)


@pytest.mark.timeout(300)
def test_records_that_are_gone_are_named_where_the_range_needs_them(
    kafka: Any, topic: Callable[[int], str], tmp_path: Path
):
    name, out = topic(1), tmp_path / "run"
    produce(kafka.bootstrap, name, LINES[:700])
    run_until(Daemon(job_of(kafka.bootstrap, out, name)), 700)
    notices = fired(out)
    last = notices[-1]
    (start,), (end,) = last["start"].values(), last["end"].values()
    delete_records(kafka.bootstrap, name, {0: start["offset"]})
    assert offsets(kafka.bootstrap, name)[0][0] == start["offset"]
    assert computed_again(out, last).is_equal
    assert notices[0]["start"] != last["start"]
    told = rf"{name}\[0\]: \d+ records from offset \d+ on were deleted.*retention\.ms"
    with pytest.raises(ReproductionError, match=told):
        computed_again(out, notices[0])
    delete_records(kafka.bootstrap, name, {0: end["offset"]})
    with pytest.raises(ReproductionError, match=told):
        computed_again(out, last)
