import json
import math
import os
import resource
from pathlib import Path

import pytest

from stream.errors import SinkError
from stream.reporting.json_lines import JsonLines
from stream.sinks.jsonl import JsonlSink
from stream.sinks.segments import FilesConfig
from tests.conformance.sink_contract import SinkContract, record
from tests.fakes_sinks import LateSink, ListSink


def read_lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


class TestJsonlSink(SinkContract):
    def make(self, place):
        return JsonlSink(place / "metrics.jsonl")

    def read(self, place):
        return read_lines(place / "metrics.jsonl")

    def crash(self, sink):
        if sink._file is not None:
            sink._file.close()


class TestSegmentedSink(TestJsonlSink):
    """Some two records a segment; all are kept."""

    def make(self, place):
        files = FilesConfig.model_construct(segment_bytes=200, max_bytes=None)
        return JsonlSink(place / "metrics.jsonl", files=files)

    def read(self, place):
        return list(JsonLines(place / "metrics.jsonl"))


class TestListSink(SinkContract):
    sink_class = ListSink

    def setup_method(self):
        self.stores = {}

    def make(self, place):
        return self.sink_class(self.stores.setdefault(place, []))

    def read(self, place):
        return self.stores[place]

    def crash(self, sink):
        pass


class TestLateSink(TestListSink):
    sink_class = LateSink


@pytest.fixture
def path(tmp_path):
    return tmp_path / "out" / "metrics.jsonl"


def test_keys_keep_their_order(path):
    sink = JsonlSink(path)
    sink.write({"z": 1, "a": {"y": 0.1, "b": None}})
    sink.close()
    assert path.read_bytes() == b'{"z":1,"a":{"y":0.1,"b":null}}\n'


def test_a_fresh_start_empties_the_file(path):
    path.parent.mkdir()
    path.write_text("of another run\n")
    sink = JsonlSink(path)
    assert path.read_text() == "of another run\n"
    sink.write(record(0))
    sink.close()
    assert read_lines(path) == [record(0)]


def test_a_fresh_start_without_records_empties_the_file_too(path):
    path.parent.mkdir()
    path.write_text("of another run\n")
    sink = JsonlSink(path)
    sink.flush()
    sink.close()
    assert path.read_bytes() == b""


def test_a_sink_that_was_never_used_touches_nothing(path):
    path.parent.mkdir()
    path.write_text("of another run\n")
    JsonlSink(path).close()
    assert path.read_text() == "of another run\n"


def test_the_state_is_as_of_the_last_flush(path):
    sink = JsonlSink(path)
    sink.write(record(0))
    sink.flush()
    n_bytes = path.stat().st_size
    sink.write(record(1))
    assert sink.state_dict() == {
        "schema_version": 2,
        "segment": 0,
        "bytes": n_bytes,
        "records": 1,
    }
    sink.close()


def test_half_a_line_after_the_flush_is_cut_off(path):
    sink = JsonlSink(path)
    sink.write(record(0))
    sink.flush()
    state = sink.state_dict()
    with path.open("a") as file:
        file.write('{"seq": 1, "na')
    resumed = JsonlSink(path)
    resumed.load_state_dict(state)
    assert read_lines(path) == [record(0)]
    sink.close()
    resumed.close()


def test_a_long_run_without_flush_does_not_gather_in_memory(path):
    sink = JsonlSink(path)
    for seq in range(20_000):
        sink.write(record(seq))
    assert path.stat().st_size >= 1 << 20
    assert (sink.state_dict()["bytes"], sink.state_dict()["records"]) == (0, 0)
    sink.close()
    assert [line["seq"] for line in read_lines(path)] == list(range(20_000))


def test_a_shorter_file_than_recorded_is_refused_and_kept(path):
    path.parent.mkdir()
    path.write_text("{}\n")
    with pytest.raises(SinkError, match=r"has 3 bytes, the checkpoint knows 30: .* put it back"):
        JsonlSink(path).load_state_dict({"schema_version": 1, "bytes": 30, "records": 2})
    assert path.read_text() == "{}\n"


def test_another_file_under_the_same_name_is_refused_and_kept(path):
    path.parent.mkdir()
    path.write_text('{"seq":0,"name":"mine"}\n')
    with pytest.raises(SinkError, match=r"no line that ends at byte 9, .* it was replaced"):
        JsonlSink(path).load_state_dict({"schema_version": 1, "bytes": 9, "records": 1})
    assert path.read_text() == '{"seq":0,"name":"mine"}\n'


def test_a_missing_file_is_refused_on_a_resume(path):
    with pytest.raises(SinkError, match="has 0 bytes, the checkpoint knows 30"):
        JsonlSink(path).load_state_dict({"schema_version": 1, "bytes": 30, "records": 2})


def test_a_full_disk_is_told_with_path_and_reason(path):
    sink = JsonlSink(path)
    sink.flush()
    # The system's own full device takes the place of the open file.
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, sink._file.fileno())
    os.close(full)
    sink.write(record(0))
    with pytest.raises(SinkError, match=r"metrics\.jsonl cannot be written: No space left"):
        sink.flush()
    with pytest.raises(SinkError, match="No space left"):
        sink.close()


def test_records_that_found_no_room_are_written_by_a_later_flush(path):
    sink = JsonlSink(path)
    for seq in range(2_000):
        sink.write(record(seq))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(SinkError, match="File too large"):
            sink.flush()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.stat().st_size == 100_000
    sink.close()
    assert read_lines(path) == [record(seq) for seq in range(2_000)]


def test_a_flush_asks_the_system_to_sync(path):
    sink = JsonlSink(path)
    sink.flush()
    # A pipe takes writes, but cannot be synced.
    reading, writing = os.pipe()
    os.dup2(writing, sink._file.fileno())
    sink.write(record(0))
    with pytest.raises(SinkError, match="cannot be written: Invalid argument"):
        sink.flush()
    assert sink.state_dict()["records"] == 0
    sink._file.close()
    os.close(reading)
    os.close(writing)


def test_a_place_that_cannot_be_written_to_is_told():
    with pytest.raises(SinkError, match=r"/proc/out/metrics\.jsonl cannot be opened: "):
        JsonlSink(Path("/proc/out/metrics.jsonl")).flush()


def test_non_finite_numbers_become_null(path):
    sink = JsonlSink(path)
    sink.write({"seq": 0, "name": "ctr", "total": math.nan, "worst": math.inf})
    sink.close()
    assert read_lines(path) == [{"seq": 0, "name": "ctr", "total": None, "worst": None}]


def test_an_encoder_of_ones_own_makes_the_lines(path):
    sink = JsonlSink(path, encode=lambda record: record["name"].encode())
    sink.write(record(0))
    sink.write({"name": "ctr"})
    sink.close()
    assert path.read_bytes() == b"recall@20\nctr\n"


def test_a_state_from_before_there_were_segments_is_gone_on_from(path):
    path.parent.mkdir()
    path.write_text("{}\nmore")
    sink = JsonlSink(path, files=FilesConfig())
    sink.load_state_dict({"schema_version": 1, "bytes": 3, "records": 1})
    sink.write({"seq": 1})
    sink.close()
    assert path.read_text() == '{}\n{"seq":1}\n'
    assert sink.state_dict() == {"schema_version": 2, "segment": 0, "bytes": 13, "records": 2}
