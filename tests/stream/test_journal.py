import contextlib
import os
import resource
import tempfile
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.errors import JournalError
from stream.journal import Entry, Journal, Range, read_entries

TS_MS = 1_700_000_000_000
# One entry of `entry_of` fills a segment of this size, two of them one of twice the size.
SMALL_BYTES = 120


def entry_of(seq: int) -> Entry:
    """An entry of a size of its own; each byte of it counts."""
    ranges = {f"clicks/{n}": Range(f"{seq:032x}", 10 * seq, 10 * seq + 10, TS_MS) for n in range(2)}
    return Entry(seq, ranges, TS_MS + seq, is_backlog=seq % 2 == 1)


def written(folder: Path, n_entries: int, segment_bytes: int = 1 << 20) -> list[Entry]:
    """Write entries 0, 1, 2, ... and close the journal; the entries."""
    entries = [entry_of(seq) for seq in range(n_entries)]
    journal = Journal(folder, segment_bytes)
    for entry in entries:
        journal.append(entry)
    journal.close()
    return entries


def segments(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def seqs(journal: Journal, from_seq: int = 0) -> list[int]:
    return [entry.seq for entry in journal.entries(from_seq)]


# What goes in comes out


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text(max_size=8)
    # Settings hold no nan: JSON has none.
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
OFFSETS = st.integers(0, 2**63 - 1)
RANGES = st.builds(Range, topic_id=st.text(max_size=32), start=OFFSETS, stop=OFFSETS, ts_ms=OFFSETS)
CONTENTS = st.tuples(
    st.dictionaries(st.text(max_size=12), RANGES, max_size=3),
    OFFSETS,
    st.booleans(),
    st.lists(st.dictionaries(st.text(max_size=5), JSON, max_size=2), max_size=2).map(tuple),
)


@given(
    contents=st.lists(CONTENTS, max_size=12),
    first_seq=st.integers(0, 10**13),
    segment_bytes=st.sampled_from([1, 200, 1 << 20]),
    reopened_at=st.sets(st.integers(0, 12)),
)
@settings(deadline=None, max_examples=60)
def test_what_was_appended_is_read_whatever_the_segments_and_however_often_it_is_reopened(
    contents, first_seq, segment_bytes, reopened_at
):
    entries = [Entry(seq, *content) for seq, content in enumerate(contents, first_seq)]
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder), segment_bytes)
        for number, entry in enumerate(entries):
            if number in reopened_at:
                journal.close()
                journal = Journal(Path(folder), segment_bytes)
            journal.append(entry)
        journal.close()
        for number in range(len(entries) + 1):
            assert list(journal.entries(first_seq + number)) == entries[number:]
        assert journal.next_seq == (first_seq + len(entries) if entries else None)


def test_an_empty_journal_has_no_entries_and_no_number(tmp_path):
    journal = Journal(tmp_path / "made" / "on the way")
    assert (journal.next_seq, seqs(journal)) == (None, [])


def test_entries_lie_in_segments_named_by_their_first(tmp_path):
    written(tmp_path, 5, SMALL_BYTES)
    names = [path.name for path in segments(tmp_path)]
    assert names == [f"{seq:012d}.jsonl" for seq in range(5)]
    assert [seqs(Journal(tmp_path), from_seq) for from_seq in (0, 3, 5)] == [
        [0, 1, 2, 3, 4],
        [3, 4],
        [],
    ]


def test_a_killed_process_loses_nothing_that_was_appended(tmp_path):
    journal = Journal(tmp_path)
    for seq in range(3):
        journal.append(entry_of(seq))  # neither synced nor closed: the process ends here
    assert list(Journal(tmp_path).entries(0)) == [entry_of(seq) for seq in range(3)]
    journal.close()


def test_a_reopened_journal_goes_on_in_its_last_segment(tmp_path):
    written(tmp_path, 3)
    journal = Journal(tmp_path)
    assert journal.next_seq == 3
    journal.append(entry_of(3))
    journal.close()
    assert [path.name for path in segments(tmp_path)] == ["000000000000.jsonl"]
    assert seqs(journal) == [0, 1, 2, 3]


