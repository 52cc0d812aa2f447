import gzip
import os
import random
import resource
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from stream.errors import SinkError, UsageError
from stream.events import Click, Conversion, Event, Feedback, Forget, Impression, Item, User
from stream.importers.event_files import write_events

EVENTS: list[Event] = [
    Item("i", 1, title="Ä", category="c", attributes={"year": 1995, "none": None}),
    User("u", 1, attributes={"age": 24}),
    Impression("r", "u", ["i", "j"], 2, [0.5, 0.25], "bts", {"position": 1}),
    Click("u", "i", 2, request_id="r", session="s"),
    Conversion("u", "i", 3, value=1.5),
    Feedback("u", "i", 4, "like"),
    Forget("u", 5),
]
texts = st.text(min_size=1, max_size=8)
times = st.integers(0, 10**12)
optional_texts = st.none() | texts
events_lists = st.lists(
    st.builds(Click, texts, texts, times, optional_texts, optional_texts)
    | st.builds(Item, texts, times, optional_texts, optional_texts, optional_texts)
    | st.builds(Forget, texts, times),
    max_size=20,
)


def decoded(lines: bytes) -> list[Event]:
    return msgspec.json.Decoder(Event).decode_lines(lines)


def unpacked(target: Path) -> bytes:
    data = target.read_bytes()
    if target.suffix == ".gz":
        return gzip.decompress(data)
    if target.suffix == ".zst":
        return zstandard.ZstdDecompressor().stream_reader(data).read()
    return data


def test_a_line_begins_with_its_type_and_has_no_absent_field(tmp_path: Path) -> None:
    target = tmp_path / "events.jsonl"
    write_events([EVENTS[0], EVENTS[3]], target)
    assert target.read_text(encoding="utf-8") == (
        '{"type":"item","item":"i","ts":1,"title":"Ä","category":"c",'
        '"attributes":{"year":1995,"none":null}}\n'
        '{"type":"click","user":"u","item":"i","ts":2,"request_id":"r","session":"s"}\n'
    )


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "A.JSONL.GZ"])
def test_every_type_comes_back_from_every_kind_of_file(tmp_path: Path, name: str) -> None:
    target = tmp_path / name
    n_by_type = write_events(EVENTS, target)
    data = gzip.decompress(target.read_bytes()) if name == "A.JSONL.GZ" else unpacked(target)
    assert decoded(data) == EVENTS
    assert n_by_type == dict.fromkeys(
        ["click", "impression", "conversion", "feedback", "item", "user", "forget"], 1
    )


@given(events=events_lists)
def test_what_is_written_decodes_to_the_same_events(
    tmp_path_factory: pytest.TempPathFactory, events: list[Event]
) -> None:
    target = tmp_path_factory.getbasetemp() / "round_trip.jsonl"
    write_events(events, target)
    assert decoded(target.read_bytes()) == events


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst"])
def test_many_chunks_are_one_file_and_the_same_bytes_again(tmp_path: Path, name: str) -> None:
    events = [Click(str(i), str(i % 7), i) for i in range(10_000)]
    for folder in ("one", "two"):
        assert write_events(iter(events), tmp_path / folder / name) == {"click": 10_000}
    assert decoded(unpacked(tmp_path / "one" / name)) == events
    assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


@pytest.mark.parametrize("name", ["events.json", "events.csv", "events.jsonl.bz2", "events"])
def test_a_name_that_does_not_say_how_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"unknown extension; .*\.jsonl, \.jsonl\.gz or"):
        write_events(EVENTS, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_no_target(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").mkdir()
    with pytest.raises(UsageError, match="a directory"):
        write_events(EVENTS, tmp_path / "a.jsonl")


def test_the_target_keeps_its_old_content_until_the_last_event_is_written(tmp_path: Path) -> None:
    target = tmp_path / "a.jsonl"
    target.write_text("before")

    def watched() -> Iterator[Event]:
        for i in range(9_000):
            assert target.read_text() == "before"
            yield Click("u", "i", i)

    write_events(watched(), target)
    assert len(decoded(target.read_bytes())) == 9_000
    assert list(tmp_path.iterdir()) == [target]


def test_a_source_that_fails_leaves_the_target_as_it_was(tmp_path: Path) -> None:
    target = tmp_path / "a.jsonl"
    target.write_text("before")

    def failing() -> Iterator[Event]:
        for i in range(5_000):
            yield Click("u", "i", i)
        raise UsageError("no more")

    with pytest.raises(UsageError, match="no more"):
        write_events(failing(), target)
    assert target.read_text() == "before"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst"])
def test_a_disk_that_takes_no_more_is_a_sink_error_and_leaves_nothing(
    tmp_path: Path, name: str
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    generator = random.Random(0)
    # One chunk, past the limit however it is packed, so that a single write ends short.
    events = [Click(generator.randbytes(64).hex(), "i", i) for i in range(4_000)]
    # A limit on the size of files stands for a full disk: both let a write end short, then fail.
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(SinkError, match=r"a\.jsonl.*: cannot be written: File too large; make"):
            write_events(events, tmp_path / name)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_a_sink_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SinkError, match=r"a\.jsonl: cannot be written: File exists: .*file; make"):
        write_events(EVENTS, tmp_path / "file" / "a.jsonl")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to a read-only folder")
def test_a_read_only_folder_is_a_sink_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    with pytest.raises(SinkError, match=r"a\.jsonl: cannot be written: Permission denied"):
        write_events(EVENTS, tmp_path / "a.jsonl")
