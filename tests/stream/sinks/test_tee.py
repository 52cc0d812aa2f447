import pytest

from stream.errors import SinkError
from stream.sinks.jsonl import JsonlSink
from stream.sinks.tee import Tee
from tests.conformance.sink_contract import SinkContract, record
from tests.fakes_sinks import LateSink, ListSink
from tests.stream.sinks.test_jsonl import read_lines


class TestTee(SinkContract):
    def setup_method(self):
        self.topics = {}

    def make(self, place):
        topic = self.topics.setdefault(place, [])
        return Tee(file=JsonlSink(place / "a.jsonl"), topic=LateSink(topic))

    def read(self, place):
        path = place / "a.jsonl"
        lines = read_lines(path) if path.exists() else []
        assert self.topics[place] == lines
        return lines

    def crash(self, sink):
        file = sink._sinks["file"]._file
        if file is not None:
            file.close()


class FullSink(ListSink):
    def close(self):
        super().close()
        raise SinkError("the disk is full")


def test_an_output_that_was_switched_on_since_starts_fresh():
    lines, copies = [], ["of another run"]
    alone = Tee(file=ListSink(lines))
    alone.write(record(0))
    alone.flush()
    both = Tee(file=ListSink(lines), copy=ListSink(copies))
    both.load_state_dict(alone.state_dict())
    both.write(record(1))
    both.close()
    assert (lines, copies) == ([record(0), record(1)], [record(1)])


def test_an_output_that_was_switched_off_and_on_again_goes_on_where_it_was(tmp_path):
    both = Tee(file=JsonlSink(tmp_path / "a.jsonl"), copy=JsonlSink(tmp_path / "b.jsonl"))
    both.write(record(0))
    both.flush()
    alone = Tee(file=ListSink([]))
    alone.load_state_dict(both.state_dict())
    both.close()
    again = Tee(file=ListSink([]), copy=JsonlSink(tmp_path / "b.jsonl"))
    again.load_state_dict(alone.state_dict())
    again.write(record(1))
    again.close()
    assert read_lines(tmp_path / "b.jsonl") == [record(0), record(1)]


def test_an_output_that_was_switched_off_since_is_left_as_it_was():
    lines, copies = [], []
    both = Tee(file=ListSink(lines), copy=ListSink(copies))
    both.write(record(0))
    both.flush()
    alone = Tee(file=ListSink(lines))
    alone.load_state_dict(both.state_dict())
    alone.write(record(1))
    alone.close()
    assert (lines, copies) == ([record(0), record(1)], [record(0)])


def test_every_sink_is_closed_whatever_another_one_raises():
    first, second = [], []
    tee = Tee(a=FullSink(first), b=FullSink(second))
    tee.write(record(0))
    with pytest.raises(SinkError, match="the disk is full"):
        tee.close()
    assert first == second == [record(0)]