def test_other_files_in_the_folder_are_left_alone(tmp_path):
    names = ("notes.jsonl", "000000000000.jsonl.bak", "7.jsonl")
    for name in names:
        (tmp_path / name).write_text("mine")
    written(tmp_path, 3, SMALL_BYTES)
    Journal(tmp_path).prune(2)
    assert [(tmp_path / name).read_text() for name in names] == ["mine"] * 3
    assert seqs(Journal(tmp_path), 2) == [2]


# Numbers


@pytest.mark.parametrize("seq", [0, 2, 4, 100])
def test_an_entry_that_does_not_follow_is_refused_and_nothing_is_written(tmp_path, seq):
    written(tmp_path, 3)
    before = segments(tmp_path)[0].read_bytes()
    journal = Journal(tmp_path)
    with pytest.raises(JournalError, match=rf"entry {seq} does not follow 2; the journal belongs"):
        journal.append(entry_of(seq))
    assert segments(tmp_path)[0].read_bytes() == before
    journal.append(entry_of(3))
    journal.close()
    assert seqs(journal) == [0, 1, 2, 3]


def test_the_first_entry_of_all_may_have_any_number(tmp_path):
    journal = Journal(tmp_path)
    journal.append(entry_of(41))
    with pytest.raises(JournalError, match="entry 41 does not follow 41"):
        journal.append(entry_of(41))
    journal.close()
    assert [path.name for path in segments(tmp_path)] == ["000000000041.jsonl"]


# Torn and damaged


@pytest.mark.parametrize("segment_bytes", [1 << 20, SMALL_BYTES], ids=["amid", "begins-segment"])
def test_an_entry_torn_at_any_byte_is_cut_off_and_written_again(tmp_path, segment_bytes):
    whole = tmp_path / "whole"
    entries = written(whole, 4, segment_bytes)
    last = segments(whole)[-1]
    data = last.read_bytes()
    start = data.rstrip(b"\n").rfind(b"\n") + 1
    for n_left in range(start, len(data)):
        folder = tmp_path / str(n_left)
        written(folder, 4, segment_bytes)
        os.truncate(folder / last.name, n_left)
        journal = Journal(folder, segment_bytes)
        assert list(journal.entries(0)) == entries[:3]
        assert journal.next_seq == 3
        journal.append(entries[3])
        journal.close()
        assert [path.read_bytes() for path in segments(folder)] == [
            path.read_bytes() for path in segments(whole)
        ]


def test_what_lies_behind_a_torn_entry_is_seen_before_it_is_opened_too(tmp_path):
    """A reader that only looks, as a command does, sees whole entries alone."""
    written(tmp_path, 2)
    journal = Journal(tmp_path)
    with segments(tmp_path)[0].open("ab") as file:
        file.write(b'0badf00d {"seq":2')
    assert seqs(journal) == [0, 1]
    journal.close()


def test_a_damaged_entry_amid_a_segment_is_named_whichever_byte_it_is(tmp_path):
    folder = tmp_path / "journal"
    written(folder, 4)
    path = segments(folder)[0]
    data = path.read_bytes()
    first, second = data.split(b"\n")[:2]
    for place in range(len(first) + 1, len(first) + 1 + len(second) + 1):
        damaged = bytearray(data)
        damaged[place] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(JournalError, match=rf"{path.name}:2: is damaged; .* put the file back"):
            Journal(folder)
        assert path.read_bytes() == damaged


def test_a_damaged_entry_of_an_earlier_segment_is_named_when_it_is_needed(tmp_path):
    written(tmp_path, 3, SMALL_BYTES)
    damaged = segments(tmp_path)[1]
    damaged.write_bytes(damaged.read_bytes().replace(b"clicks", b"cl1cks"))
    journal = Journal(tmp_path)
    assert seqs(journal, from_seq=2) == [2]
    for from_seq in (0, 1):
        with pytest.raises(JournalError, match=rf"{damaged.name}:1: is damaged"):
            seqs(journal, from_seq)


