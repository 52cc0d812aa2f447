import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.id_table import IdTable

IDS = st.sampled_from([f"id{i}" for i in range(12)])


class SlowTable:
    """The same promise, kept with a dict and a search."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.row_of: dict[str, int] = {}
        self.used: dict[int, int] = {}
        self.clock = 0

    def touch(self, name: str) -> None:
        self.used[self.row_of[name]] = self.clock
        self.clock += 1

    def assign(self, names: list[str]) -> list[int]:
        recycled = []
        kept = names[-self.capacity :]
        free = list(range(len(self.row_of), self.capacity))[: len(kept)]
        stale = sorted(self.used, key=self.used.__getitem__)[: len(kept) - len(free)]
        for name, row in zip(kept, free + stale, strict=True):
            if row in stale:
                del self.row_of[next(old for old, at in self.row_of.items() if at == row)]
                recycled.append(row)
            self.row_of[name] = row
        for name in kept:
            self.touch(name)
        return recycled


@given(
    st.integers(1, 8),
    st.lists(st.lists(IDS, min_size=1, max_size=10, unique=True), max_size=20),
)
def test_the_stalest_rows_are_recycled_in_order_of_last_use(capacity, batches):
    table, slow = IdTable(capacity), SlowTable(capacity)
    for batch in batches:
        known = [name for name in batch if name in slow.row_of]
        table.touch(table.rows(known))
        for name in known:
            slow.touch(name)
        new = [name for name in batch if name not in slow.row_of]
        _, recycled_R = table.assign(new)
        assert recycled_R.tolist() == slow.assign(new)
        assert {n: r for r, n in enumerate(table.ids)} == slow.row_of


def test_a_recycled_row_changes_its_generation():
    table = IdTable(1)
    table.assign(["a"])
    before = int(table.generation_V[0])
    table.assign(["b"])
    assert table.generation_V[0] == before + 1
    assert table.rows(["a", "b"]).tolist() == [-1, 0]


def test_of_more_newcomers_than_rows_the_last_ones_stay():
    table = IdTable(2)
    rows_N, _ = table.assign(["a", "b", "c"])
    assert rows_N.tolist() == [-1, 0, 1]


def test_a_removed_id_is_unknown_and_its_row_is_the_next_to_go():
    table = IdTable(2)
    table.assign(["a", "b"])
    table.touch(table.rows(["a"]))
    assert table.remove("a") == 0
    assert table.rows(["a"]).tolist() == [-1]
    assert table.assign(["c"])[1].tolist() == [0]


def test_a_restored_table_recycles_the_same_rows():
    rng = np.random.default_rng(3)
    table = IdTable(50)
    for _ in range(40):
        _use(table, [f"i{n}" for n in rng.integers(0, 200, 9)])
    restored = IdTable(50)
    restored.load_state_dict(table.state_dict())
    for _ in range(40):
        names = [f"i{n}" for n in rng.integers(0, 200, 9)]
        assert _use(table, names) == _use(restored, names)


def test_a_capacity_of_nothing_is_refused():
    with pytest.raises(ValueError, match="capacity of at least 1, got 0"):
        IdTable(0)


def _use(table: IdTable, names: list[str]) -> list[int]:
    names = list(dict.fromkeys(names))
    rows = table.rows(names)
    table.touch(rows)
    _, recycled = table.assign([n for n, row in zip(names, rows, strict=True) if row < 0])
    return recycled.tolist()
