"""What every source promises.

An implementation joins in a line:

    class TestThing(SourceContract):
        make = staticmethod(make_thing)

`make` gets an empty or already filled folder and returns a fresh source; every call with the
same folder returns one over the same events. They must be finite, fill three batches at least
and hold clicks, other events and dead letters.
"""

from pathlib import Path
from typing import Any

import numpy as np

from stream.protocols import Source
from stream.values import Batch


class SourceContract:
    @staticmethod
    def make(folder: Path) -> Source:
        raise NotImplementedError

    def batches(self, folder: Path) -> list[Batch]:
        return list(self.make(folder).batches(None))

    def test_has_enough_to_be_judged(self, tmp_path):
        batches = self.batches(tmp_path)
        assert len(batches) >= 3
        assert sum(len(batch.clicks) for batch in batches) > 0
        assert sum(len(batch.others) for batch in batches) > 0
        assert sum(len(batch.dead_letters) for batch in batches) > 0

    def test_batches_are_numbered_without_gaps(self, tmp_path):
        batches = self.batches(tmp_path)
        assert [batch.seq for batch in batches] == list(range(len(batches)))

    def test_every_record_is_a_click_another_event_or_a_dead_letter(self, tmp_path):
        for batch in self.batches(tmp_path):
            n_kept = len(batch.clicks) + len(batch.others) + len(batch.dead_letters)
            assert batch.n_records == n_kept

    def test_clicks_are_columns_of_one_length_in_order_of_time(self, tmp_path):
        for batch in self.batches(tmp_path):
            clicks = batch.clicks
            assert len(clicks.user_B) == len(clicks.item_B) == len(clicks.ts_B)
            assert clicks.session_B is None or len(clicks.session_B) == len(clicks)
            assert clicks.ts_B.dtype == np.int64
            assert (np.diff(clicks.ts_B) >= 0).all()

    def test_other_events_are_in_order_of_time(self, tmp_path):
        for batch in self.batches(tmp_path):
            times = [event.ts for event in batch.others]
            assert times == sorted(times)

    def test_the_watermark_never_goes_back_nor_ahead_of_every_event(self, tmp_path):
        before_ms = largest_ms = 0
        for batch in self.batches(tmp_path):
            times = [*batch.clicks.ts_B.tolist(), *(event.ts for event in batch.others)]
            largest_ms = max([largest_ms, *times])
            assert before_ms <= batch.watermark_ms <= largest_ms
            before_ms = batch.watermark_ms
        assert before_ms > 0

    def test_two_readings_are_equal(self, tmp_path):
        first, second = self.batches(tmp_path), self.batches(tmp_path)
        assert [as_plain(batch) for batch in first] == [as_plain(batch) for batch in second]

    def test_a_resume_from_any_batch_equals_the_unbroken_reading(self, tmp_path):
        unbroken = [as_plain(batch) for batch in self.batches(tmp_path)]
        for i, batch in enumerate(self.batches(tmp_path)):
            resumed = self.make(tmp_path).batches(batch.end, batch.seq + 1, batch.watermark_ms)
            assert [as_plain(batch) for batch in resumed] == unbroken[i + 1 :]

    def test_a_position_is_plain_and_keeps_its_value_while_reading_goes_on(self, tmp_path):
        ends, copies = [], []
        for batch in self.make(tmp_path).batches(None):
            ends.append(batch.end)
            copies.append({name: dict(cursor) for name, cursor in batch.end.items()})
        assert ends == copies
        values = [value for end in ends for cursor in end.values() for value in cursor.values()]
        assert {type(value) for value in values} <= {int, str}

    def test_nothing_depends_on_acknowledge(self, tmp_path):
        source = self.make(tmp_path)
        plain = []
        for batch in source.batches(None):
            source.acknowledge(batch.end)
            plain.append(as_plain(batch))
        assert plain == [as_plain(batch) for batch in self.batches(tmp_path)]


def as_plain(batch: Batch) -> dict[str, Any]:
    """A batch as values that compare with `==`."""
    return {
        "seq": batch.seq,
        "n_records": batch.n_records,
        "users": batch.clicks.user_B,
        "items": batch.clicks.item_B,
        "ts": batch.clicks.ts_B.tolist(),
        "sessions": batch.clicks.session_B,
        "others": batch.others,
        "dead_letters": batch.dead_letters,
        "watermark_ms": batch.watermark_ms,
        "end": {name: dict(cursor) for name, cursor in batch.end.items()},
    }
