import hashlib
import json
import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.checkpoint_files import (
    DamagedError,
    LocalDisk,
    Manifest,
    checkpoint_name,
    inspect_checkpoint,
    list_checkpoints,
    read_checkpoint,
    read_latest,
    remove_checkpoint,
    remove_leftovers,
    write_checkpoint,
)
from stream.checkpoint_snapshot import take_snapshot
from stream.errors import CheckpointError

FILES = ["state.msgpack", "arrays.safetensors", "manifest.json"]


def state_of(seq):
    return {"seq": seq, "model": {"weight": np.full((4, 3), seq, np.float32)}, "ids": ["a", "b"]}


def manifest_of(seq, kind="ckpt"):
    return Manifest(
        kind=kind,
        seq=seq,
        events=256 * seq,
        config_hash="c0ffee",
        position={"events.jsonl": {"line": seq, "sha": "ab"}},
        versions={"numpy": "2"},
    )


def put(folder, seq, kind="ckpt"):
    path = folder / checkpoint_name(kind, seq)
    write_checkpoint(LocalDisk(), path, take_snapshot(state_of(seq)), manifest_of(seq, kind))
    return path


def flip(path, bit):
    raw = bytearray(path.read_bytes())
    raw[bit // 8 % len(raw)] ^= 1 << bit % 8
    path.write_bytes(raw)


def cut_off(path):
    path.write_bytes(path.read_bytes()[:-1])


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def rewrite_manifest(path, **changes):
    """A manifest with other fields and a sum that agrees with them, as another version writes."""
    file = path / "manifest.json"
    fields = json.loads(file.read_bytes()) | changes
    del fields["manifest_sha256"]
    raw = json.dumps(fields, indent=1).encode() + b"\n"
    fields["manifest_sha256"] = hashlib.sha256(raw).hexdigest()
    file.write_bytes(json.dumps(fields, indent=1).encode() + b"\n")


def test_state_and_manifest_come_back(tmp_path):
    found = read_checkpoint(put(tmp_path, 7))
    assert found.manifest.position == {"events.jsonl": {"line": 7, "sha": "ab"}}
    assert (found.manifest.seq, found.manifest.events, found.manifest.kind) == (7, 1792, "ckpt")
    assert found.state["model"]["weight"].tolist() == [[7.0] * 3] * 4
    assert found.state["ids"] == ["a", "b"]


def test_loaded_arrays_can_be_written_to(tmp_path):
    weight = read_checkpoint(put(tmp_path, 7)).state["model"]["weight"]
    weight += 1
    assert weight[0, 0] == 8


def test_equal_states_are_written_in_equal_bytes(tmp_path):
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        put(tmp_path / name, 7)
    first, second = (
        contents(tmp_path / name / "ckpt-000000000007") for name in ("first", "second")
    )
    assert sorted(first) == sorted(FILES)
    assert first == second


def test_every_file_is_as_readable_as_the_folder(tmp_path):
    path = put(tmp_path, 7)
    readable = path.stat().st_mode & 0o444
    assert {file.name: file.stat().st_mode & 0o444 for file in path.iterdir()} == dict.fromkeys(
        FILES, readable
    )


def test_the_newest_is_read_anchors_included(tmp_path):
    put(tmp_path, 9)
    put(tmp_path, 10, "anchor")
    assert read_latest(tmp_path).path.name == "anchor-000000000010"


def test_an_empty_or_missing_folder_has_no_latest(tmp_path):
    assert read_latest(tmp_path) is None
    assert read_latest(tmp_path / "missing") is None


@pytest.mark.parametrize("name", FILES)
@given(bit=st.integers(0, 10_000))
def test_any_flipped_bit_is_found(tmp_path_factory, name, bit):
    path = put(tmp_path_factory.mktemp("flip"), 7)
    flip(path / name, bit)
    with pytest.raises(DamagedError, match=name):
        read_checkpoint(path)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", [lambda file: flip(file, 333), cut_off, lambda f: f.unlink()])
def test_a_damaged_newest_is_passed_by_and_named(tmp_path, name, damage):
    put(tmp_path, 1)
    newest = put(tmp_path, 2)
    damage(newest / name)
    found = read_latest(tmp_path)
    assert found.state["seq"] == 1
    assert [passed.path for passed in found.passed_by] == [newest]
    assert str(newest / name) in found.passed_by[0].reason


def test_a_missing_file_is_said_to_be_missing(tmp_path):
    path = put(tmp_path, 1)
    (path / "arrays.safetensors").unlink()
    with pytest.raises(DamagedError, match=r"arrays.safetensors cannot be read: No such file"):
        read_checkpoint(path)


def test_files_of_two_checkpoints_do_not_mix(tmp_path):
    older, newer = put(tmp_path, 1), put(tmp_path, 2)
    shutil.copy(older / "arrays.safetensors", newer / "arrays.safetensors")
    with pytest.raises(DamagedError, match="another SHA-256"):
        read_checkpoint(newer)


def test_when_all_are_damaged_each_is_named(tmp_path):
    for seq in (1, 2):
        cut_off(put(tmp_path, seq) / "state.msgpack")
    with pytest.raises(CheckpointError, match=r"all 2 .*ckpt-000000000002.*ckpt-000000000001"):
        read_latest(tmp_path)


def test_another_format_version_refuses_and_says_what_to_do(tmp_path):
    put(tmp_path, 1)
    rewrite_manifest(put(tmp_path, 2), format_version=9)
    with pytest.raises(
        CheckpointError, match=r"format version 9.* reads 1; resume with the"
    ) as info:
        read_latest(tmp_path)
    assert not isinstance(info.value, DamagedError)


def test_a_manifest_with_unknown_fields_is_damage(tmp_path):
    path = put(tmp_path, 1)
    rewrite_manifest(path, mood="good")
    with pytest.raises(DamagedError, match="mood"):
        read_checkpoint(path)


def test_a_checkpoint_of_the_same_name_is_replaced(tmp_path):
    path = put(tmp_path, 7)
    write_checkpoint(LocalDisk(), path, take_snapshot({"seq": 70}), manifest_of(7))
    assert read_checkpoint(path).state == {"seq": 70}
    assert [entry.name for entry in tmp_path.iterdir()] == ["ckpt-000000000007"]


def test_other_files_in_the_folder_are_no_checkpoints(tmp_path):
    (tmp_path / "ckpt-notes.tmp").mkdir()
    (tmp_path / "run.lock").touch()
    put(tmp_path, 1)
    remove_leftovers(LocalDisk(), tmp_path)
    assert [seq for seq, _, _ in list_checkpoints(tmp_path)] == [1]
    assert (tmp_path / "ckpt-notes.tmp").is_dir()


def test_a_removed_checkpoint_is_gone(tmp_path):
    remove_checkpoint(LocalDisk(), put(tmp_path, 1))
    assert list(tmp_path.iterdir()) == []


def test_inspection_lists_the_arrays(tmp_path):
    found = inspect_checkpoint(put(tmp_path, 7))
    assert found.damage is None
    assert found.manifest.seq == 7
    array = found.arrays[0]
    assert (array.name, array.dtype, array.shape, array.size_bytes) == (
        "model/weight",
        "float32",
        (4, 3),
        48,
    )


def test_inspection_tells_damage(tmp_path):
    path = put(tmp_path, 7)
    cut_off(path / "arrays.safetensors")
    assert "arrays.safetensors has" in inspect_checkpoint(path).damage


def test_a_folder_that_is_no_checkpoint_cannot_be_inspected(tmp_path):
    with pytest.raises(CheckpointError, match=r"manifest.json cannot be read"):
        inspect_checkpoint(tmp_path)