def test_only_the_last_segment_may_end_in_a_torn_entry(tmp_path):
    written(tmp_path, 3, SMALL_BYTES)
    torn = segments(tmp_path)[1]
    os.truncate(torn, torn.stat().st_size - 1)
    with pytest.raises(JournalError, match=rf"{torn.name}:1: is damaged"):
        seqs(Journal(tmp_path))


def test_entries_whose_numbers_jump_are_damaged(tmp_path):
    written(tmp_path, 4)
    path = segments(tmp_path)[0]
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[2] + lines[3])
    with pytest.raises(JournalError, match=rf"{path.name}:2: is damaged"):
        Journal(tmp_path)


def test_a_segment_under_another_name_is_refused(tmp_path):
    written(tmp_path, 3)
    segments(tmp_path)[0].rename(tmp_path / "000000000007.jsonl")
    with pytest.raises(JournalError, match=r"000000000007\.jsonl: begins with entry 0"):
        seqs(Journal(tmp_path))


def test_a_segment_that_is_missing_between_others_is_told(tmp_path):
    written(tmp_path, 4, SMALL_BYTES)
    segments(tmp_path)[1].unlink()
    journal = Journal(tmp_path)
    assert seqs(journal, from_seq=2) == [2, 3]
    for from_seq in (0, 1):
        with pytest.raises(JournalError, match=r"0002\.jsonl: the entries 1 to 1 before it are"):
            seqs(journal, from_seq)


@pytest.mark.parametrize("n_left", [0, 1])
def test_a_segment_that_lost_its_last_entries_is_told(tmp_path, n_left):
    written(tmp_path, 6, 2 * SMALL_BYTES)
    path = segments(tmp_path)[1]
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:n_left]))
    gone = rf"0004\.jsonl: the entries {2 + n_left} to 3 before it are gone"
    with pytest.raises(JournalError, match=gone):
        seqs(Journal(tmp_path))


def test_entries_that_were_pruned_are_not_passed_by(tmp_path):
    written(tmp_path, 3, SMALL_BYTES)
    journal = Journal(tmp_path)
    journal.prune(1)
    assert seqs(journal, from_seq=1) == [1, 2]
    with pytest.raises(JournalError, match=r"0001\.jsonl: the entries 0 to 0 before it are gone"):
        seqs(journal)


def test_a_whole_entry_of_another_release_is_refused_and_kept(tmp_path):
    written(tmp_path, 1)
    path = segments(tmp_path)[0]
    text = b'{"seq":"one"}'
    data = path.read_bytes() + b"%08x %s\n" % (zlib.crc32(text), text)
    path.write_bytes(data)
    with pytest.raises(JournalError, match=rf"{path.name}:2: is whole, but no entry .*`int`"):
        Journal(tmp_path)
    assert path.read_bytes() == data


# Pruning


