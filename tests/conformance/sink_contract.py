"""What every sink promises: flushed records are kept, and a resume repeats none."""

import tempfile
from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream.protocols import Sink
from stream.values import Record


def record(seq):
    return {"seq": seq, "name": "recall@20", "total": seq / 8, "by": {"new": None, "ü": [1, 2]}}


class SinkContract:
    """`make(place)` opens the sink of a place; `read(place)` is what others see of it, in order.

    `crash(sink)` lets go of what the system takes back from a killed process, and writes nothing.
    """

    make: Callable[[Path], Sink]
    read: Callable[[Path], list[Record]]
    crash: Callable[[Sink], None]

    def test_flushed_records_are_seen_in_the_order_written(self, tmp_path):
        sink = self.make(tmp_path)
        for seq in (0, 1, 2):
            sink.write(record(seq))
        sink.flush()
        assert self.read(tmp_path) == [record(0), record(1), record(2)]
        sink.close()

    def test_flushed_records_survive_a_crash(self, tmp_path):
        sink = self.make(tmp_path)
        sink.write(record(0))
        sink.flush()
        sink.write(record(1))
        self.crash(sink)
        assert self.read(tmp_path)[:1] == [record(0)]

    def test_a_second_flush_changes_nothing(self, tmp_path):
        sink = self.make(tmp_path)
        sink.write(record(0))
        sink.flush()
        sink.flush()
        assert self.read(tmp_path) == [record(0)]
        sink.close()
        assert self.read(tmp_path) == [record(0)]

    def test_a_flush_without_records_writes_none(self, tmp_path):
        sink = self.make(tmp_path)
        sink.flush()
        assert self.read(tmp_path) == []
        sink.close()

    def test_a_record_may_be_changed_after_it_was_written(self, tmp_path):
        sink = self.make(tmp_path)
        changing = record(0)
        sink.write(changing)
        changing["seq"] = 99
        sink.flush()
        assert self.read(tmp_path) == [record(0)]
        sink.close()

    def test_a_fresh_sink_given_a_state_has_that_state(self, tmp_path):
        sink = self.make(tmp_path)
        sink.write(record(0))
        sink.flush()
        state = sink.state_dict()
        sink.close()
        resumed = self.make(tmp_path)
        resumed.load_state_dict(state)
        assert resumed.state_dict() == state
        resumed.close()
        assert self.read(tmp_path) == [record(0)]

    def test_a_state_has_a_schema_version(self, tmp_path):
        sink = self.make(tmp_path)
        assert isinstance(sink.state_dict()["schema_version"], int)
        sink.close()

    # Each implementation runs this test as its own: that is what a contract is for.
    @settings(
        max_examples=50, deadline=None, suppress_health_check=[HealthCheck.differing_executors]
    )
    @given(runs=st.lists(st.lists(st.sampled_from(["write", "flush", "save"])), max_size=5))
    def test_records_are_seen_once_however_often_the_run_crashed(self, runs):
        """Each run resumes from the last save and ends in a crash; the last one goes through."""
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            saved_state, saved_seq = None, 0
            for steps in [*runs, ["write", "write", "flush"]]:
                sink = self.make(place)
                if saved_state is not None:
                    sink.load_state_dict(saved_state)
                seq = saved_seq
                for step in steps:
                    if step == "write":
                        sink.write(record(seq))
                        seq += 1
                    else:
                        sink.flush()
                    if step == "save":
                        saved_state, saved_seq = sink.state_dict(), seq
                self.crash(sink)
            assert self.read(place) == [record(i) for i in range(seq)]
