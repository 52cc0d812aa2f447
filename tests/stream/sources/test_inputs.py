import pytest

from stream.errors import SourceError, UsageError
from stream.sources.inputs import Input, find_inputs, fingerprint


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("b.jsonl", "a.ndjson.gz", "c.CSV.zst", "d.tsv", "e.json", "f.parquet", "g.xml"):
        (tmp_path / name).write_bytes(b"12345")
    (tmp_path / "days").mkdir()
    (tmp_path / "days" / "1.jsonl").touch()
    return tmp_path


def test_a_file_is_known_by_its_name(folder):
    names = ["b.jsonl", "a.ndjson.gz", "c.CSV.zst", "d.tsv", "e.json", "f.parquet", "-"]
    assert find_inputs(names) == (
        Input("b.jsonl", "jsonl", None, 5),
        Input("a.ndjson.gz", "jsonl", "gzip", 5),
        Input("c.CSV.zst", "csv", "zstd", 5),
        Input("d.tsv", "tsv", None, 5),
        Input("e.json", "jsonl", None, 5),
        Input("f.parquet", "parquet", None, 5),
        Input("-", "jsonl", None, None),
    )


def test_a_glob_is_sorted_and_passes_folders_by(folder):
    (folder / "days.jsonl").mkdir()
    (folder / "a.jsonl").touch()
    found = find_inputs(["**/*.jsonl", "d.tsv"])
    assert [each.path for each in found] == ["a.jsonl", "b.jsonl", "days/1.jsonl", "d.tsv"]


def test_a_name_with_brackets_that_exists_is_no_glob(folder):
    (folder / "[x].jsonl").touch()
    assert find_inputs(["[x].jsonl"])[0].path == "[x].jsonl"


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        ([], "no input; name files"),
        (["none.jsonl"], "none.jsonl: no such file"),
        (["days"], r"days: is a directory; give files or a glob such as days/\*.jsonl"),
        (["*.log"], r"\*.log: matches no file"),
        (["g.xml"], "g.xml: unknown extension; known are .jsonl, .ndjson"),
        (["f.parquet", "./f.parquet", "f.parquet"], "f.parquet: is given twice"),
    ],
)
def test_a_path_that_cannot_be_used_is_refused_by_name(folder, paths, message):
    with pytest.raises(UsageError, match=message):
        find_inputs(paths)


@pytest.mark.parametrize("name", ["f.parquet.gz", "noextension", "x.gz"])
def test_an_extension_that_is_not_known_is_refused(folder, name):
    (folder / name).touch()
    with pytest.raises(UsageError, match="unknown extension"):
        find_inputs([name])


def test_a_file_that_may_not_be_read_is_refused(folder):
    (folder / "b.jsonl").chmod(0)
    try:
        (folder / "b.jsonl").read_bytes()
    except PermissionError:
        with pytest.raises(UsageError, match="cannot be read: Permission denied"):
            find_inputs(["b.jsonl"])
    else:
        pytest.skip("this user may read every file")


def test_a_file_that_grew_keeps_its_fingerprint_and_one_that_changed_does_not(folder):
    (found,) = find_inputs(["b.jsonl"])
    before = fingerprint(found)
    assert before.startswith("5:")
    (folder / "b.jsonl").write_bytes(b"1234567")
    assert fingerprint(found, like=before) == before
    assert fingerprint(found) != before
    (folder / "b.jsonl").write_bytes(b"x234567")
    assert fingerprint(found, like=before) != before


def test_a_fingerprint_covers_four_kibibytes_at_most(folder):
    (folder / "b.jsonl").write_bytes(b"x" * 10_000)
    assert fingerprint(Input("b.jsonl", "jsonl")).startswith("4096:")


def test_a_file_that_vanished_is_a_source_error(folder):
    with pytest.raises(SourceError, match="cannot be read"):
        fingerprint(Input("gone.jsonl", "jsonl"))
