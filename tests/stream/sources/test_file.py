import gzip
import io
import tempfile
import tracemalloc
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from stream.errors import SourceError, UsageError
from stream.events import Click
from stream.sources.batching import BatchConfig
from stream.sources.file import FileSource, FileSourceConfig
from stream.values import DeadLetter
from tests.conformance.source_contract import as_plain
from tests.files import (
    FOUR,
    collected,
    csv_file,
    items,
    letters,
    line,
    lines,
    merged_files,
    parquet_file,
    plain_file,
    row,
    without_ends,
    zstd_within_time_and_limit,
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def source(*names, batch_events=4, **config):
    return FileSource(FileSourceConfig(**config), names, BatchConfig(events=batch_events))


def test_the_same_events_are_the_same_in_every_packing(folder):
    rows = [row(i) for i in range(30)]
    data = b"".join(line(i) for i in range(30))
    (folder / "a.jsonl").write_bytes(data)
    (folder / "a.jsonl.gz").write_bytes(gzip.compress(data))
    (folder / "a.jsonl.zst").write_bytes(zstandard.compress(data))
    (folder / "a.csv").write_text(
        "\n".join([",".join(rows[0]), *(",".join(map(str, r.values())) for r in rows)])
    )
    (folder / "a.tsv").write_text((folder / "a.csv").read_text().replace(",", "\t"))
    pq.write_table(pa.Table.from_pylist(rows), "a.parquet")
    names = ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "a.csv", "a.tsv", "a.parquet"]
    first, *others = [without_ends(collected(source(name))) for name in names]
    assert len(first) == 8
    assert others == [first] * 5


@given(
    files=st.lists(st.lists(st.integers(0, 20)).map(sorted), min_size=1, max_size=4),
    batch_events=st.integers(1, 9),
)
def test_merged_files_are_the_stable_sort_of_their_events(files, batch_events):
    with tempfile.TemporaryDirectory() as name:
        paths = [Path(name) / f"{i}.jsonl" for i in range(len(files))]
        expected = []
        for number, (path, times) in enumerate(zip(paths, files, strict=True)):
            made = [row(100 * number + i, ts) for i, ts in enumerate(times)]
            path.write_bytes(b"".join(msgspec.json.encode(r) + b"\n" for r in made))
            expected += made
        expected.sort(key=lambda r: r["ts"])
        batches = collected(source(*map(str, paths), batch_events=batch_events))
    assert items(batches) == [r["item"] for r in expected]
    n_full, n_left = divmod(len(expected), batch_events)
    sizes = [batch_events] * n_full + [n_left] * (n_left > 0)
    assert [batch["n_records"] for batch in batches] == sizes


def test_batches_hold_256_records_unless_told(folder):
    (folder / "a.jsonl").write_bytes(b"".join(line(i) for i in range(600)))
    sizes = [b.n_records for b in FileSource(FileSourceConfig(), ["a.jsonl"]).batches(None)]
    assert sizes == [256, 256, 88]


def test_every_bad_record_is_named_and_the_stream_goes_on(folder):
    (folder / "a.jsonl").write_bytes(lines(19))
    batches = collected(source("a.jsonl"))
    assert sum(batch["n_records"] for batch in batches) == 19
    assert [(letter.origin, letter.reason[:20]) for letter in letters(batches)] == [
        ("a.jsonl:6", "JSON is malformed: o"),
        ("a.jsonl:12", "far future: ts 40000"),
        ("a.jsonl:13", "'utf-8' codec can't "),
    ]
    assert max(batch["watermark_ms"] for batch in batches) == 1170


def test_an_empty_file_has_no_batches(folder):
    for name in ("a.jsonl", "a.csv", "a.jsonl.gz", "a.jsonl.zst"):
        (folder / name).touch()
        assert collected(source(name)) == []
    (folder / "b.jsonl").write_bytes(b"\n \n\n")
    assert collected(source("b.jsonl")) == []


def test_a_last_line_without_a_newline_is_an_event_if_it_is_whole(folder):
    (folder / "a.jsonl").write_bytes(line(0) + line(1)[:-1])
    assert items(collected(source("a.jsonl"))) == ["i0", "i1"]
    (folder / "a.jsonl").write_bytes(line(0) + line(1)[:-2])
    (letter,) = letters(collected(source("a.jsonl")))
    assert (letter.origin, letter.reason) == ("a.jsonl:2", "Input data was truncated")


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.jsonl.zst"])
def test_after_a_truncated_file_the_others_go_on(folder, name):
    data = b"".join(line(i) for i in range(20_000))
    pack = gzip.compress if name.endswith("gz") else zstandard.compress
    (folder / name).write_bytes(pack(data)[:-1000])
    (folder / "b.jsonl").write_bytes(line(1, ts=90_000))
    batches = collected(source(name, "b.jsonl", batch_events=1000))
    (letter,) = letters(batches)
    n_good = len(items(batches)) - 1
    assert letter.origin == f"{name}:{n_good + 1}"
    assert letter.reason.startswith("truncated ")
    assert data.splitlines()[n_good].startswith(letter.raw)
    assert n_good > 1000
    assert items(batches) == [f"i{i}" for i in range(n_good)] + ["i1"]


