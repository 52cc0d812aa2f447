import pytest

from stream.sources import blocks
from tests.conformance.source_contract import SourceContract
from tests.files import (
    collected,
    csv_file,
    merged_files,
    parquet_file,
    plain_file,
    renamed_json,
    truncated_gzip,
    zstd_within_time_and_limit,
)


class TestPlainFile(SourceContract):
    make = staticmethod(plain_file)


class TestTruncatedGzip(SourceContract):
    make = staticmethod(truncated_gzip)


class TestZstdWithinTimeAndLimit(SourceContract):
    make = staticmethod(zstd_within_time_and_limit)


class TestRenamedJson(SourceContract):
    make = staticmethod(renamed_json)


class TestCsv(SourceContract):
    make = staticmethod(csv_file)


class TestParquet(SourceContract):
    make = staticmethod(parquet_file)


class TestMergedFiles(SourceContract):
    make = staticmethod(merged_files)


@pytest.mark.parametrize("make", [plain_file, truncated_gzip, csv_file, merged_files])
@pytest.mark.parametrize("block_bytes", [1, 13, 100])
def test_the_cut_does_not_depend_on_the_size_of_a_block(tmp_path, monkeypatch, make, block_bytes):
    whole = collected(make(tmp_path))
    monkeypatch.setattr(blocks, "BLOCK_BYTES", block_bytes)
    assert collected(make(tmp_path)) == whole
