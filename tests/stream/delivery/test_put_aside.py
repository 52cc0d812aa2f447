import json

import pytest

from stream.delivery.put_aside import PutAside
from stream.errors import SinkError
from tests.transitions import transition


def lines_of(path):
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_what_is_put_aside_is_all_there_with_the_reason(tmp_path):
    path = tmp_path / "dead.jsonl"
    PutAside(path).put("pager", transition("low", "firing", 4), "answered 400", 77)
    (line,) = lines_of(path)
    found = (line["destination"], line["reason"], line["ts_ms"], line["record"]["seq"])
    assert found == ("pager", "answered 400", 77, 4)


def test_the_file_is_bounded(tmp_path):
    path = tmp_path / "dead.jsonl"
    aside = PutAside(path, file_bytes=4_000)
    for seq in range(100):
        aside.put("pager", transition("low", "firing", seq), "answered 400", seq)
    kept = lines_of(tmp_path / "dead.1.jsonl") + lines_of(path)
    assert [line["ts_ms"] for line in kept] == list(range(100 - len(kept), 100))
    assert sum(each.stat().st_size for each in tmp_path.iterdir()) < 8_000


def test_a_folder_that_is_gone_is_told_with_the_path(tmp_path):
    aside = PutAside(tmp_path / "gone" / "dead.jsonl")
    with pytest.raises(SinkError, match=r"gone/dead\.jsonl: cannot be written"):
        aside.put("pager", transition("low", "firing", 1), "answered 400", 1)
