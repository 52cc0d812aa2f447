from pathlib import Path

import msgspec
import pytest

from stream.errors import ReproductionError
from stream.starts import STARTS_FILE, Start, note_start, read_starts

FIRST = Start("/work", ("a.jsonl",))


def at(n_records: int, **changes: object) -> Start:
    return msgspec.structs.replace(FIRST, records=n_records, **changes)


def noted(out: Path, *starts: Start) -> list[Start]:
    for start in starts:
        note_start(out, start, batch_records=10)
    return read_starts(out)


def test_a_folder_that_tells_of_no_start_has_none(tmp_path):
    assert read_starts(tmp_path) == []


def test_a_start_at_the_end_of_a_batch_reads_on_as_before_and_is_not_told(tmp_path):
    assert noted(tmp_path, FIRST, at(40), at(70)) == [FIRST]


def test_a_start_amid_a_batch_is_told_and_later_ones_go_by_it(tmp_path):
    assert noted(tmp_path, FIRST, at(43), at(63)) == [FIRST, at(43)]
    assert noted(tmp_path, at(70)) == [FIRST, at(43), at(70)]


@pytest.mark.parametrize(
    "change", [{"until_ms": 5}, {"paths": ("a.jsonl", "b.jsonl")}, {"folder": "/elsewhere"}]
)
def test_a_start_that_reads_otherwise_is_told(tmp_path, change):
    assert noted(tmp_path, FIRST, at(40, **change)) == [FIRST, at(40, **change)]


def test_starts_that_the_run_left_behind_it_are_forgotten(tmp_path):
    assert noted(tmp_path, FIRST, at(43), at(55), at(40)) == [FIRST]
    assert noted(tmp_path, at(43), FIRST) == [FIRST]


def test_the_list_does_not_grow_without_bound(tmp_path):
    (tmp_path / STARTS_FILE).write_bytes(msgspec.json.encode([at(11 * n) for n in range(1_000)]))
    kept = noted(tmp_path, at(20_003))
    assert (len(kept), kept[0], kept[-1]) == (1_000, at(11), at(20_003))


def test_a_file_that_was_changed_is_named(tmp_path):
    (tmp_path / STARTS_FILE).write_text("[{")
    with pytest.raises(ReproductionError, match=r"starts\.json: cannot be read"):
        read_starts(tmp_path)
