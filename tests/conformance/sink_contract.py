"""What every sink promises: records are seen once and in order, whenever the run crashed."""

import copy
import tempfile
from collections.abc import Callable
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from stream.protocols import Sink
from stream.values import Record


def record(seq):
    return {"seq": seq, "name": "recall@20", "total": seq / 8, "by": {"new": None, "ü": [1, 2]}}


class SinkContract:
    """`make(place)` opens the sink of a place; `read(place)` is what others see of it, in order.

    `crash(sink)` lets go of what the system takes back from a killed process, and writes nothing.
    A sink that is slow to open may ask for fewer `examples` of runs.
    """

    make: Callable[[Path], Sink]
    read: Callable[[Path], list[Record]]
    crash: Callable[[Sink], None]
    examples = 50

    def saved(self, sink):
        """The state as a checkpoint takes it: flushed before, and copied."""
        sink.flush()
        return copy.deepcopy(sink.state_dict())

    def resumed(self, place, state):
        sink = self.make(place)
        sink.load_state_dict(copy.deepcopy(state))
        return sink

    def test_records_are_seen_in_the_order_written(self, tmp_path):
        sink = self.make(tmp_path)
        for seq in (0, 1, 2):
            sink.write(record(seq))
        sink.flush()
        sink.close()
        assert self.read(tmp_path) == [record(0), record(1), record(2)]

    def test_closing_needs_no_flush_before(self, tmp_path):
        sink = self.make(tmp_path)
        sink.write(record(0))
        sink.close()
        assert self.read(tmp_path) == [record(0)]

    def test_flushed_records_survive_a_crash_on_disk_or_in_the_state(self, tmp_path):
        sink = self.make(tmp_path)
        sink.write(record(0))
        state = self.saved(sink)
        self.crash(sink)
        self.resumed(tmp_path, state).close()
        assert self.read(tmp_path) == [record(0)]

    def test_records_after_the_state_are_seen_once_when_they_are_written_again(self, tmp_path):
        sink = self.make(tmp_path)
        sink.write(record(0))
        state = self.saved(sink)
        sink.write(record(1))
        sink.flush()
        sink.write(record(2))
        self.crash(sink)
        sink = self.resumed(tmp_path, state)
        for seq in (1, 2, 3):
            sink.write(record(seq))
        sink.close()
        assert self.read(tmp_path) == [record(seq) for seq in range(4)]

    def test_a_second_flush_changes_nothing(self, tmp_path):
        sink = self.make(tmp_path)
        sink.write(record(0))
        sink.flush()
        sink.flush()
        sink.close()
        assert self.read(tmp_path) == [record(0)]

    def test_a_flush_without_records_writes_none(self, tmp_path):
        sink = self.make(tmp_path)
        sink.flush()
        sink.close()
        assert self.read(tmp_path) == []

    def test_a_record_may_be_changed_after_it_was_written(self, tmp_path):
        sink = self.make(tmp_path)
        changing = record(0)
        sink.write(changing)
        changing["seq"] = 99
        sink.flush()
        sink.close()
        assert self.read(tmp_path) == [record(0)]

    def test_a_fresh_sink_given_a_state_has_that_state(self, tmp_path):
        sink = self.make(tmp_path)
        sink.write(record(0))
        state = self.saved(sink)
        self.crash(sink)
        resumed = self.resumed(tmp_path, state)
        assert resumed.state_dict() == state
        resumed.close()
        assert self.read(tmp_path) == [record(0)]

    def test_a_state_has_a_schema_version(self, tmp_path):
        sink = self.make(tmp_path)
        assert isinstance(sink.state_dict()["schema_version"], int)
        sink.close()

    def test_records_are_seen_once_however_often_the_run_crashed(self):
        """Each run resumes from the last save and ends in a crash; the last one goes through.

        It repeats every record that was written before, as a loop does: what was seen cannot be
        taken back everywhere.
        """

        @settings(max_examples=self.examples, deadline=None)
        @given(runs=st.lists(st.lists(st.sampled_from(["write", "flush", "save"])), max_size=5))
        def check(runs):
            with tempfile.TemporaryDirectory() as folder:
                place = Path(folder)
                state, saved_seq, n_records = None, 0, 0
                for run in [*runs, None]:
                    sink = self.make(place) if state is None else self.resumed(place, state)
                    seq = saved_seq
                    repeated = ["write"] * (n_records + 2 - seq)
                    for step in [*repeated, "save"] if run is None else run:
                        if step == "write":
                            sink.write(record(seq))
                            seq += 1
                        elif step == "flush":
                            sink.flush()
                        else:
                            state, saved_seq = self.saved(sink), seq
                    self.crash(sink)
                    n_records = max(n_records, seq)
                self.resumed(place, state).close()
                assert self.read(place) == [record(i) for i in range(n_records)]

        check()
