import gzip
import io

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from stream.errors import SourceError
from stream.sources import blocks
from stream.sources.blocks import Blocks
from stream.sources.inputs import find_inputs

DATA = b"".join(b"%d,%d\n" % (i, i * i) for i in range(5000))
PACK = {
    "x.jsonl": bytes,
    "x.jsonl.gz": lambda data: gzip.compress(data, mtime=0),
    "x.jsonl.zst": zstandard.compress,
}


def written(path, data):
    path.write_bytes(data)
    return Blocks(find_inputs([str(path)])[0])


@pytest.fixture(params=sorted(PACK))
def name(request):
    return request.param


@pytest.mark.parametrize("block_bytes", [1, 7, 1000, 1 << 18])
def test_every_byte_comes_whatever_the_size_of_a_block(tmp_path, monkeypatch, name, block_bytes):
    monkeypatch.setattr(blocks, "BLOCK_BYTES", block_bytes)
    read = written(tmp_path / name, PACK[name](DATA))
    assert b"".join(read.read()) == DATA
    assert read.fault is None
    assert read.bytes_read == (tmp_path / name).stat().st_size


@pytest.mark.parametrize("offset", [0, 1, 777, len(DATA) - 1, len(DATA)])
def test_reading_goes_on_from_an_offset(tmp_path, name, offset):
    assert b"".join(written(tmp_path / name, PACK[name](DATA)).read(offset)) == DATA[offset:]


def test_an_offset_past_the_end_is_an_error_that_says_what_to_do(tmp_path, name):
    read = written(tmp_path / name, PACK[name](DATA))
    with pytest.raises(SourceError, match=r"ends before byte \d+.*give the same file again"):
        list(read.read(len(DATA) + 1))


def test_an_empty_file_has_no_block_and_no_fault(tmp_path, name):
    read = written(tmp_path / name, b"")
    assert list(read.read()) == []
    assert read.fault is None


@pytest.mark.parametrize("name", ["x.jsonl.gz", "x.jsonl.zst"])
def test_parts_end_to_end_are_one_stream(tmp_path, name):
    pack = PACK[name]
    read = written(tmp_path / name, pack(b"one\n") + pack(b"") + pack(b"two\n" * 9999))
    assert b"".join(read.read()) == b"one\n" + b"two\n" * 9999
    assert read.fault is None


def test_zeros_after_a_gzip_member_are_padding(tmp_path):
    read = written(tmp_path / "x.jsonl.gz", gzip.compress(DATA) + b"\0" * 700)
    assert b"".join(read.read()) == DATA
    assert read.fault is None


@given(cut=st.integers(1, 500))
@pytest.mark.parametrize("name", ["x.jsonl.gz", "x.jsonl.zst"])
def test_a_truncated_stream_gives_what_it_has_and_says_so(tmp_path_factory, name, cut):
    whole = PACK[name](DATA)
    read = written(tmp_path_factory.mktemp("cut") / name, whole[:-cut])
    got = b"".join(read.read())
    assert DATA.startswith(got)
    assert read.fault.startswith("truncated")


@pytest.mark.parametrize("name", ["x.jsonl.gz", "x.jsonl.zst"])
def test_one_byte_past_a_break_nothing_is_left_to_tell(tmp_path, name):
    read = written(tmp_path / name, PACK[name](DATA)[:-5])
    n_bytes = len(b"".join(read.read()))
    assert list(read.read(n_bytes)) == []
    assert read.fault.startswith("truncated")
    assert list(read.read(n_bytes + 1)) == []
    assert read.fault is None
    with pytest.raises(SourceError, match="ends before byte"):
        list(read.read(n_bytes + 2))


@pytest.mark.parametrize("name", ["x.jsonl.gz", "x.jsonl.zst"])
def test_a_corrupt_stream_says_so(tmp_path, name):
    read = written(tmp_path / name, PACK[name](DATA) + b"no header at all")
    assert DATA.startswith(b"".join(read.read()))
    assert read.fault.startswith("corrupt")


@pytest.mark.parametrize("name", ["x.jsonl.gz", "x.jsonl.zst"])
def test_a_small_file_that_unpacks_to_a_large_one_comes_in_small_blocks(tmp_path, name):
    read = written(tmp_path / name, PACK[name](bytes(50_000_000)))
    sizes = [len(block) for block in read.read()]
    assert sum(sizes) == 50_000_000
    assert max(sizes) < 5_000_000


def test_standard_input_is_read_as_it_comes():
    read = Blocks(find_inputs(["-"])[0], io.BytesIO(DATA))
    assert b"".join(read.read()) == DATA


def test_a_file_that_vanished_is_a_source_error(tmp_path):
    read = written(tmp_path / "x.jsonl", DATA)
    (tmp_path / "x.jsonl").unlink()
    with pytest.raises(SourceError, match="cannot be read: No such file"):
        list(read.read())
