"""A state copied in memory: arrays on one side, one msgpack of everything else on the other.

Taking the copy is all that a save makes the loop wait for. An array is named by the path to it,
joined with `/` and escaped as in JSON pointers; in the msgpack an extension of that name stands
in its place, so that structure and order come back as they were.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream.errors import CheckpointError
from stream.values import State

Arrays = dict[str, NDArray[Any]]
Buffers = dict[str, NDArray[np.uint8]]
"""Memory that copies of arrays lie in, by the arrays' names; each may be longer than its array."""

_ARRAY_EXTENSION = 1
_SCALARS = frozenset({int, float, str, bytes, bool, type(None)})
# What safetensors can hold, in native byte order only: it would store others wrongly, in silence.
_DTYPES = frozenset(
    map(np.dtype, ["?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8"])
)
# A table of this size or more is given room to grow in: memory that is touched for the first time
# costs several times what copying into it does.
_ROOMY_BYTES = 1 << 20
# How full memory may be before more of it is made ready.
_FULL = 0.8
# safetensors keeps its own metadata under this name.
_RESERVED_NAME = "__metadata__"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A copy of a state that nobody else writes to."""

    arrays: Arrays
    packed: bytes


def take_snapshot(state: State, buffers: Buffers | None = None) -> Snapshot:
    """Copy a state.

    Parameters
    ----------
    state : dict
        Nested dicts and lists of arrays, ints, floats, strings, bytes, bools and None.
    buffers : dict of str to uint8 array, optional
        Memory of an earlier snapshot that is no longer needed: it is written over, and holds this
        one afterwards.

    Raises
    ------
    CheckpointError
        If the state holds anything else, an integer wider than 64 bits, or an array of a dtype
        that cannot be stored.

    Examples
    --------
    >>> taken = take_snapshot({"model": {"bias": np.zeros(2)}, "step": 7})
    >>> list(taken.arrays)
    ['model/bias']
    >>> restore_state(taken)
    {'model': {'bias': array([0., 0.])}, 'step': 7}
    """
    arrays: Arrays = {}
    buffers = {} if buffers is None else buffers
    bare = _without_arrays(state, "", arrays, buffers)
    for name in buffers.keys() - arrays.keys():
        del buffers[name]
    try:
        packed = msgspec.msgpack.encode(bare)
    except (OverflowError, UnicodeEncodeError) as err:
        path, fault = _unpackable(bare, "")
        raise CheckpointError(f"state {path!r} holds {fault}; store it as bytes") from err
    return Snapshot(arrays, packed)


def make_room(taken: Snapshot, buffers: Buffers) -> None:
    """Get memory for the next snapshot where this one nearly fills what there is, and touch it.

    To be called when the snapshot is no longer needed, and by a thread that nobody waits for.
    """
    for name, array in taken.arrays.items():
        if array.nbytes >= _ROOMY_BYTES and array.nbytes > _FULL * len(buffers[name]):
            buffers[name] = np.empty(array.nbytes + array.nbytes // 2, np.uint8)
            buffers[name].fill(0)


def restore_state(taken: Snapshot) -> State:
    """The state that a snapshot was taken of; it shares the snapshot's arrays."""

    def array_for(code: int, name: memoryview) -> NDArray[Any]:
        if code != _ARRAY_EXTENSION:
            raise CheckpointError(f"the state holds an unknown msgpack extension, {code}")
        return taken.arrays[str(name, "utf-8")]

    state: State = msgspec.msgpack.decode(taken.packed, ext_hook=array_for)
    return state


def _without_arrays(value: Any, path: str, arrays: Arrays, buffers: Buffers) -> Any:
    kind = type(value)
    if kind in _SCALARS:
        return value
    if kind is np.ndarray:
        arrays[path] = _copied(value, path, buffers)
        return msgspec.msgpack.Ext(_ARRAY_EXTENSION, path.encode(errors="surrogatepass"))
    if kind is list:
        # Long lists hold plain values only: looking at types in C keeps the stall short.
        if _SCALARS.issuperset(map(type, value)):
            return value
        return [
            _without_arrays(entry, _join(path, str(i)), arrays, buffers)
            for i, entry in enumerate(value)
        ]
    if kind is dict:
        if not {str}.issuperset(map(type, value)):
            raise CheckpointError(f"state {path!r} is a dict with keys that are no strings")
        if _SCALARS.issuperset(map(type, value.values())):
            return value
        return {
            key: _without_arrays(entry, _join(path, key), arrays, buffers)
            for key, entry in value.items()
        }
    raise CheckpointError(
        f"state {path!r} is a {kind.__module__}.{kind.__qualname__}; expected a dict, a list, a "
        "numpy array, int, float, str, bytes, bool or None"
    )


def _copied(array: NDArray[Any], path: str, buffers: Buffers) -> NDArray[Any]:
    if array.dtype not in _DTYPES:
        raise CheckpointError(
            f"state {path!r} is an array of {array.dtype.str}; expected a bool, integer or float "
            "dtype in native byte order; keep strings in a list"
        )
    if path == _RESERVED_NAME:
        raise CheckpointError(f"state {path!r}: an array cannot have this name, rename it")
    n_bytes = array.nbytes
    if path not in buffers or len(buffers[path]) < n_bytes:
        room = n_bytes // 2 if n_bytes >= _ROOMY_BYTES else 0
        buffers[path] = np.empty(n_bytes + room, np.uint8)
    copy = buffers[path][:n_bytes].view(array.dtype).reshape(array.shape)
    np.copyto(copy, array)
    return copy


def _join(path: str, key: str) -> str:
    """One step further down; keys with `/` in them cannot collide with deeper paths.

    Examples
    --------
    >>> _join("evaluator", "ctr/home")
    'evaluator/ctr~1home'
    """
    escaped = key.replace("~", "~0").replace("/", "~1")
    return f"{path}/{escaped}" if path else escaped


def _unpackable(value: Any, path: str) -> tuple[str, str]:
    """Where msgpack gave up, and at what; empty strings if not here."""
    kind = type(value)
    if kind is int and not -(2**63) <= value < 2**64:
        return path, "an integer wider than 64 bits"
    if kind is str and not _is_utf8(value):
        return path, "a string that is no UTF-8"
    for key, entry in _entries(value):
        if not _is_utf8(key):
            return path, "a key that is no UTF-8"
        if (found := _unpackable(entry, _join(path, key)))[1]:
            return found
    return "", ""


def _entries(value: Any) -> Iterable[tuple[str, Any]]:
    if type(value) is dict:
        return value.items()
    if type(value) is list:
        return ((str(i), entry) for i, entry in enumerate(value))
    return ()


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
