"""Files that are put away when they are full, and dropped when there are too many."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from stream.errors import SinkError
from stream.sinks.jsonl import JsonlSink
from stream.sinks.segments import FilesConfig, Segments, full_segments


def limits(segment_bytes=20, max_bytes=None):
    """Limits as small as no configuration may have them."""
    return FilesConfig.model_construct(segment_bytes=segment_bytes, max_bytes=max_bytes)


def sink_of(path, files=None, state=None):
    sink = JsonlSink(path, encode=lambda record: record["text"].encode(), files=files)
    if state is not None:
        sink.load_state_dict(state)
    return sink


def write(sink, *texts):
    for text in texts:
        sink.write({"text": text})


def texts(folder):
    return {path.name: path.read_text() for path in sorted(folder.iterdir())}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "m.jsonl"


def test_a_record_that_finds_no_room_begins_the_next_file(path):
    sink = sink_of(path, limits(20))
    write(sink, "a" * 9, "b" * 9, "c")
    sink.close()
    assert texts(path.parent) == {
        "m.000000.jsonl": "aaaaaaaaa\nbbbbbbbbb\n",
        "m.jsonl": "c\n",
    }


def test_the_plain_file_is_there_again_at_once(path):
    sink = sink_of(path, limits(20))
    write(sink, "a" * 19, "b")
    assert texts(path.parent) == {"m.000000.jsonl": "a" * 19 + "\n", "m.jsonl": ""}
    sink.close()


def test_a_record_longer_than_a_segment_has_one_of_its_own(path):
    sink = sink_of(path, limits(20))
    write(sink, "a", "b" * 50, "c")
    sink.close()
    assert [len(text) for text in texts(path.parent).values()] == [2, 51, 2]


def test_without_limits_there_is_one_file(path):
    sink = sink_of(path)
    write(sink, *["a" * 1000] * 100)
    sink.close()
    assert list(texts(path.parent)) == ["m.jsonl"]


def test_files_of_other_outputs_are_not_taken_for_segments(path):
    for name in ("m.jsonl", "mm.000001.jsonl", "m.1.jsonl", "m.000001.json", "m.000002.jsonl.gz"):
        (path.parent / name).touch()
    assert full_segments(path) == []


@given(
    lengths=st.lists(st.integers(0, 25), max_size=60),
    segments=st.integers(2, 5),
)
def test_the_newest_records_are_kept_and_no_more_than_the_most(tmp_path_factory, lengths, segments):
    folder = tmp_path_factory.mktemp("files")
    lines = [chr(97 + number % 26) * length for number, length in enumerate(lengths)]
    sink = sink_of(folder / "m.jsonl", limits(26, 26 * segments))
    write(sink, *lines)
    sink.close()
    kept = "".join(texts(folder).values())
    assert "".join(line + "\n" for line in lines).endswith(kept)
    n_bytes = len(kept)
    assert n_bytes <= 26 * segments
    # What was dropped was in the way of one more full segment, not sooner.
    assert n_bytes > 26 * (segments - 2) or n_bytes == sum(lengths) + len(lengths)


def test_a_fresh_start_removes_the_segments_of_an_earlier_run(path):
    (path.parent / "m.000007.jsonl").write_text("old\n")
    sink = sink_of(path, limits())
    write(sink, "new")
    sink.close()
    assert texts(path.parent) == {"m.jsonl": "new\n"}


def test_a_resume_takes_back_what_was_put_away_since(path):
    sink = sink_of(path, limits(20))
    write(sink, "a" * 9)
    sink.flush()
    state = sink.state_dict()
    write(sink, "b" * 9, "c" * 19, "d" * 19)
    sink.close()
    assert len(texts(path.parent)) == 3
    resumed = sink_of(path, limits(20), state)
    assert texts(path.parent) == {"m.jsonl": "aaaaaaaaa\n"}
    resumed.close()


def dropped_since(path):
    """Twelve lines, and a state after the first of them, whose segment the others had dropped."""
    lines = [f"{number:09d}" for number in range(12)]
    sink = sink_of(path, limits(20, 40))
    write(sink, lines[0])
    sink.flush()
    state = sink.state_dict()
    write(sink, *lines[1:])
    sink.close()
    return lines, state


def test_a_resume_within_a_dropped_segment_ends_with_the_files_of_an_unbroken_run(path):
    lines, state = dropped_since(path)
    unbroken = texts(path.parent)
    resumed = sink_of(path, limits(20, 40), state)
    write(resumed, *lines[1:9])  # as far as what was left when it was killed begins, and not on
    resumed.flush()
    again = sink_of(path, limits(20, 40), state)
    write(again, *lines[1:])
    again.close()
    resumed.close()
    assert texts(path.parent) == unbroken
    assert list(unbroken) == ["m.000004.jsonl", "m.jsonl"]


def test_a_resume_within_a_dropped_segment_without_limits_loses_nothing_more(path):
    lines, state = dropped_since(path)
    resumed = sink_of(path, None, state)
    write(resumed, *lines[1:])
    resumed.close()
    assert texts(path.parent) == {
        "m.000003.jsonl": "",
        "m.jsonl": "".join(line + "\n" for line in lines[1:]),
    }


def test_old_files_that_somebody_removed_are_not_asked_for(path):
    sink = sink_of(path, limits(20))
    write(sink, *["a" * 19] * 4)
    sink.flush()
    for _, full in full_segments(path):
        full.unlink()
    resumed = sink_of(path, limits(20), sink.state_dict())
    write(resumed, "b" * 19)
    resumed.close()
    sink.close()
    assert list(texts(path.parent)) == ["m.000003.jsonl", "m.jsonl"]


def test_segments_that_are_missing_right_before_the_checkpoint_are_named(path):
    (path.parent / "m.000001.jsonl").write_text("b\n")
    (path.parent / "m.jsonl").write_text("c\n")
    with pytest.raises(SinkError, match=r"m\.000003\.jsonl is missing, .* put it back"):
        Segments(path).go_back_to(4)
    assert list(texts(path.parent)) == ["m.000001.jsonl", "m.jsonl"]


def test_a_folder_that_takes_no_new_name_is_told(path):
    sink = sink_of(path, limits(20))
    write(sink, "a" * 19)
    sink.flush()
    (path.parent / "m.000000.jsonl").mkdir()
    with pytest.raises(SinkError, match=r"m\.jsonl cannot be put away: Is a directory"):
        write(sink, "b")
    (path.parent / "m.000000.jsonl").rmdir()
    write(sink, "b")
    sink.close()
    assert texts(path.parent) == {"m.000000.jsonl": "a" * 19 + "\n", "m.jsonl": "b\n"}


def test_the_most_must_hold_two_segments():
    with pytest.raises(ValidationError, match="less than two segments"):
        FilesConfig(segment_bytes=10_000, max_bytes=19_999)
    assert FilesConfig(segment_bytes=10_000, max_bytes=None).max_bytes is None


def test_segments_of_a_few_records_are_refused():
    with pytest.raises(ValidationError, match="greater than or equal to 4096"):
        FilesConfig(segment_bytes=100)
