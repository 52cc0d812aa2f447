import datetime as dt

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stream.errors import SourceError, UsageError
from stream.events import Click, Impression, Item
from stream.sources.inputs import find_inputs
from stream.sources.parquet_file import ParquetReader
from stream.sources.reader import Place, ReaderSettings
from stream.sources.records import joined


def reader(path, table, row_group_size=None, **settings):
    pq.write_table(pa.table(table), path, row_group_size=row_group_size)
    return ParquetReader(find_inputs([str(path)])[0], ReaderSettings(**settings))


def entries(path, table, **options):
    return joined(list(reader(path, table, **options).read(0, Place()))).entries


def test_columns_become_clicks(tmp_path):
    columns = {
        "visitorid": [1, 2],
        "item": pa.array(["a", "b"]).dictionary_encode(),
        "ts": [5, 6],
        "session": ["s", None],
        "colour": ["red", "blue"],
    }
    got = entries(tmp_path / "x.parquet", columns, columns={"user": "visitorid"})
    assert got == [Click("1", "a", 5, session="s"), Click("2", "b", 6)]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Berlin"])
def test_timestamps_are_milliseconds_since_the_epoch(tmp_path, unit, zone):
    ts = pa.array([1_700_000_000], pa.timestamp("s")).cast(pa.timestamp(unit, zone))
    (click,) = entries(tmp_path / "x.parquet", {"user": ["u"], "item": ["i"], "ts": ts})
    assert click.ts == 1_700_000_000_000


def test_dates_are_their_first_millisecond(tmp_path):
    columns = {"user": ["u"], "item": ["i"], "ts": [dt.date(1970, 1, 2)]}
    assert entries(tmp_path / "x.parquet", columns)[0].ts == 86_400_000


def test_nested_columns_are_lists_and_objects(tmp_path):
    columns = {
        "type": ["impression", "item"],
        "request_id": ["r", None],
        "user": ["u", None],
        "items": [["a", "b"], None],
        "propensities": [[0.5, 0.5], None],
        "item": [None, "i"],
        "attributes": pa.array([None, [("colour", "red")]], pa.map_(pa.string(), pa.string())),
        "ts": [1, 2],
    }
    assert entries(tmp_path / "x.parquet", columns) == [
        Impression("r", "u", ["a", "b"], 1, [0.5, 0.5]),
        Item("i", 2, attributes={"colour": "red"}),
    ]


def test_a_bad_row_is_buried_with_its_number_and_its_fields(tmp_path):
    path = tmp_path / "x.parquet"
    columns = {"user": ["u", None, "v"], "item": ["a", "b", "c"], "ts": [1.0, 2.0, float("nan")]}
    good, nameless, timeless = entries(path, columns)
    assert good == Click("u", "a", 1)
    assert nameless.origin == f"{path}:2"
    assert nameless.reason == "Object missing required field `user`"
    assert nameless.raw == b'{"item":"b","ts":2.0,"type":"click"}'
    assert timeless.reason == "Expected a finite number, got nan - at `$.ts`"


@pytest.mark.parametrize("row_group_size", [1, 2, 100])
def test_a_bad_row_has_the_time_of_the_one_before(tmp_path, row_group_size):
    columns = {"user": ["u", None, None, "u", None], "item": ["i"] * 5, "ts": [5, 9, 8, 3, 7]}
    source = reader(tmp_path / "x.parquet", columns, row_group_size=row_group_size)
    assert joined(list(source.read(0, Place()))).ts_N.tolist() == [5, 5, 5, 3, 3]


def test_text_that_is_no_utf8_is_buried_alone(tmp_path):
    user = pa.Array.from_buffers(
        pa.string(), 2, [None, pa.array([0, 1, 2], pa.int32()).buffers()[1], pa.py_buffer(b"u\xff")]
    )
    columns = {"user": user, "item": ["a", "b"], "ts": [1, 2]}
    good, bad = entries(tmp_path / "x.parquet", columns)
    assert good == Click("u", "a", 1)
    assert "got `bytes` - at `$.user`" in bad.reason


@pytest.mark.parametrize("row", [0, 1, 9, 10, 11, 25, 29, 30])
def test_reading_goes_on_after_any_row(tmp_path, row):
    columns = {"user": ["u"] * 30, "item": ["i"] * 30, "ts": list(range(30))}
    source = reader(tmp_path / "x.parquet", columns, row_group_size=10)
    runs = list(source.read(0, Place(row, row + 1)))
    times = joined(runs).ts_N.tolist() if runs else []
    assert times == list(range(row, 30))
    ends = joined(runs).end_N.tolist() if runs else []
    assert ends == list(range(row + 1, 31))


def test_a_place_past_the_end_is_an_error(tmp_path):
    source = reader(tmp_path / "x.parquet", {"user": ["u"], "item": ["i"], "ts": [1]})
    with pytest.raises(SourceError, match="ends before row 5"):
        list(source.read(0, Place(5, 6)))


def test_progress_reaches_the_size_of_the_file(tmp_path):
    path = tmp_path / "x.parquet"
    source = reader(path, {"user": ["u"] * 9, "item": ["i"] * 9, "ts": [1] * 9})
    list(source.read(0, Place()))
    assert source.bytes_read == path.stat().st_size


def test_an_empty_table_has_no_records(tmp_path):
    columns = {name: pa.array([], pa.string()) for name in ("user", "item", "ts")}
    assert list(reader(tmp_path / "x.parquet", columns).read(0, Place())) == []


def test_missing_columns_are_refused_before_any_work(tmp_path):
    with pytest.raises(UsageError, match="has no column user, item; its columns are ts"):
        reader(tmp_path / "x.parquet", {"ts": [1]})


def test_a_file_that_is_no_parquet_is_refused_before_any_work(tmp_path):
    path = tmp_path / "x.parquet"
    path.write_bytes(b"PAR1, but no more")
    with pytest.raises(UsageError, match="is no readable Parquet file"):
        ParquetReader(find_inputs([str(path)])[0], ReaderSettings())


def test_a_damaged_page_ends_the_file_with_one_dead_letter(tmp_path):
    path = tmp_path / "x.parquet"
    columns = {"user": ["u"] * 20, "item": [f"item {i}" for i in range(20)], "ts": [1] * 20}
    source = reader(path, columns, row_group_size=10)
    data = bytearray(path.read_bytes())
    meta = pq.read_metadata(path).row_group(1).column(0)
    start = meta.dictionary_page_offset or meta.data_page_offset
    data[start : start + meta.total_compressed_size] = b"\xff" * meta.total_compressed_size
    path.write_bytes(data)
    whole = joined(list(source.read(0, Place())))
    assert len(whole) == 11
    assert whole.entries[10].origin == f"{path}:11"
    assert whole.entries[10].reason.startswith("corrupt Parquet file: ")
    end = Place(int(whole.end_N[-1]), int(whole.next_number_N[-1]))
    assert list(source.read(0, end)) == []
    again = joined(list(source.read(0, Place(10, 11))))
    assert again.entries == whole.entries[10:]


def test_a_file_that_vanished_is_a_source_error(tmp_path):
    source = reader(tmp_path / "x.parquet", {"user": ["u"], "item": ["i"], "ts": [1]})
    (tmp_path / "x.parquet").unlink()
    with pytest.raises(SourceError, match="cannot be read any more"):
        list(source.read(0, Place()))