def test_a_line_of_50_megabytes_is_never_held_whole(folder):
    with (folder / "a.jsonl").open("wb") as file:
        file.write(line(0))
        for _ in range(50):
            file.write(b"x" * 1_000_000)
        file.write(b"\n" + line(1))
    tracemalloc.start()
    batches = collected(source("a.jsonl"))
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert items(batches) == ["i0", "i1"]
    (letter,) = letters(batches)
    assert letter.reason == "line of 50000000 bytes is longer than max_line_bytes 1048576"
    assert peak_bytes < 10_000_000


def test_one_broken_clock_does_not_hide_what_follows(folder):
    broken = line(2, ts=4_000_000_000_000)
    (folder / "a.jsonl").write_bytes(line(0) + line(1) + broken + b"".join(map(line, range(3, 9))))
    batches = collected(source("a.jsonl", max_ahead="1d"))
    assert [batch["watermark_ms"] for batch in batches] == [1, 6, 8]
    (letter,) = letters(batches)
    assert letter.reason == "far future: ts 4000000000000 is more than 1d ahead of the stream"
    assert letter.raw == broken.strip()


def test_a_bad_record_is_merged_at_the_time_of_the_one_before(folder):
    (folder / "a.jsonl").write_bytes(line(0, ts=1) + line(1, ts=5) + b"{bad\n" + line(2, ts=9))
    (folder / "b.jsonl").write_bytes(line(3, ts=4) + line(4, ts=6))
    batches = collected(source("a.jsonl", "b.jsonl", batch_events=1))
    kinds = [batch["items"] or batch["dead_letters"][0].origin for batch in batches]
    assert kinds == [["i0"], ["i3"], ["i1"], "a.jsonl:3", ["i4"], ["i2"]]


def test_events_outside_the_time_asked_for_are_passed_by(folder):
    (folder / "a.jsonl").write_bytes(b"".join(line(i) for i in (5, 1, 7, 2, 3, 8, 4)))
    assert items(collected(source("a.jsonl", from_ms=2, until_ms=5))) == ["i2", "i3", "i4"]


def test_a_limit_counts_records_across_files_and_a_resume(folder):
    for name in "ab":
        (folder / f"{name}.jsonl").write_bytes(b"".join(line(i) for i in range(9)))
    names = ("a.jsonl", "b.jsonl")
    whole = collected(source(*names, limit=10))
    assert [batch["n_records"] for batch in whole] == [4, 4, 2]
    assert collected(source(*names, limit=10), whole[0]) == whole[1:]
    assert collected(source(*names, limit=10), whole[2]) == []
    assert len(items(collected(source(*names, limit=14), whole[2]))) == 4


@pytest.mark.parametrize("make", [plain_file, csv_file, zstd_within_time_and_limit, merged_files])
def test_records_are_those_of_the_batches(folder, make):
    source = make(folder)
    runs = list(source.records())
    batches = list(source.batches(None))
    assert [len(run) for run in runs] == [batch.n_records for batch in batches]
    for run, batch in zip(runs, batches, strict=True):
        believed = [e for e in run.entries if isinstance(e, DeadLetter) or e.ts < 4_000_000_000_000]
        events = [entry for entry in believed if not isinstance(entry, DeadLetter)]
        letters = [entry for entry in believed if isinstance(entry, DeadLetter)]
        clicks = sorted((e for e in events if isinstance(e, Click)), key=lambda e: e.ts)
        assert [click.item for click in clicks] == batch.clicks.item_B
        assert letters == [one for one in batch.dead_letters if "far future" not in one.reason]


def test_records_begin_anew_each_time_and_name_their_files(folder):
    (folder / "a.jsonl").write_bytes(line(0) + line(2))
    (folder / "b.jsonl").write_bytes(line(1))
    two = source("*.jsonl")
    for _ in range(2):
        (run,) = two.records()
        origins = [
            f"{two.paths[file]}:{number}"
            for file, number in zip(run.file_N, run.number_N, strict=True)
        ]
        assert origins == ["a.jsonl:1", "b.jsonl:1", "a.jsonl:2"]


def test_a_file_that_has_grown_goes_on_where_it_ended(folder):
    (folder / "a.jsonl").write_bytes(line(0) + line(1))
    last = collected(source("a.jsonl"))[-1]
    with (folder / "a.jsonl").open("ab") as file:
        file.write(line(2))
    assert items(collected(source("a.jsonl"), last)) == ["i2"]


def test_a_file_added_to_a_resume_is_read_from_its_start(folder):
    (folder / "a.jsonl").write_bytes(line(0) + line(1))
    (folder / "b.jsonl").write_bytes(line(2))
    last = collected(source("a.jsonl"))[-1]
    assert items(collected(source("a.jsonl", "b.jsonl"), last)) == ["i2"]


