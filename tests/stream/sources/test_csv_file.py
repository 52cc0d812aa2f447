import gzip

import pytest

from stream.errors import UsageError
from stream.events import Click, Feedback, Impression, User
from stream.sources.csv_file import CsvReader
from stream.sources.inputs import find_inputs
from stream.sources.reader import Place, ReaderSettings
from stream.sources.records import joined
from stream.values import DeadLetter


def reader(path, data, **settings):
    path.write_bytes(data)
    return CsvReader(find_inputs([str(path)])[0], ReaderSettings(**settings))


def entries(path, data, **settings):
    runs = list(reader(path, data, **settings).read(0, Place()))
    return joined(runs).entries if runs else []


def test_ids_are_kept_as_written(tmp_path):
    data = b"user,item,ts\n007,1.50,5\nTrue,null,6\n"
    assert entries(tmp_path / "x.csv", data) == [Click("007", "1.50", 5), Click("True", "null", 6)]


def test_an_empty_cell_is_a_missing_field(tmp_path):
    data = b"user,item,ts,session\nu,i,5,\nu,,5,s\n"
    click, letter = entries(tmp_path / "x.csv", data)
    assert click == Click("u", "i", 5)
    path = tmp_path / "x.csv"
    reason = "Object missing required field `item`"
    assert letter == DeadLetter(f"{path}:3", reason, b"u,,5,s")


def test_tabs_separate_the_cells_of_a_tsv(tmp_path):
    data = b"user\titem\tts\na,b\tc\t5\n"
    assert entries(tmp_path / "x.tsv", data) == [Click("a,b", "c", 5)]


def test_columns_can_have_other_names(tmp_path):
    data = b"\xef\xbb\xbfvisitorid,itemid,timestamp,event\n1,2,3,view\n"
    columns = {"user": "visitorid", "item": "itemid", "ts": "timestamp"}
    assert entries(tmp_path / "x.csv", data, columns=columns) == [Click("1", "2", 3)]


def test_times_are_numbers_or_iso(tmp_path):
    data = b"user,item,ts\nu,i,5.9\nu,i,1970-01-01T00:00:01Z\nu,i,soon\nu,i,99999999999999999999\n"
    first, second, third, fourth = entries(tmp_path / "x.csv", data)
    assert (first.ts, second.ts) == (5, 1000)
    assert third.reason == "Expected milliseconds or ISO 8601, got 'soon' - at `$.ts`"
    assert fourth.reason.startswith("Expected `int` <= ")


def test_a_type_column_tells_events_apart(tmp_path):
    data = (
        b"type,request_id,user,item,items,propensities,kind,value,attributes,ts\n"
        b'impression,r,u,,"[""a"",""b""]","[0.5,0.25]",,,,1\n'
        b"feedback,,u,a,,,rating,4.5,,2\n"
        b'user,,u,,,,,,"{""age"": 3}",3\n'
        b",,u,a,,,,,,4\n"
        b"impression,r,u,,a b,,,,,5\n"
        b"feedback,,u,a,,,rating,good,,6\n"
        b"feedback,,u,a,,,rating,nan,,7\n"
    )
    *good, shown, rated, lost = entries(tmp_path / "x.csv", data)
    assert good == [
        Impression("r", "u", ["a", "b"], 1, [0.5, 0.25]),
        Feedback("u", "a", 2, "rating", 4.5),
        User("u", 3, attributes={"age": 3}),
        Click("u", "a", 4),
    ]
    assert shown.reason == "Expected `array`, got `str` - at `$.items`"
    assert rated.reason == "Expected `float | null`, got `str` - at `$.value`"
    assert lost.reason == "Expected a finite number, got nan - at `$.value`"


def test_a_malformed_row_is_buried_with_its_line(tmp_path):
    path = tmp_path / "x.csv"
    data = b'user,item,ts\nu,"i\nj",5\nu\nu,k,6\n'
    good, bad, last = entries(path, data)
    assert good == Click("u", "i\nj", 5)
    assert bad == DeadLetter(f"{path}:4", "Expected 3 cells, got 1", b"u")
    assert last == Click("u", "k", 6)


@pytest.mark.parametrize("chunk_records", [1, 2, 100])
def test_a_bad_row_has_the_time_of_the_one_before(tmp_path, chunk_records):
    data = b"user,item,ts\nu,i,5\nu,,9\nu\nu,i,3\nu\n"
    source = reader(tmp_path / "x.csv", data, chunk_records=chunk_records)
    assert joined(list(source.read(0, Place()))).ts_N.tolist() == [5, 5, 5, 3, 3]


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_reading_goes_on_after_any_row(tmp_path, pack):
    data = pack(b'user,item,ts\nu,"i\n\nj",5\n\nu\nu,k,6\nu,l,7')
    path = tmp_path / ("x.csv" if pack is bytes else "x.csv.gz")
    source = reader(path, data)
    whole = joined(list(source.read(0, Place())))
    assert len(whole) == 4
    for i in range(4):
        place = Place(int(whole.end_N[i]), int(whole.next_number_N[i]), int(whole.ts_N[i]))
        runs = list(source.read(0, place))
        rest = joined(runs).entries if runs else []
        assert rest == whole.entries[i + 1 :]


@pytest.mark.parametrize("data", [b"", b"user,item,ts\n", b"user,item,ts"])
def test_a_file_without_rows_has_no_records(tmp_path, data):
    assert entries(tmp_path / "x.csv", data) == []


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"visitor,item,ts\n", "has no column user; its columns are visitor, item, ts; .*--map"),
        (b'"user,item,ts\n', "its header cannot be read: unexpected end of data"),
        (b"user\xff,item,ts\n", "its header cannot be read: 'utf-8'"),
        (b"user" * 9000 + b"\n", "its header cannot be read: line of 36000 bytes"),
    ],
)
def test_a_header_that_cannot_be_used_is_refused_before_any_work(tmp_path, data, message):
    with pytest.raises(UsageError, match=message):
        reader(tmp_path / "x.csv", data, max_line_bytes=5000)