@pytest.mark.parametrize("first_needed_seq", range(8))
def test_pruning_keeps_what_is_needed_and_goes_on(tmp_path, first_needed_seq):
    entries = written(tmp_path, 6, 2 * SMALL_BYTES)
    assert [path.name[-7:-6] for path in segments(tmp_path)] == ["0", "2", "4"]
    journal = Journal(tmp_path, 2 * SMALL_BYTES)
    journal.prune(first_needed_seq)
    assert list(journal.entries(first_needed_seq)) == entries[first_needed_seq:]
    assert len(segments(tmp_path)) == max(1, 3 - first_needed_seq // 2)
    journal.append(entry_of(6))
    journal.close()
    assert seqs(Journal(tmp_path), 6) == [6]


@pytest.mark.parametrize(
    ("spared", "left"),
    [
        ([], ["4"]),
        ([range(1, 2)], ["0", "4"]),
        ([range(2, 4)], ["2", "4"]),
        ([range(3)], ["0", "2", "4"]),
        ([range(4, 4)], ["4"]),
    ],
)
def test_pruning_keeps_what_is_spared_and_what_follows_a_hole_can_be_read(tmp_path, spared, left):
    entries = written(tmp_path, 6, 2 * SMALL_BYTES)
    journal = Journal(tmp_path, 2 * SMALL_BYTES)
    journal.prune(5, spared)
    assert [path.name[-7:-6] for path in segments(tmp_path)] == left
    assert list(journal.entries(4)) == entries[4:]
    if left == ["0", "4"]:
        with pytest.raises(JournalError, match="the entries 2 to 3 before it are gone"):
            seqs(journal, from_seq=1)


def test_a_journal_is_read_while_another_process_writes_it(tmp_path):
    written(tmp_path, 3)
    path = segments(tmp_path)[0]
    torn = path.read_bytes() + b"0badc0de {"
    path.write_bytes(torn)
    assert [entry.seq for entry in read_entries(tmp_path, 1)] == [1, 2]
    assert path.read_bytes() == torn


# Disks that are full, and folders that are none


@contextlib.contextmanager
def files_of_at_most(n_bytes: int) -> Iterator[None]:
    """Let no file of this process grow longer, as if the disk were full amid a write."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_an_entry_that_the_disk_takes_in_part_is_an_error_and_is_cut_off_at_the_next_start(
    tmp_path,
):
    entries = written(tmp_path, 3)
    path = segments(tmp_path)[0]
    whole = path.stat().st_size
    journal = Journal(tmp_path)
    with (
        files_of_at_most(whole + 20),
        pytest.raises(JournalError, match=r"cannot be written: .*make room .* and start again"),
    ):
        journal.append(entry_of(3))
    assert journal.next_seq == 3
    journal.close()
    restarted = Journal(tmp_path)
    assert path.stat().st_size == whole
    restarted.append(entry_of(3))
    restarted.close()
    assert list(restarted.entries(0)) == [*entries, entry_of(3)]


def test_an_entry_that_the_disk_took_in_part_may_be_tried_again(tmp_path):
    entries = written(tmp_path, 3)
    path = segments(tmp_path)[0]
    journal = Journal(tmp_path)
    with files_of_at_most(path.stat().st_size + 20), pytest.raises(JournalError):
        journal.append(entry_of(3))
    journal.append(entry_of(3))
    journal.append(entry_of(4))
    journal.close()
    assert list(Journal(tmp_path).entries(0)) == [*entries, entry_of(3), entry_of(4)]


def test_a_segment_that_cannot_be_begun_may_be_tried_again(tmp_path):
    journal = Journal(tmp_path, SMALL_BYTES)
    journal.append(entry_of(0))
    obstacle = tmp_path / "000000000001.jsonl"
    obstacle.mkdir()
    with pytest.raises(JournalError, match="cannot be written: Is a directory"):
        journal.append(entry_of(1))
    journal.sync()
    obstacle.rmdir()
    journal.append(entry_of(1))
    journal.close()
    assert seqs(Journal(tmp_path)) == [0, 1]


def test_a_folder_that_is_gone_is_told(tmp_path):
    folder = tmp_path / "journal"
    written(folder, 1)
    journal = Journal(folder)
    folder.rename(tmp_path / "elsewhere")
    with pytest.raises(JournalError, match="journal cannot be read: No such file"):
        seqs(journal)
    with pytest.raises(JournalError, match="journal cannot be pruned: No such file"):
        journal.prune(1)


def test_a_full_disk_is_an_error_that_names_the_folder_and_the_reason(tmp_path):
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full, the disk that is always full")
    journal = Journal(tmp_path)
    (tmp_path / "000000000000.jsonl").symlink_to("/dev/full")
    with pytest.raises(JournalError, match=rf"{tmp_path} cannot be written: No space left"):
        journal.append(entry_of(0))
    assert journal.next_seq is None
    journal.close()


def test_a_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "journal").write_text("")
    with pytest.raises(JournalError, match="journal cannot be opened: File exists"):
        Journal(tmp_path / "journal")


# On disk


class Disk:
    """Counts what is put on disk, and puts it there."""

    def __init__(self) -> None:
        self._fsync = os.fsync
        self.synced: list[str] = []

    def fsync(self, file: int) -> None:
        descriptor = file if isinstance(file, int) else file.fileno()
        self.synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        self._fsync(file)


@pytest.fixture
def disk(monkeypatch) -> Disk:
    if not Path("/proc/self/fd").exists():
        pytest.skip("needs /proc to tell which file a descriptor is of")
    disk = Disk()
    monkeypatch.setattr("stream.journal.os.fsync", disk.fsync)
    return disk


def test_sync_writes_to_disk_once_for_all_that_came_since(tmp_path, disk):
    journal = Journal(tmp_path)
    for seq in range(3):
        journal.append(entry_of(seq))
    disk.synced.clear()
    journal.sync()
    journal.sync()
    assert disk.synced == ["000000000000.jsonl"]
    journal.append(entry_of(3))
    journal.close()
    journal.close()
    assert disk.synced == ["000000000000.jsonl"] * 2


def test_a_segment_is_on_disk_before_the_next_one_begins(tmp_path, disk):
    journal = Journal(tmp_path, SMALL_BYTES)
    journal.append(entry_of(0))
    disk.synced.clear()
    journal.append(entry_of(1))
    assert disk.synced == ["000000000000.jsonl", tmp_path.name]
    journal.close()


def test_what_a_killed_process_had_not_put_on_disk_is_there_when_it_was_opened_again(
    tmp_path, disk
):
    journal = Journal(tmp_path)
    journal.append(entry_of(0))
    disk.synced.clear()
    Journal(tmp_path)
    assert disk.synced == ["000000000000.jsonl"]
    journal.close()


def test_others_may_sync_and_prune_while_entries_are_appended(tmp_path):
    n_entries, kept = 400, 50
    journal = Journal(tmp_path, 4 * SMALL_BYTES)
    is_over = threading.Event()
    problems: list[BaseException] = []
    n_synced = [0]

    def look_after() -> None:
        try:
            while not is_over.is_set():
                journal.sync()
                journal.prune((journal.next_seq or 0) - kept)
                n_synced[0] += 1
        except (JournalError, OSError, ValueError) as err:
            problems.append(err)

    other = threading.Thread(target=look_after)
    other.start()
    for seq in range(n_entries):
        journal.append(entry_of(seq))
    is_over.set()
    other.join()
    journal.close()
    assert problems == []
    assert n_synced[0] > 0
    expected = [entry_of(seq) for seq in range(n_entries - kept, n_entries)]
    assert list(Journal(tmp_path).entries(n_entries - kept)) == expected


def test_a_segment_that_another_puts_on_disk_is_not_closed_meanwhile(tmp_path, disk):
    journal = Journal(tmp_path, SMALL_BYTES)
    journal.append(entry_of(0))
    has_begun, may_end = threading.Event(), threading.Event()
    problems: list[BaseException] = []
    put_on_disk = disk.fsync

    def slow_fsync(file: int) -> None:
        if threading.current_thread() is syncing:
            has_begun.set()
            may_end.wait(timeout=10)
        put_on_disk(file)

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except (JournalError, OSError, ValueError) as err:
            problems.append(err)

    syncing = threading.Thread(target=guarded, args=(journal.sync,))
    appending = threading.Thread(target=guarded, args=(lambda: journal.append(entry_of(1)),))
    with pytest.MonkeyPatch.context() as patching:
        patching.setattr("stream.journal.os.fsync", slow_fsync)
        syncing.start()
        assert has_begun.wait(timeout=10)
        appending.start()
        appending.join(timeout=0.1)  # time enough to begin the next segment, if it could
        may_end.set()
        syncing.join()
        appending.join()
    journal.close()
    assert problems == []
    assert seqs(Journal(tmp_path)) == [0, 1]


def test_an_entry_is_a_line_with_its_checksum(tmp_path):
    written(tmp_path, 1)
    checksum, text = segments(tmp_path)[0].read_bytes().rstrip(b"\n").split(b" ", 1)
    assert int(checksum, 16) == zlib.crc32(text)
    assert text.startswith(b'{"seq":0,"ranges":{"clicks/0":["",0,10,1700000000000],')
    assert text.endswith(b',"topic_ids":{"clicks":"00000000000000000000000000000000"}}')


def test_an_id_is_in_an_entry_once_however_many_partitions_moved(tmp_path):
    ranges = {f"clicks/{n}": Range("9f" * 16, 10 * n, 10 * n + 7, TS_MS) for n in range(500)}
    entry = Entry(0, ranges, TS_MS)
    journal = Journal(tmp_path)
    journal.append(entry)
    journal.close()
    assert segments(tmp_path)[0].read_bytes().count(b"9f" * 16) == 1
    assert list(journal.entries(0)) == [entry]


@pytest.mark.parametrize(
    "ids", [("9f", "9f"), ("9f", "77"), ("9f", ""), ("", "9f"), ("", "")], ids=str
)
def test_each_range_keeps_its_own_id(tmp_path, ids):
    ranges = {f"clicks/{n}": Range(topic_id, 0, 7, TS_MS) for n, topic_id in enumerate(ids)}
    entry = Entry(0, ranges | {"views/0": Range("4c", 0, 7, TS_MS)}, TS_MS)
    journal = Journal(tmp_path)
    journal.append(entry)
    assert list(journal.entries(0)) == [entry]
    journal.close()


def test_a_journal_written_with_the_id_in_every_range_is_read(tmp_path):
    text = b'{"seq":0,"ranges":{"clicks/0":["9f",0,5,7],"clicks/1":["9f",3,4,8]},"watermark_ms":7}'
    path = tmp_path / "000000000000.jsonl"
    path.write_bytes(b"%08x %s\n" % (zlib.crc32(text), text))
    journal = Journal(tmp_path, settings={"max_ahead": 1})
    ranges = {"clicks/0": Range("9f", 0, 5, 7), "clicks/1": Range("9f", 3, 4, 8)}
    assert list(journal.entries(0)) == [Entry(0, ranges, 7)]
    assert journal.last_settings is None
    journal.append(Entry(1, {}, 9))
    assert [entry.settings for entry in journal.entries(0)] == [None, {"max_ahead": 1}]
    journal.close()


# Settings


def told(folder: Path, from_seq: int = 0) -> list[tuple[int, object]]:
    """The entries that bear settings, and which."""
    found = Journal(folder).entries(from_seq)
    return [(entry.seq, entry.settings) for entry in found if entry.settings is not None]


def go_on(folder: Path, seqs_to_write: range, settings: object, segment_bytes: int = 1 << 20):
    """One process: it opens the journal, and appends."""
    journal = Journal(folder, segment_bytes, settings)
    for seq in seqs_to_write:
        journal.append(entry_of(seq))
    journal.close()


def test_settings_are_in_the_first_entry_and_where_they_change(tmp_path):
    go_on(tmp_path, range(3), {"max_ahead": 1})
    go_on(tmp_path, range(3, 5), {"max_ahead": 1})
    go_on(tmp_path, range(5, 7), {"max_ahead": 2})
    assert told(tmp_path) == [(0, {"max_ahead": 1}), (5, {"max_ahead": 2})]
    assert Journal(tmp_path).last_settings == {"max_ahead": 2}


@pytest.mark.parametrize("from_seq", [1, 3, 4])
def test_who_reads_from_amid_a_segment_learns_its_settings_first(tmp_path, from_seq):
    go_on(tmp_path, range(5), {"max_ahead": 1})
    assert told(tmp_path, from_seq) == [(from_seq, {"max_ahead": 1})]
    assert told(tmp_path, 5) == []


def test_settings_outlive_the_segment_they_were_first_told_in(tmp_path):
    go_on(tmp_path, range(6), {"max_ahead": 1}, segment_bytes=3 * SMALL_BYTES)
    Journal(tmp_path).prune(3)
    assert len(segments(tmp_path)) == 2
    first_seq, _ = told(tmp_path, 3)[0]
    assert first_seq == 3
    assert Journal(tmp_path).last_settings == {"max_ahead": 1}


def test_settings_of_a_torn_entry_are_told_again(tmp_path):
    go_on(tmp_path, range(2), {"max_ahead": 1})
    go_on(tmp_path, range(2, 3), {"max_ahead": 2})
    path = segments(tmp_path)[0]
    os.truncate(path, path.stat().st_size - 1)
    assert Journal(tmp_path).last_settings == {"max_ahead": 1}
    go_on(tmp_path, range(2, 3), {"max_ahead": 2})
    assert told(tmp_path) == [(0, {"max_ahead": 1}), (2, {"max_ahead": 2})]
