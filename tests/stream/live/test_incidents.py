import json
import logging
import threading
from pathlib import Path

import pytest

from stream.errors import SinkError
from stream.live.incidents import Incidents
from stream.notices import Incident

OPEN_FILES = Path("/proc/self/fd")
SILENT = Incident("silent", "no_clicks", "no record for 10m", details={"quiet_ms": 600_000})


class ListSink:
    def __init__(self):
        self.records = []

    def write(self, record):
        self.records.append(record)


class BrokenSink:
    def write(self, record):
        raise SinkError("outputs.incidents.topic: the queue is full")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run" / "incidents.jsonl"


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_an_incident_is_a_line_with_the_time_of_day(path):
    incidents = Incidents(path, wall_clock_s=lambda: 1_767_225_600.25)
    incidents.report(SILENT)
    assert lines(path) == [
        {
            "seq": 0,
            "name": "no_clicks",
            "ts": "2026-01-01T00:00:00.250Z",
            "ts_ms": 1_767_225_600_250,
            "kind": "silent",
            "state": "firing",
            "severity": "warning",
            "text": "no record for 10m",
            "details": {"quiet_ms": 600_000},
        }
    ]


def test_lines_of_an_earlier_process_stay(path):
    for _ in range(2):
        Incidents(path).report(SILENT)
    assert [line["seq"] for line in lines(path)] == [0, 0]


@pytest.mark.parametrize(
    ("incident", "level", "text"),
    [
        (SILENT, logging.WARNING, "silent no_clicks is firing (warning): no record for 10m"),
        (
            Incident("stuck", "loop", "it comes round again", "page", is_resolved=True),
            logging.INFO,
            "stuck loop is resolved (page): it comes round again",
        ),
        (
            Incident("gap", "clicks/0", "3 records are gone", "info"),
            logging.INFO,
            "gap clicks/0 is firing (info): 3 records are gone",
        ),
    ],
)
def test_an_incident_is_logged_and_what_is_over_does_not_warn(path, caplog, incident, level, text):
    caplog.set_level(logging.INFO, "freshrank.incidents")
    Incidents(path).report(incident)
    assert [(record.levelno, record.message) for record in caplog.records] == [(level, text)]
    assert caplog.records[0].details == dict(incident.details)


def test_every_sink_is_handed_the_record_of_the_line(path):
    sinks = [ListSink(), ListSink()]
    Incidents(path, sinks).report(SILENT)
    assert [sink.records for sink in sinks] == [lines(path), lines(path)]


def test_a_sink_that_fails_is_logged_and_counted_and_keeps_nothing_from_the_others(path, caplog):
    sink = ListSink()
    incidents = Incidents(path, [BrokenSink(), sink])
    incidents.report(SILENT)
    assert "outputs.incidents.topic: the queue is full" in caplog.text
    assert (incidents.n_reported, incidents.n_failed) == (1, 1)
    assert sink.records == lines(path)


def test_a_sink_that_reports_in_turn_does_not_wait_for_itself(path):
    class TalkativeSink:
        def write(self, record):
            if record["kind"] == "silent":
                incidents.report(Incident("sink", "alerts", "the broker is away"))

    incidents = Incidents(path, [TalkativeSink()])
    incidents.report(SILENT)
    assert [line["kind"] for line in lines(path)] == ["silent", "sink"]


def test_a_full_disk_raises_nothing_and_is_logged_and_counted(caplog, path):
    path.parent.mkdir()
    path.symlink_to("/dev/full")
    incidents = Incidents(path)
    incidents.report(SILENT)
    assert incidents.n_failed == 1
    assert "No space left on device; make room or give access" in caplog.text
    assert "no record for 10m" in caplog.text


def test_a_folder_that_cannot_be_made_raises_nothing(tmp_path, caplog):
    (tmp_path / "run").write_text("a file")
    incidents = Incidents(tmp_path / "run" / "incidents.jsonl")
    incidents.report(SILENT)
    assert incidents.n_failed == 1
    assert "an incident is not written" in caplog.text


def test_half_a_line_of_a_crash_does_not_spoil_the_next_one(path):
    path.parent.mkdir()
    path.write_bytes(b'{"seq": 0, "na')
    Incidents(path).report(SILENT)
    half, whole = path.read_bytes().splitlines()
    assert half == b'{"seq": 0, "na'
    assert json.loads(whole)["name"] == "no_clicks"


def test_the_file_is_bounded_and_the_one_before_is_kept(path):
    incidents = Incidents(path, file_bytes=1000)
    for number in range(50):
        incidents.report(Incident("silent", f"rule_{number}", "x" * 50))
    before = path.with_name("incidents.1.jsonl")
    assert sorted(file.name for file in path.parent.iterdir()) == [before.name, path.name]
    assert path.stat().st_size <= 1000
    assert before.stat().st_size <= 1000
    seqs = [line["seq"] for file in (before, path) for line in lines(file)]
    assert seqs == list(range(seqs[0], 50))


@pytest.mark.parametrize(
    "details",
    [
        {"path": "\udcff"},
        {"n": 2**70},
        {"x": float("nan")},
        {"thing": object()},
        {"set": {1}},
        {("a", 1): 2},
    ],
    ids=["surrogate", "large", "nan", "object", "set", "key"],
)
def test_whatever_the_details_hold_there_is_a_line(path, details):
    sink = ListSink()
    incidents = Incidents(path, [sink])
    incidents.report(Incident("gap", "clicks/0", "caf\u00e9", details=details))
    assert lines(path)[0]["kind"] == "gap"
    assert incidents.n_failed == 0
    assert len(sink.records) == 1


def test_details_that_hold_themselves_are_told_as_far_as_they_go(path):
    details: dict[str, object] = {}
    details["again"] = details
    Incidents(path).report(Incident("gap", "clicks/0", "round and round", details=details))
    assert "again" in lines(path)[0]["details"]["repr"]


def test_a_clock_beyond_all_calendars_is_no_trouble(path):
    Incidents(path, wall_clock_s=lambda: 1e15).report(SILENT)
    assert (lines(path)[0]["ts"], lines(path)[0]["ts_ms"]) == ("", 10**18)


def test_many_threads_report_at_once_and_every_line_is_whole(path):
    sink = ListSink()
    incidents = Incidents(path, [sink])
    together = threading.Barrier(8)

    def report_some(name):
        together.wait(5)
        for _ in range(25):
            incidents.report(Incident("silent", name, "x" * 500))

    threads = [threading.Thread(target=report_some, args=(f"t{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert [line["seq"] for line in lines(path)] == list(range(200))
    assert [record["seq"] for record in sink.records] == list(range(200))
    assert incidents.n_reported == 200


def test_no_file_stays_open(path):
    n_before = len(list(OPEN_FILES.iterdir()))
    incidents = Incidents(path)
    for _ in range(5):
        incidents.report(SILENT)
    assert len(list(OPEN_FILES.iterdir())) == n_before
