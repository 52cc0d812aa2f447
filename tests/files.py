"""Small files for tests of the file source: good lines, and something wrong here and there."""

import gzip

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from stream.sources.batching import BatchConfig
from stream.sources.file import FileSource, FileSourceConfig
from tests.conformance.source_contract import as_plain

FOUR = BatchConfig(events=4)


def row(i, ts=None):
    return {"type": "click", "user": f"u{i % 3}", "item": f"i{i}", "ts": i if ts is None else ts}


def line(i, ts=None):
    return msgspec.json.encode(row(i, ts)) + b"\n"


def lines(n):
    """Lines with something wrong, blank or out of order here and there."""
    made = [line(i, ts=1000 + 10 * i - 35 * (i % 5 == 4)) for i in range(n)]
    made[2] = b'{"type": "user", "user": 7, "ts": "1970-01-01T00:00:01.02Z"}\n'
    made[5] = b"{broken\n"
    made[6] = b"\n  \n" + made[6]
    made[9] = line(9, ts=4_000_000_000_000)
    made[10] = b"\xff" + made[10]
    return b"".join(made)


def plain_file(folder):
    (folder / "a.jsonl").write_bytes(lines(19))
    return FileSource(FileSourceConfig(), [str(folder / "a.jsonl")], FOUR)


def truncated_gzip(folder):
    (folder / "a.jsonl.gz").write_bytes(gzip.compress(lines(19), mtime=0)[:-30])
    return FileSource(FileSourceConfig(), [str(folder / "a.jsonl.gz")], FOUR)


def zstd_within_time_and_limit(folder):
    (folder / "a.ndjson.zst").write_bytes(zstandard.compress(lines(39)))
    config = FileSourceConfig(from_ms=1005, until_ms=1300, limit=23)
    return FileSource(config, [str(folder / "a.ndjson.zst")], FOUR)


def renamed_json(folder):
    data = lines(19).replace(b'"item"', b'"itemid"').replace(b'"ts"', b'"when"')
    (folder / "a.json").write_bytes(data)
    config = FileSourceConfig(map={"item": "itemid", "ts": "when"})
    return FileSource(config, [str(folder / "a.json")], FOUR)


def csv_file(folder):
    rows = [f"click,u{i % 3},i{i},{1000 - i % 4}\r\n" for i in range(19)]
    rows[3] = "user,u1,,1001\n"
    rows[4] = 'click,"u\n\n1",i4,1001\n'
    rows[7] = "click,u1\n\n"
    (folder / "a.csv").write_bytes(("type,user,item,ts\n" + "".join(rows)).encode())
    return FileSource(FileSourceConfig(), [str(folder / "a.csv")], FOUR)


def parquet_file(folder):
    rows = [row(i) for i in range(19)]
    rows[3] = {"type": "user", "user": "u1", "item": None, "ts": 2}
    rows[5]["item"] = None
    pq.write_table(pa.Table.from_pylist(rows), folder / "a.parquet", row_group_size=7)
    return FileSource(FileSourceConfig(), [str(folder / "a.parquet")], FOUR)


def merged_files(folder):
    plain_file(folder)
    csv_file(folder)
    (folder / "b.jsonl.gz").write_bytes(gzip.compress(lines(11), mtime=0)[:-20])
    (folder / "c.jsonl").write_bytes(b"")
    (folder / "d.jsonl").write_bytes(b"{broken first\n" + lines(11))
    names = ["a.jsonl", "a.csv", "?.jsonl.gz", "c.jsonl", "d.jsonl"]
    config = FileSourceConfig(until_ms=1170, limit=50)
    return FileSource(config, [str(folder / name) for name in names], FOUR)


def collected(source, start=None):
    """Each batch as values that compare."""
    if start is None:
        return [as_plain(batch) for batch in source.batches(None)]
    rest = source.batches(start["end"], start["seq"] + 1, start["watermark_ms"])
    return [as_plain(batch) for batch in rest]


def without_ends(batches):
    return [{name: value for name, value in b.items() if name != "end"} for b in batches]


def letters(batches):
    return [letter for batch in batches for letter in batch["dead_letters"]]


def items(batches):
    return [item for batch in batches for item in batch["items"]]
