import math
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from stream.checkpoint_snapshot import Buffers, make_room, restore_state, take_snapshot
from stream.errors import CheckpointError

DTYPES = ["?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8"]

arrays = hnp.arrays(
    st.sampled_from([np.dtype(code) for code in DTYPES]),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text()
    | st.binary()
)
keys = st.text().filter(lambda key: key != "__metadata__") | st.sampled_from(
    ["a", "a/b", "b", "~1"]
)
states = st.dictionaries(
    keys,
    st.recursive(
        scalars | arrays,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
        max_leaves=12,
    ),
    max_size=4,
)


def bits(value):
    """A value whose equality is equality of types, order and bits."""
    if isinstance(value, dict):
        return ("dict", [(key, bits(entry)) for key, entry in value.items()])
    if isinstance(value, list):
        return ("list", [bits(entry) for entry in value])
    if isinstance(value, np.ndarray):
        return ("array", value.dtype.str, value.shape, value.tobytes())
    if isinstance(value, float):
        return ("float", struct.pack("<d", value))
    return (type(value).__name__, value)


@given(states)
def test_a_state_comes_back_bit_for_bit(state):
    assert bits(restore_state(take_snapshot(state))) == bits(state)


@given(states)
def test_equal_states_are_packed_into_equal_bytes(state):
    again = restore_state(take_snapshot(state))
    assert take_snapshot(again).packed == take_snapshot(state).packed


def test_order_of_keys_survives():
    state = {"z": 1, "a": {"y": np.ones(1), "b": 2}}
    again = restore_state(take_snapshot(state))
    assert list(again) == ["z", "a"]
    assert list(again["a"]) == ["y", "b"]


def test_a_key_with_a_slash_does_not_meet_a_deeper_path():
    taken = take_snapshot({"a/b": np.zeros(1), "a": {"b": np.ones(1)}})
    assert set(taken.arrays) == {"a~1b", "a/b"}


def test_a_snapshot_does_not_follow_later_writes():
    weight = np.zeros(3)
    history = [1, 2]
    taken = take_snapshot({"weight": weight, "history": history})
    weight += 1
    history.append(3)
    assert restore_state(taken)["weight"].tolist() == [0, 0, 0]
    assert restore_state(taken)["history"] == [1, 2]


def test_memory_of_an_earlier_snapshot_is_written_over():
    buffers: Buffers = {}
    take_snapshot({"kept": np.zeros(3), "cast": np.zeros(3), "gone": np.zeros(3)}, buffers)
    before = dict(buffers)
    later = take_snapshot({"kept": np.ones(3), "cast": np.ones(4, np.float32)}, buffers)
    assert {name: memory is before[name] for name, memory in buffers.items()} == {
        "kept": True,
        "cast": True,
    }
    assert later.arrays["kept"].tolist() == [1, 1, 1]
    assert later.arrays["cast"].dtype == np.float32
    assert later.arrays["cast"].tolist() == [1, 1, 1, 1]


def test_a_large_table_has_room_to_grow_in():
    buffers: Buffers = {}
    take_snapshot({"table": np.zeros((1 << 15, 4))}, buffers)
    before = buffers["table"]
    grown = np.arange(5 << 15, dtype=np.float64).reshape(-1, 4)
    assert (take_snapshot({"table": grown}, buffers).arrays["table"] == grown).all()
    assert buffers["table"] is before


def test_room_is_made_before_it_is_needed():
    buffers: Buffers = {}
    table = np.ones((1 << 15, 4))
    make_room(take_snapshot({"table": table, "small": np.ones(3)}, buffers), buffers)
    before = dict(buffers)
    make_room(
        take_snapshot({"table": np.tile(table, (2, 1)), "small": np.ones(3)}, buffers), buffers
    )
    grown = buffers["table"]
    assert len(before["table"]) < 2 * table.nbytes < len(grown)
    assert buffers["small"] is before["small"]
    assert (take_snapshot({"table": np.tile(table, (2, 1))}, buffers).arrays["table"] == 1).all()
    assert buffers["table"] is grown


def test_strided_and_transposed_arrays_keep_their_values():
    grid = np.arange(6).reshape(2, 3)
    again = restore_state(take_snapshot({"turned": grid.T, "stepped": grid[:, ::2]}))
    assert again["turned"].tolist() == grid.T.tolist()
    assert again["stepped"].tolist() == [[0, 2], [3, 5]]


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"rng": {"state": 2**64}}, "'rng/state' holds an integer wider than 64 bits"),
        ({"rng": [1, [0, -(2**63) - 1]]}, "'rng/1/1' holds an integer wider than 64 bits"),
        ({"total": np.float64(1)}, "'total' is a numpy.float64"),
        ({"pair": (1, 2)}, "'pair' is a builtins.tuple"),
        ({"by_row": {3: 1}}, "'by_row' is a dict with keys that are no strings"),
        ({"ids": np.array(["a"])}, "'ids' is an array of <U1"),
        ({"big": np.zeros(1, ">i4")}, "'big' is an array of >i4"),
        ({"any": np.array([None])}, r"'any' is an array of \|O"),
        ({"__metadata__": np.zeros(1)}, "'__metadata__'.*rename it"),
        ({"title": "\ud800"}, "'title' holds a string that is no UTF-8"),
        ({"titles": {"\ud800": np.zeros(1)}}, "'titles' holds a key that is no UTF-8"),
    ],
)
def test_what_cannot_be_stored_is_named_with_its_path(state, message):
    with pytest.raises(CheckpointError, match=message):
        take_snapshot(state)


def test_nan_is_still_nan():
    assert math.isnan(restore_state(take_snapshot({"mean": math.nan}))["mean"])
