"""What everything that survives a crash promises.

An implementation joins in a line:

    class TestThing(StatefulContract):
        make = staticmethod(make_thing)
        drive = staticmethod(drive_thing)
"""

import copy
import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from stream.protocols import Stateful

N_STEPS = 6

SCALARS = (int, float, str, bytes, bool, type(None))


class StatefulContract:
    @staticmethod
    def make() -> Any:
        """A fresh object; two of them are alike."""
        raise NotImplementedError

    @staticmethod
    def drive(stateful: Any, step: int) -> Any:
        """Work that moves the state; what comes out depends on the state and `step` alone."""
        raise NotImplementedError

    def run(self, stateful: Stateful, steps: range) -> list[Any]:
        return [copy.deepcopy(self.drive(stateful, step)) for step in steps]

    def state_after(self, n_steps: int) -> dict[str, Any]:
        stateful = self.make()
        self.run(stateful, range(n_steps))
        return copy.deepcopy(stateful.state_dict())

    def test_a_fresh_object_given_a_state_goes_on_like_the_one_that_wrote_it(self) -> None:
        unbroken = self.make()
        expected = self.run(unbroken, range(N_STEPS))
        for cut in range(N_STEPS + 1):
            resumed = self.make()
            resumed.load_state_dict(self.state_after(cut))
            assert_same_bits(self.run(resumed, range(cut, N_STEPS)), expected[cut:], f"cut {cut}")
            assert_same_bits(resumed.state_dict(), unbroken.state_dict(), f"state, cut {cut}")

    def test_a_loaded_state_is_handed_out_unchanged(self) -> None:
        state = self.state_after(N_STEPS)
        resumed = self.make()
        resumed.load_state_dict(copy.deepcopy(state))
        assert_same_bits(resumed.state_dict(), state)

    def test_taking_a_state_changes_nothing(self) -> None:
        watched, left_alone = self.make(), self.make()
        for step in range(N_STEPS):
            watched.state_dict()
            assert_same_bits(self.drive(watched, step), self.drive(left_alone, step))
        assert_same_bits(watched.state_dict(), left_alone.state_dict())

    def test_work_moves_the_state(self) -> None:
        assert not is_same(self.state_after(N_STEPS), self.state_after(0))

    def test_a_state_is_plain_and_names_its_version(self) -> None:
        state = self.state_after(N_STEPS)
        assert not_plain(state) == []
        assert type(state["schema_version"]) is int


def not_plain(value: Any, path: str = "state") -> list[str]:
    """Where a value is something else than a checkpoint can hold."""
    if type(value) is dict:
        bad_keys = [f"{path}: key {key!r}" for key in value if type(key) is not str]
        return bad_keys + [
            bad for key, entry in value.items() for bad in not_plain(entry, f"{path}.{key}")
        ]
    if type(value) is list:
        return [bad for i, entry in enumerate(value) for bad in not_plain(entry, f"{path}[{i}]")]
    if type(value) is np.ndarray:
        return [] if value.dtype.kind in "biuf" else [f"{path}: array of {value.dtype}"]
    return [] if type(value) in SCALARS else [f"{path}: {type(value).__name__}"]


def is_same(left: Any, right: Any) -> bool:
    try:
        assert_same_bits(left, right)
    except AssertionError:
        return False
    return True


def assert_same_bits(left: Any, right: Any, path: str = "value") -> None:
    """Nested values are equal, floats and arrays bit for bit; else say where they differ."""
    if dataclasses.is_dataclass(left) and not isinstance(left, type):
        assert type(left) is type(right), f"{path}: {type(left)} is not {type(right)}"
        for field in dataclasses.fields(left):
            name = field.name
            assert_same_bits(getattr(left, name), getattr(right, name), f"{path}.{name}")
    elif isinstance(left, Mapping):
        assert isinstance(right, Mapping), f"{path}: {type(right)} is no mapping"
        assert list(left) == list(right), f"{path}: keys {list(left)} are not {list(right)}"
        for key in left:
            assert_same_bits(left[key], right[key], f"{path}.{key}")
    elif isinstance(left, list | tuple):
        assert isinstance(right, list | tuple), f"{path}: {type(right)} is no list"
        assert len(left) == len(right), f"{path}: {len(left)} entries are not {len(right)}"
        for i, (entry, other) in enumerate(zip(left, right, strict=True)):
            assert_same_bits(entry, other, f"{path}[{i}]")
    elif isinstance(left, np.ndarray | float):
        entry, other = np.asarray(left), np.asarray(right)
        assert entry.dtype == other.dtype, f"{path}: {entry.dtype} is not {other.dtype}"
        assert entry.shape == other.shape, f"{path}: {entry.shape} is not {other.shape}"
        assert entry.tobytes() == other.tobytes(), f"{path}: {left} is not {right}"
    else:
        assert type(left) is type(right), f"{path}: {left!r} is not {right!r}"
        assert left == right, f"{path}: {left!r} is not {right!r}"