@pytest.mark.parametrize("make", [plain_file, csv_file, parquet_file])
def test_another_file_under_the_same_name_is_no_resume(folder, make):
    first = collected(make(folder))[0]
    (path,) = first["end"]
    changed = bytearray(Path(path).read_bytes())
    changed[20] ^= 1
    Path(path).write_bytes(changed)
    cursor = {path: {**first["end"][path]}}
    with pytest.raises(SourceError, match=r"its first bytes differ.*empty checkpoint.dir"):
        next(make_again(path).batches(cursor))


def make_again(path):
    return FileSource(FileSourceConfig(), [path], FOUR)


def test_a_shorter_file_is_no_resume(folder):
    data = line(0) + b"".join(line(i) for i in range(1, 200))
    (folder / "a.jsonl").write_bytes(data)
    last = collected(source("a.jsonl"))[-1]
    (folder / "a.jsonl").write_bytes(data[:5000])
    with pytest.raises(SourceError, match=r"a.jsonl: ends before byte \d+"):
        collected(source("a.jsonl"), last)


def test_a_file_that_is_not_given_again_is_no_resume(folder):
    (folder / "a.jsonl").write_bytes(line(0))
    (folder / "b.jsonl").write_bytes(line(0))
    last = collected(source("a.jsonl", "b.jsonl"))[-1]
    with pytest.raises(SourceError, match="the checkpoint goes on in it"):
        collected(source("a.jsonl"), last)


def test_a_position_of_another_kind_is_no_resume(folder):
    (folder / "a.jsonl").write_bytes(line(0))
    with pytest.raises(SourceError, match="is none of a file"):
        next(source("a.jsonl").batches({"a.jsonl": {"offset": 3}}))


def test_standard_input_is_read_once_and_never_resumed():
    def piped():
        stdin = io.BytesIO(b"".join(line(i) for i in range(5)))
        return FileSource(FileSourceConfig(), ["-"], FOUR, stdin=stdin)

    source = piped()
    batches = collected(source)
    assert items(batches) == ["i0", "i1", "i2", "i3", "i4"]
    assert source.total_bytes is None
    with pytest.raises(SourceError, match="cannot be read again"):
        collected(source)
    with pytest.raises(SourceError, match="standard input cannot be resumed; write it to a file"):
        collected(piped(), batches[0])


def test_standard_input_is_merged_with_files(folder):
    (folder / "a.jsonl").write_bytes(line(1) + line(3))
    stdin = io.BytesIO(line(0) + line(2))
    source = FileSource(FileSourceConfig(), ["a.jsonl", "-"], FOUR, stdin=stdin)
    assert items(collected(source)) == ["i0", "i1", "i2", "i3"]


@pytest.mark.parametrize("make", [plain_file, csv_file, parquet_file, zstd_within_time_and_limit])
def test_progress_reaches_the_size_on_disk(folder, make):
    source = make(folder)
    assert source.bytes_read == 0
    batches = collected(source)
    (path,) = batches[0]["end"]
    assert source.total_bytes == Path(path).stat().st_size == source.bytes_read
    collected(source, batches[1])
    assert source.bytes_read == source.total_bytes


class FakeTime:
    """A clock that only sleeping and working move."""

    def __init__(self):
        self.now_s = 100.0
        self.slept_s = []

    def clock(self):
        return self.now_s

    def sleep(self, seconds):
        self.slept_s.append(round(seconds, 6))
        self.now_s += seconds


def paced(name, time, speed):
    config = FileSourceConfig(speed=speed)
    return FileSource(config, [name], BatchConfig(events=1), clock=time.clock, sleep=time.sleep)


def test_events_are_paced_by_their_own_time(folder):
    times = [5000, 6000, 6000, 5500, 9000, 10_000]
    (folder / "a.jsonl").write_bytes(b"".join(line(i, ts) for i, ts in enumerate(times)))
    time = FakeTime()
    batches = []
    for batch in paced("a.jsonl", time, speed=2.0).batches(None):
        batches.append(as_plain(batch))
        time.now_s += 0.1  # the work of a batch is part of the time
    assert time.slept_s == [0.4, 1.2, 0.4]
    assert batches == collected(source("a.jsonl", batch_events=1))


def test_without_a_speed_nobody_looks_at_the_clock(folder):
    (folder / "a.jsonl").write_bytes(line(0) + line(1, ts=90_000))
    time = FakeTime()
    assert len(collected(paced("a.jsonl", time, speed=None))) == 2
    assert time.slept_s == []


@pytest.mark.parametrize("path", ["none.jsonl", ".", "a.xml", "a.csv"])
def test_what_cannot_be_read_is_refused_before_any_work(folder, path):
    (folder / "a.xml").touch()
    (folder / "a.csv").write_bytes(b"who,what,when\n")
    with pytest.raises(UsageError) as refused:
        source(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert refused.value.exit_status == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"map": {"usr": "visitorid"}}, "'usr' is no event field; known are type, user"),
        ({"type": "view"}, "type"),
        ({"speed": 0}, "speed"),
        ({"limit": 0}, "limit"),
        ({"max_ahead": "soon"}, "max_ahead"),
        ({"colour": 1}, "colour"),
    ],
)
def test_a_setting_that_cannot_be_used_is_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        FileSourceConfig.model_validate(settings)
